//! A topic as its independent observers see it: librdkafka's consumer and its watermarks, none of our code.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::bail;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::process::until;

const PARTITIONS: i32 = 4;
const PATIENCE: Duration = Duration::from_secs(60);

/// A topic and a consumer of it.
pub(crate) struct Topic {
    pub(crate) name: String,
    consumer: BaseConsumer,
}

/// What a topic holds, as far as two of them can be compared.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// Records with a key and sequence number that no earlier one has.
    pub(crate) distinct: u64,
    /// The other records.
    pub(crate) repeats: u64,
    /// Bytes of all keys and values.
    pub(crate) bytes: u64,
    /// How many headers there are.
    pub(crate) headers: u64,
    /// Bytes of their names and values.
    pub(crate) header_bytes: u64,
}

impl Topic {
    /// Makes a topic of four partitions.
    pub(crate) async fn create(brokers: &str, name: &str) -> anyhow::Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers);
        let admin: AdminClient<DefaultClientContext> = config.create()?;
        let new = NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1));
        for made in admin.create_topics([&new], &AdminOptions::new()).await? {
            if let Err((topic, code)) = made {
                bail!("cannot create {topic}: {code}");
            }
        }
        config.set("group.id", "figures").set("enable.auto.commit", "false");
        // A message is not kept waiting here: by default a full queue stops fetching for a second.
        config.set("fetch.queue.backoff.ms", "2");
        let topic = Self { name: name.to_owned(), consumer: config.create()? };
        until("its partitions have leaders", || Ok(topic.count().ok()))?;
        Ok(topic)
    }

    /// How many records arrived, by the watermarks.
    pub(crate) fn count(&self) -> anyhow::Result<u64> {
        let mut count = 0;
        for partition in 0..PARTITIONS {
            let (low, high) = self.consumer.fetch_watermarks(&self.name, partition, PATIENCE)?;
            count += u64::try_from(high - low)?;
        }
        Ok(count)
    }

    /// Gives each record to `seen`, from the first one on, until that says that it was enough.
    pub(crate) fn read(&self, mut seen: impl FnMut(&BorrowedMessage<'_>) -> bool) -> anyhow::Result<()> {
        let mut partitions = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            partitions.add_partition_offset(&self.name, partition, Offset::Beginning)?;
        }
        self.consumer.assign(&partitions)?;
        let mut last = Instant::now();
        while last.elapsed() < PATIENCE {
            if let Some(message) = self.consumer.poll(Duration::from_millis(100)) {
                if seen(&message?) {
                    return Ok(());
                }
                last = Instant::now();
            }
        }
        bail!("nothing more arrived on {} within {PATIENCE:?}", self.name)
    }

    /// Reads all that is there.
    pub(crate) fn contents(&self) -> anyhow::Result<Contents> {
        let (mut contents, mut known, mut left) = (Contents::default(), HashSet::new(), self.count()?);
        self.read(|message| {
            let mut number = Vec::new();
            for header in message.headers().iter().flat_map(|headers| headers.iter()) {
                let value = header.value.unwrap_or_default();
                contents.headers += 1;
                contents.header_bytes += (header.key.len() + value.len()) as u64;
                if header.key == "sequence_number" {
                    number.extend_from_slice(value);
                }
            }
            contents.bytes += (message.key_len() + message.payload_len()) as u64;
            let key = message.key().unwrap_or_default().to_vec();
            *if known.insert((key, number)) { &mut contents.distinct } else { &mut contents.repeats } += 1;
            left -= 1;
            left == 0
        })?;
        Ok(contents)
    }
}
