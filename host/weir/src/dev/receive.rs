//! What an independent consumer receives: every topic of the broker, from its beginning, through librdkafka.
//!
//! It shares nothing with the sink but the broker's address, so what it counts is what arrived.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use tokio::sync::mpsc;

/// One record as it was received.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Received {
    /// The topic it came from.
    pub(crate) topic: String,
    /// Its partition there.
    pub(crate) partition: i32,
    /// Its offset there.
    pub(crate) offset: i64,
    /// Its key, as text.
    pub(crate) key: String,
    /// The header `event_type`, where there is one.
    pub(crate) event_type: Option<String>,
    /// The header `event_id`, where there is one.
    pub(crate) event_id: Option<String>,
    /// The header `sequence_number`, where there is one.
    pub(crate) sequence_number: Option<i64>,
    /// From the record's write time at the source until now.
    pub(crate) latency_ms: Option<i64>,
}

/// A consumer on a thread of its own; it ends when dropped.
pub(crate) struct Receiver {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Begins to receive; everything goes to `received`.
    ///
    /// # Errors
    /// When the consumer cannot be built.
    pub(crate) fn start(brokers: &str, received: mpsc::UnboundedSender<Received>) -> anyhow::Result<Self> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", format!("weir-dev-{}", uuid::Uuid::new_v4()))
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            // The default of a second stalls a consumer that is behind.
            .set("fetch.queue.backoff.ms", "5")
            // New topics are seen this soon.
            .set("topic.metadata.refresh.interval.ms", "1000")
            .create()
            .context("cannot build the consumer that counts what arrives")?;
        consumer.subscribe(&["^[^_].*"]).context("cannot subscribe")?;
        let stop = Arc::new(AtomicBool::new(false));
        let asked = stop.clone();
        let thread = thread::Builder::new()
            .name("weir-dev-consumer".into())
            .spawn(move || forward(&consumer, &asked, &received))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

/// Hands on every record once, until somebody asks to stop.
fn forward(consumer: &BaseConsumer, stop: &AtomicBool, received: &mpsc::UnboundedSender<Received>) {
    // A new topic makes the group begin anew, and it commits nothing: what was received before is passed over.
    let mut next: HashMap<(String, i32), i64> = HashMap::new();
    while !stop.load(Ordering::Relaxed) {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let due = next.entry((message.topic().to_owned(), message.partition())).or_default();
                if message.offset() < *due {
                    continue;
                }
                *due = message.offset() + 1;
                if received.send(Received::of(&message)).is_err() {
                    return;
                }
            }
            // The broker may be about to come up; librdkafka goes on by itself.
            Some(Err(error)) => tracing::debug!(%error, "the consumer of the demonstration waits"),
            None => {}
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed, and nothing more can be done about it here.
            thread.join().ok();
        }
    }
}

impl Received {
    fn of(message: &BorrowedMessage<'_>) -> Self {
        let header = |name: &str| {
            let headers = message.headers()?;
            let found = headers.iter().find(|header| header.key == name)?;
            found.value.map(|value| String::from_utf8_lossy(value).into_owned())
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(|key| String::from_utf8_lossy(key).into_owned()).unwrap_or_default(),
            event_type: header("event_type"),
            event_id: header("event_id"),
            sequence_number: header("sequence_number").and_then(|number| number.parse().ok()),
            latency_ms: message.timestamp().to_millis().map(|written| now - written),
        }
    }
}
