//! The redpanda source: every record of some topics, from the checkpoint on; the consumer group keeps nothing.
//!
//! Partitions are assigned by hand and offsets are kept in the host's checkpoint, so a restart reads on exactly where
//! what is durable ends, and no group rebalances. In reading order: [`config`], [`consumer`] (librdkafka's words),
//! [`partitions`] (where each one begins and ends), [`feeder`] (the thread that reads ahead, a little), [`record`]
//! (what a message becomes), [`purge`].

pub(crate) mod config;
pub(crate) mod consumer;
mod errors;
mod feeder;
mod partitions;
mod purge;
mod record;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use tokio::sync::oneshot;
use tokio::time::timeout;
use weir_sdk::config::Problem;
use weir_sdk::{
    Batch, Checkpoint, Context, Error, ErrorKind, Origin, Room, Source, SourceConnector, Start, To,
    async_trait,
};

use crate::far_side::FarSide;
use config::RedpandaSourceConfig;
use consumer::Consumer;
use feeder::{Chunks, Feeder, Item};

/// How long a poll waits for records: an idle source speaks at least every second. It is longer than the grace after
/// which brokers that are down count as gone, or no poll would ever see it.
const IDLE: Duration = Duration::from_millis(900);

/// The connector `redpanda`, reading.
#[derive(Clone, Copy, Debug, Default)]
pub struct RedpandaSourceConnector;

#[async_trait]
impl SourceConnector for RedpandaSourceConnector {
    const NAME: &'static str = "redpanda";
    type Config = RedpandaSourceConfig;

    fn check(&self, config: &RedpandaSourceConfig) -> Vec<Problem> {
        config::check(config)
    }

    async fn open(
        &self,
        config: RedpandaSourceConfig,
        resume: Checkpoint,
        context: Context,
    ) -> Result<Box<dyn Source>, Error> {
        let problems = config::check(&config);
        if !problems.is_empty() {
            return Err(Error::config(problems));
        }
        let task = context.task();
        let client = format!("weir-{}-{}", task.pipeline, task.sink);
        let opening = tokio::task::spawn_blocking(move || open(&config, &resume, &client));
        let source = opening.await.map_err(|stopped| Error::new(ErrorKind::Bug, stopped.to_string()))??;
        Ok(Box::new(source))
    }

    /// A topic can only be cut off at its begin: what goes is the run of these records there.
    async fn purge(
        &self,
        config: RedpandaSourceConfig,
        origins: Vec<Origin>,
        _context: Context,
    ) -> Result<usize, Error> {
        purge::purge(&config, &origins).await
    }

    async fn seek(&self, config: RedpandaSourceConfig, to: To, context: Context) -> Result<Start, Error> {
        let task = context.task();
        let client = format!("weir-{}-{}-seek", task.pipeline, task.sink);
        let seeking = move || {
            let consumer = consumer::new(&config, &client, &Arc::new(FarSide::new()))?;
            let checkpoint = partitions::seek(&consumer, &config, to)?;
            Ok(Start { identity: cluster(&consumer), checkpoint })
        };
        let seeking = tokio::task::spawn_blocking(seeking).await;
        seeking.map_err(|stopped| Error::new(ErrorKind::Bug, stopped.to_string()))?
    }
}

/// Its id, which names what the topics are in.
fn cluster(consumer: &Consumer) -> String {
    consumer.client().fetch_cluster_id(Duration::from_millis(100)).unwrap_or_default()
}

fn open(config: &RedpandaSourceConfig, resume: &Checkpoint, client: &str) -> Result<OpenTopics, Error> {
    let far_side = Arc::new(FarSide::new());
    let consumer = consumer::new(config, client, &far_side)?;
    let (partitions, checkpoint) = partitions::resolve(&consumer, config, resume)?;
    let identity = cluster(&consumer);
    let (chunks, ended) = Feeder::start(consumer, partitions, config.clone())?;
    Ok(OpenTopics {
        start: Start { identity, checkpoint },
        chunks,
        ended,
        waiting: VecDeque::new(),
        far_side,
    })
}

struct OpenTopics {
    start: Start,
    chunks: Chunks,
    ended: oneshot::Receiver<()>,
    /// Received, but did not fit the last batch.
    waiting: VecDeque<Item>,
    far_side: Arc<FarSide>,
}

#[async_trait]
impl Source for OpenTopics {
    fn start(&self) -> Start {
        self.start.clone()
    }

    async fn poll(&mut self, room: Room) -> Result<Option<Batch>, Error> {
        if self.waiting.is_empty() {
            let next = tokio::select! {
                biased;
                next = timeout(IDLE, self.chunks.recv()) => next,
                gone = self.far_side.gone() => return Err(gone.context("read")),
            };
            match next {
                Ok(Some(chunk)) => self.waiting.extend(chunk?),
                Ok(None) => return Ok(None),
                Err(_) => return Ok(Some(Batch::default())),
            }
        }
        Ok(Some(self.batch(room)))
    }

    /// Waits until librdkafka has let go; the feeder looks up several times a second.
    async fn close(self: Box<Self>) -> Result<(), Error> {
        let Self { chunks, ended, .. } = *self;
        drop(chunks);
        ended.await.ok(); // an error, since nothing is ever sent: the thread has ended
        Ok(())
    }
}

impl OpenTopics {
    /// What waits, as much as fits.
    fn batch(&mut self, room: Room) -> Batch {
        let (mut records, mut checkpoint, mut bytes) = (Vec::new(), Checkpoint::default(), 0);
        while records.len() < room.records {
            let Some(next) = self.waiting.front() else { break };
            bytes += next.record.size();
            if !records.is_empty() && bytes > room.bytes {
                break;
            }
            if let Some(Item { record, behind }) = self.waiting.pop_front() {
                checkpoint.set(record.origin.partition.clone(), behind.to_string());
                records.push(record);
            }
        }
        Batch { records: records.into(), checkpoint }
    }
}
