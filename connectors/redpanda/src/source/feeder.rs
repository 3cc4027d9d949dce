//! `Feeder`: the thread that polls librdkafka and reads ahead, a little.
//!
//! Polling blocks, so it has a thread of its own. What it hands on waits in a queue of few small chunks; when that is
//! full the thread waits, librdkafka's own small queue fills, and fetching stops.

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use weir_sdk::{Error, ErrorKind, Record};

use super::config::{RedpandaSourceConfig, Until};
use super::consumer::{Consumer, is_of_connections};
use super::errors;
use super::partitions::{self, Part};
use super::record::Names;

/// Chunks that may wait.
const CHUNKS: usize = 16;
/// The largest chunk, in bytes; a single larger record goes alone.
const CHUNK_BYTES: usize = 64 * 1024;
/// The largest chunk, in records.
const CHUNK_RECORDS: usize = 256;
/// How often the thread looks up when there is nothing to read.
const LOOK: Duration = Duration::from_millis(50);
/// How often the topics are asked for new partitions.
const REFRESH: Duration = Duration::from_secs(30);

pub(super) type Chunk = Vec<Item>;
pub(super) type Chunks = mpsc::Receiver<Result<Chunk, Error>>;

/// A record, and the offset behind it.
pub(super) struct Item {
    pub(super) record: Record,
    pub(super) behind: i64,
}

pub(super) struct Feeder {
    consumer: Consumer,
    parts: Vec<Part>,
    /// Where in `parts` a partition of a topic stands.
    places: HashMap<String, HashMap<i32, usize>>,
    config: RedpandaSourceConfig,
    names: Names,
    chunk: Chunk,
    bytes: usize,
    chunks: mpsc::Sender<Result<Chunk, Error>>,
}

impl Feeder {
    /// Starts the thread; it ends when the receiver of chunks is gone or everything is read, and the other receiver is
    /// told when it has let go of the consumer.
    pub(super) fn start(
        consumer: Consumer,
        parts: Vec<Part>,
        config: RedpandaSourceConfig,
    ) -> Result<(Chunks, oneshot::Receiver<()>), Error> {
        let (chunks, receiver) = mpsc::channel(CHUNKS);
        let (ending, ended) = oneshot::channel::<()>();
        let mut feeder = Self {
            consumer,
            parts,
            places: HashMap::new(),
            config,
            names: Names::default(),
            chunk: Vec::new(),
            bytes: 0,
            chunks,
        };
        feeder.assign()?;
        let run = move || {
            // Dropped last, also when reading panics: whoever waits for the end is answered.
            let _ending = ending;
            feeder.run();
        };
        let no_thread =
            |error| Error::new(ErrorKind::Transient, "the system has no thread to give").caused_by(error);
        std::thread::Builder::new().name("redpanda-source".to_owned()).spawn(run).map_err(no_thread)?;
        Ok((receiver, ended))
    }

    fn assign(&mut self) -> Result<(), Error> {
        self.places.clear();
        for (place, part) in self.parts.iter().enumerate() {
            self.places.entry(part.topic.clone()).or_default().insert(part.number, place);
        }
        let assignment = partitions::assignment(&self.parts)?;
        self.consumer.assign(&assignment).map_err(|error| errors::of_call(&error))
    }

    fn run(mut self) {
        let mut refreshed = Instant::now();
        while !self.chunks.is_closed() && !self.is_done() {
            let wait = if self.chunk.is_empty() { LOOK } else { Duration::ZERO };
            if !self.poll(wait) {
                self.flush();
                if refreshed.elapsed() > REFRESH && self.config.until == Until::Forever {
                    self.refresh();
                    refreshed = Instant::now();
                }
            }
        }
        self.flush();
    }

    fn is_done(&self) -> bool {
        self.parts.iter().all(Part::is_done)
    }

    /// Takes one message or event; `false` when there was none in time.
    fn poll(&mut self, wait: Duration) -> bool {
        let Some(polled) = self.consumer.poll(wait) else { return false };
        let message = match polled {
            Ok(message) => message,
            Err(error) => {
                self.event(&error);
                return true;
            }
        };
        self.consumer.context().far_side.answered();
        let place = self.places.get(message.topic()).and_then(|numbers| numbers.get(&message.partition()));
        let Some(part) = place.and_then(|place| self.parts.get_mut(*place)) else { return true };
        // What librdkafka had fetched before a new assignment may come once more.
        if message.offset() < part.next || part.is_done() {
            return true;
        }
        part.next = message.offset() + 1;
        // Written after reading began: the bound leaves it out.
        if part.end.is_some_and(|end| message.offset() >= end) {
            return true;
        }
        let item = Item { record: self.names.record(&message, &part.name), behind: part.next };
        drop(message);
        self.bytes += item.record.size();
        self.chunk.push(item);
        if self.bytes >= CHUNK_BYTES || self.chunk.len() >= CHUNK_RECORDS {
            self.flush();
        }
        true
    }

    fn event(&mut self, error: &KafkaError) {
        if let KafkaError::PartitionEOF(number) = error {
            self.consumer.context().far_side.answered();
            self.ended(*number);
            return;
        }
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
        // No group is joined, so what its coordinator says does not matter.
        let is_of_group = code == RDKafkaErrorCode::GroupAuthorizationFailed;
        if is_of_group || is_of_connections(code) {
            return;
        }
        self.flush();
        // Nobody listens any more only when the source is closed.
        self.chunks.blocking_send(Err(errors::of(code))).ok();
    }

    /// The end of a partition of this number was reached. A log may end in records that no consumer sees, marks of
    /// transactions, so the offset alone does not tell; and the event does not name the topic.
    fn ended(&mut self, number: i32) {
        let mut open = self.parts.iter_mut().filter(|part| part.number == number && !part.is_done());
        if let (Some(part), None) = (open.next(), open.next())
            && let Some(end) = part.end
        {
            part.next = end;
        }
    }

    fn flush(&mut self) {
        if !self.chunk.is_empty() {
            self.bytes = 0;
            self.chunks.blocking_send(Ok(std::mem::take(&mut self.chunk))).ok();
        }
    }

    fn refresh(&mut self) {
        let added = partitions::added(&self.consumer, &self.config.topic, &self.parts);
        if !added.is_empty() {
            self.parts.extend(added);
            if let Err(error) = self.assign() {
                self.chunks.blocking_send(Err(error)).ok();
            }
        }
    }
}
