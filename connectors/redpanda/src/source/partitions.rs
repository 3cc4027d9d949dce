//! Which partitions there are, and where each begins and ends.

use std::time::Duration;

use rdkafka::Offset;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::TopicPartitionList;
use weir_sdk::{Checkpoint, Error, ErrorKind, Partition, To};

use super::config::{RedpandaSourceConfig, StartAt, Until};
use super::consumer::Consumer;
use super::errors;

/// How long the cluster may take to say what it has.
const PATIENCE: Duration = Duration::from_secs(5);

/// One partition of a topic, as it is read.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) topic: String,
    pub(super) number: i32,
    /// Its name in the checkpoint, `topic/number`.
    pub(super) name: Partition,
    /// The next offset to read.
    pub(super) next: i64,
    /// Where reading is done.
    pub(super) end: Option<i64>,
}

impl Part {
    pub(super) fn is_done(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }
}

/// The name of a partition in the checkpoint.
pub(super) fn name(topic: &str, number: i32) -> Partition {
    format!("{topic}/{number}").into()
}

/// Every partition of the topics, and the checkpoint of those that `resume` does not name.
pub(super) fn resolve(
    consumer: &Consumer,
    config: &RedpandaSourceConfig,
    resume: &Checkpoint,
) -> Result<(Vec<Part>, Checkpoint), Error> {
    let (mut parts, mut begun) = (Vec::new(), Checkpoint::default());
    for topic in &config.topic {
        for number in numbers(consumer, topic)? {
            let name = name(topic, number);
            let (low, high) = consumer
                .fetch_watermarks(topic, number, PATIENCE)
                .map_err(|error| failed(consumer, topic, &error))?;
            let next = match resume.get(&name) {
                Some(offset) => saved(offset.as_bytes()).ok_or_else(|| unreadable(&name))?,
                None => {
                    let next = if config.start == StartAt::Latest { high } else { low };
                    begun.set(name.clone(), next.to_string());
                    next
                }
            };
            let end = (config.until == Until::End).then_some(high);
            parts.push(Part { topic: topic.clone(), number, name, next, end });
        }
    }
    consumer.context().far_side.answered();
    Ok((parts, begun))
}

/// The checkpoint of one who would begin there.
pub(super) fn seek(consumer: &Consumer, config: &RedpandaSourceConfig, to: To) -> Result<Checkpoint, Error> {
    let start = match to {
        To::Earliest | To::Everything => StartAt::Earliest,
        To::Latest | To::At(_) => StartAt::Latest,
    };
    let config = RedpandaSourceConfig { start, ..config.clone() };
    let (parts, mut checkpoint) = resolve(consumer, &config, &Checkpoint::default())?;
    let To::At(time) = to else { return Ok(checkpoint) };
    let mut asked = TopicPartitionList::new();
    for part in &parts {
        // The first record of this millisecond: what Kafka knows of times is no finer.
        let added =
            asked.add_partition_offset(&part.topic, part.number, Offset::Offset(time.as_millis().max(0)));
        added.map_err(|error| errors::of_call(&error))?;
    }
    let found = consumer.offsets_for_times(asked, PATIENCE).map_err(|error| errors::of_call(&error))?;
    for element in found.elements() {
        // Without a record of that time or later it is the end.
        if let Offset::Offset(offset) = element.offset() {
            checkpoint.set(name(element.topic(), element.partition()), offset.to_string());
        }
    }
    Ok(checkpoint)
}

/// The partitions of a topic that are not among `known`, from their begin.
pub(super) fn added(consumer: &Consumer, topics: &[String], known: &[Part]) -> Vec<Part> {
    let is_new =
        |topic: &str, number: i32| !known.iter().any(|part| part.topic == topic && part.number == number);
    let of = |topic: &String| {
        // Who cannot be asked now is asked again.
        let numbers = numbers(consumer, topic).unwrap_or_default().into_iter();
        let new = numbers.filter(|number| is_new(topic, *number));
        new.map(|number| Part { topic: topic.clone(), number, name: name(topic, number), next: 0, end: None })
            .collect::<Vec<_>>()
    };
    topics.iter().flat_map(of).collect()
}

/// What the consumer is to read.
pub(super) fn assignment(parts: &[Part]) -> Result<TopicPartitionList, Error> {
    let mut list = TopicPartitionList::new();
    for part in parts.iter().filter(|part| !part.is_done()) {
        let added = list.add_partition_offset(&part.topic, part.number, Offset::Offset(part.next));
        added.map_err(|error| errors::of_call(&error))?;
    }
    Ok(list)
}

fn numbers(consumer: &Consumer, topic: &str) -> Result<Vec<i32>, Error> {
    let metadata =
        consumer.fetch_metadata(Some(topic), PATIENCE).map_err(|error| failed(consumer, topic, &error))?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
        return Err(errors::of(RDKafkaErrorCode::UnknownTopicOrPartition).context(format!("topic {topic}")));
    };
    if let Some(error) = found.error() {
        return Err(errors::of(error.into()).context(format!("topic {topic}")));
    }
    let mut numbers: Vec<_> = found.partitions().iter().map(|partition| partition.id()).collect();
    if numbers.is_empty() {
        return Err(errors::of(RDKafkaErrorCode::UnknownTopicOrPartition).context(format!("topic {topic}")));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Why a connection failed says more than that a call did.
fn failed(consumer: &Consumer, topic: &str, error: &rdkafka::error::KafkaError) -> Error {
    let complaint = consumer.context().far_side.complaint();
    complaint.unwrap_or_else(|| errors::of_call(error)).context(format!("topic {topic}"))
}

/// An offset as it stands in a checkpoint.
pub(super) fn saved(bytes: &[u8]) -> Option<i64> {
    std::str::from_utf8(bytes).ok()?.parse().ok().filter(|offset| *offset >= 0)
}

fn unreadable(partition: &Partition) -> Error {
    Error::new(ErrorKind::Config, format!("the checkpoint of {partition} is damaged, or of another version"))
        .advice("give the pipeline or the sink another name, which begins where `start` says")
}
