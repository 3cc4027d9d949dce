//! The redpanda sink: opening, probing, closing, and which producer is the current one.

use std::sync::Arc;

use rdkafka::ClientConfig;
use tokio::sync::Mutex;
use weir_sdk::config::Problem;
use weir_sdk::{Context, Error, Records, Sink, SinkConnector, WriteError, async_trait};

use crate::config::{self, RedpandaConfig};
use crate::creation::Topics;
use crate::far_side::FarSide;
use crate::message::Shape;
use crate::pending::Pending;
use crate::producer::{Producer, Sharing};
use crate::settings;
use crate::topic::TopicTemplate;
use crate::write::Write;

/// The connector `redpanda`.
#[derive(Clone, Copy, Debug, Default)]
pub struct RedpandaSinkConnector;

#[async_trait]
impl SinkConnector for RedpandaSinkConnector {
    const NAME: &'static str = "redpanda";
    type Config = RedpandaConfig;

    fn check(&self, config: &RedpandaConfig) -> Vec<Problem> {
        config::check(config)
    }

    /// Needs no broker: whether one is there, the first write and the probe find out.
    async fn open(&self, config: RedpandaConfig, context: Context) -> Result<Arc<dyn Sink>, Error> {
        let problems = config::check(&config);
        if !problems.is_empty() {
            return Err(Error::config(problems));
        }
        let task = context.task();
        let settings = settings::of(&config, &format!("weir-{}-{}", task.pipeline, task.sink));
        Ok(Arc::new(RedpandaSink::new(config, settings)?))
    }
}

/// An open sink.
pub(crate) struct RedpandaSink {
    pub(crate) topic: TopicTemplate,
    pub(crate) shape: Shape,
    /// None where topics must be there already.
    pub(crate) creation: Option<Topics>,
    pub(crate) pending: Pending,
    pub(crate) far_side: Arc<FarSide>,
    settings: ClientConfig,
    room: usize,
    /// None when closed.
    current: Mutex<Option<Arc<Producer>>>,
}

impl RedpandaSink {
    fn new(config: RedpandaConfig, settings: ClientConfig) -> Result<Self, Error> {
        let (far_side, room) = (Arc::new(FarSide::new()), config.queue.as_usize());
        let producer = Producer::new(&settings, Sharing::Full, room, &far_side)?;
        Ok(Self {
            shape: Shape::new(&config),
            topic: config.topic,
            creation: config.create.map(|wanted| Topics::new(&settings, wanted)),
            pending: Pending::default(),
            far_side,
            settings,
            room,
            current: Mutex::new(Some(Arc::new(producer))),
        })
    }

    /// The producer to write with. When the last one has ended, or shares where the caller must not, everything in
    /// it comes out first: what follows can then overtake nothing.
    pub(crate) async fn producer(&self, least: Sharing) -> Result<Arc<Producer>, Error> {
        let mut current = self.current.lock().await;
        if let Some(producer) = current.as_ref() {
            let shares_too_much = least == Sharing::Alone && producer.sharing() == Sharing::Full;
            if !shares_too_much && !producer.has_ended() {
                return Ok(Arc::clone(producer));
            }
            producer.end();
            producer.emptied().await;
        }
        let next = Arc::new(Producer::new(&self.settings, least, self.room, &self.far_side)?);
        *current = Some(Arc::clone(&next));
        Ok(next)
    }
}

#[async_trait]
impl Sink for RedpandaSink {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
        Write::of(self, records).run().await
    }

    async fn probe(&self) -> Result<(), Error> {
        let producer = tokio::select! {
            biased;
            producer = self.producer(Sharing::Full) => producer?,
            gone = self.far_side.gone() => return Err(gone),
        };
        producer.probe(self.topic.literal().map(str::to_owned)).await
    }

    async fn close(&self) -> Result<(), Error> {
        let producer = self.current.lock().await.take();
        if let Some(producer) = producer {
            producer.give_up().await;
        }
        Ok(())
    }
}
