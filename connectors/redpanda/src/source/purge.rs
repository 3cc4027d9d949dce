//! Removes records from topics, as far as a topic allows.
//!
//! Kafka has one way to remove records: cutting a partition off below an offset. (A tombstone removes only what has its
//! key, on a compacted topic, and a dead letter keeps the key of its record.) So the run of chosen records at the begin
//! of each partition goes, and those behind one that stays remain.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::Offset;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer as _;
use rdkafka::topic_partition_list::TopicPartitionList;
use weir_sdk::{Error, ErrorKind, Origin};

use super::config::RedpandaSourceConfig;
use super::{consumer, errors, partitions};
use crate::far_side::FarSide;
use crate::producer::stop_elsewhere;

const CLIENT: &str = "weir-purge";
const PATIENCE: Duration = Duration::from_secs(10);

/// Cuts partitions off where the run of these records at their begin ends; how many records went.
pub(super) async fn purge(config: &RedpandaSourceConfig, origins: &[Origin]) -> Result<usize, Error> {
    let chosen = by_partition(&config.topic, origins);
    let asked = config.clone();
    let cutting = tokio::task::spawn_blocking(move || cuts(&asked, chosen)).await;
    let cuts = cutting.map_err(|stopped| Error::new(ErrorKind::Bug, stopped.to_string()))??;
    if cuts.is_empty() {
        return Ok(0);
    }
    let mut list = TopicPartitionList::new();
    for cut in &cuts {
        let added = list.add_partition_offset(&cut.topic, cut.number, Offset::Offset(cut.at));
        added.map_err(|error| errors::of_call(&error))?;
    }
    let admin: AdminClient<DefaultClientContext> =
        consumer::settings(config, CLIENT).create().map_err(|error| errors::of_call(&error))?;
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
    let deleted = admin.delete_records(&list, &options).await;
    stop_elsewhere(admin);
    let deleted = deleted.map_err(|error| errors::of_call(&error).context("delete records"))?;
    for element in deleted.elements() {
        element.error().map_err(|error| {
            errors::of_call(&error).context(format!(
                "delete records of {}/{}",
                element.topic(),
                element.partition()
            ))
        })?;
    }
    Ok(cuts.iter().map(|cut| cut.records).sum())
}

type Chosen = BTreeMap<(String, i32), BTreeSet<i64>>;

struct Cut {
    topic: String,
    number: i32,
    /// Everything below goes.
    at: i64,
    records: usize,
}

fn by_partition(topics: &[String], origins: &[Origin]) -> Chosen {
    let mut chosen = Chosen::new();
    for origin in origins {
        let place = origin.partition.as_str().rsplit_once('/');
        let place = place.and_then(|(topic, number)| Some((topic.to_owned(), number.parse().ok()?)));
        if let (Some(place), Some(offset)) = (place, partitions::saved(origin.offset.as_bytes()))
            && topics.contains(&place.0)
        {
            chosen.entry(place).or_default().insert(offset);
        }
    }
    chosen
}

fn cuts(config: &RedpandaSourceConfig, chosen: Chosen) -> Result<Vec<Cut>, Error> {
    let consumer = consumer::new(config, CLIENT, &Arc::new(FarSide::new()))?;
    let mut cuts = Vec::new();
    for ((topic, number), offsets) in chosen {
        let asked = consumer.fetch_watermarks(&topic, number, PATIENCE);
        let (low, _) = asked.map_err(|error| errors::of_call(&error).context(format!("topic {topic}")))?;
        let run = offsets.range(low..).zip(low..).take_while(|(offset, wanted)| *offset == wanted);
        let records = run.count();
        if records > 0 {
            let at = low + i64::try_from(records).unwrap_or(0);
            cuts.push(Cut { topic, number, at, records });
        }
    }
    Ok(cuts)
}
