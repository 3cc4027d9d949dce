//! The connector: from the configuration to a source that goes on where its checkpoint ends.

use std::sync::Arc;
use std::time::Duration;

use scylla::client::session::Session;
use weir_sdk::config::Problem;
use weir_sdk::metrics::names;
use weir_sdk::{Batch, Checkpoint, Context, Error, Room, Source, SourceConnector, Start, To, async_trait};

use super::begin::{Begin, There};
use super::config::OutboxConfig;
use super::mapping::Mapping;
use super::{record, seek};
use crate::hub::Hub;
use crate::hub::shared::{Cluster, Shared};
use crate::reader::clock::Monotonic;
use crate::reader::directory::Directory;
use crate::reader::progress::{Limits, Progress};
use crate::reader::server::Server;
use crate::reader::statement::{Key, Statement};
use crate::reader::streams::Streams;
use crate::reader::table::{Table, refused};
use crate::reader::time::{Micros, micros};
use crate::reader::token::Position;
use crate::reader::watch::Watch;
use crate::reader::{Log, Reader, RowOrder, Settings};
use crate::snapshot::Snapshot;
use crate::snapshot::ranges::Ranges;
use crate::snapshot::scan::Scan;

/// Rows of names are short, so a visit takes many in one page.
const NAMES: u32 = 10_000;

/// Reads the events of an outbox table from its CDC log.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    monotonic: Monotonic,
    /// Where its sources find each other.
    hub: Hub,
}

impl Outbox {
    /// Counts the time between two answers of the server by this clock.
    pub fn counting_by(monotonic: Monotonic) -> Self {
        Self { monotonic, hub: Hub::default() }
    }

    /// Shares what is read with the other sources of this hub.
    #[must_use]
    pub fn over(self, hub: Hub) -> Self {
        Self { hub, ..self }
    }
}

#[async_trait]
impl SourceConnector for Outbox {
    const NAME: &'static str = "scylla-outbox";
    type Config = OutboxConfig;

    fn check(&self, config: &OutboxConfig) -> Vec<Problem> {
        config.problems()
    }

    async fn open(
        &self,
        config: OutboxConfig,
        resume: Checkpoint,
        context: Context,
    ) -> Result<Box<dyn Source>, Error> {
        let (position, ranges) = (Position::read(&resume)?, Ranges::read(&resume)?);
        let session = self.hub.session(&config.session).await?;
        let table = Table::read(&session, &config.keyspace, &config.table).await?;
        let mapping = checked(&config, &table)?;
        warn_of_order(&config, &table, &mapping);
        let reader = self.reader(&session, &config, &table, mapping.clone());
        let seat = self.hub.seat(&config, &table, reader).await?;
        let (now, streams) = {
            let cluster = seat.look().await?;
            (cluster.server.now().shown, cluster.streams.oldest())
        };
        let oldest = oldest(&table, now, streams);
        let accepts_gap = context.accepts_gap();
        let begin = Begin::of(&config, There { now, oldest, position, snapshot: ranges, accepts_gap });
        if let Some(lost) = begin.lost {
            context.metrics().gauge(names::CDC_GAP).set(lost.as_secs_f64());
        }
        let snapshot = match begin.snapshot {
            Some(ranges) => {
                // What was written later is in the log for certain, whenever that was enabled and whoever's clock it was.
                let until = ranges.began().saturating_add(micros(config.safety.get()));
                let page_size = config.session.page_size;
                let scan = Scan::prepare(session.clone(), &table, mapping, page_size, until).await?;
                let held = table.ttl().map(|ttl| begin.position.main.cut.saturating_add(micros(ttl)) - now);
                let left = held.map(|left| Duration::from_micros(left.max(0).unsigned_abs()));
                Some(Box::new(Snapshot::new(&scan, ranges, left, &context)))
            }
            None => None,
        };
        let start = Start { identity: table.identity(), checkpoint: begin.checkpoint };
        let limits = Limits { safety: config.safety.get(), memory: config.unsettled_memory.as_usize() };
        let order = if config.order_by_key {
            RowOrder::OfTimes { memory: config.order_memory.as_usize() }
        } else {
            RowOrder::OfStreams
        };
        let settings = Settings {
            confidence: config.confidence.get(),
            poll_interval: config.poll_interval.get(),
            order,
        };
        let reader = Reader::new(seat, Progress::new(begin.position, limits), settings, &context);
        Ok(Box::new(OutboxSource { snapshot, reader, start }))
    }

    fn position(&self, checkpoint: &Checkpoint) -> Result<weir_sdk::Position, Error> {
        seek::position(checkpoint)
    }

    async fn seek(&self, config: OutboxConfig, to: To, context: Context) -> Result<Start, Error> {
        seek::seek(self, config, to, context).await
    }
}

impl Outbox {
    /// Makes the reader that the sources of this table share.
    async fn reader(
        &self,
        session: &Arc<Session>,
        config: &OutboxConfig,
        table: &Table,
        mapping: Mapping,
    ) -> Result<Arc<Shared>, Error> {
        let log = statements(session, config, table, mapping).await?;
        let server = Server::ask_first(session.clone(), self.monotonic.clone(), config.safety.get()).await?;
        let streams = Streams::of(Directory::prepare(session.clone(), table).await?);
        let demands = config.clone();
        let check = Box::new(move |table: &Table| checked(&demands, table).map(drop));
        let watch = Watch::new(session.clone(), table.clone(), check, server.now().shown);
        Ok(Arc::new(Shared::new(log, Cluster::new(server, streams, watch), self.hub.kept())))
    }
}

struct OutboxSource {
    /// Comes before the log.
    snapshot: Option<Box<Snapshot>>,
    reader: Reader,
    start: Start,
}

#[async_trait]
impl Source for OutboxSource {
    fn start(&self) -> Start {
        self.start.clone()
    }

    async fn poll(&mut self, room: Room) -> Result<Option<Batch>, Error> {
        if let Some(snapshot) = &mut self.snapshot {
            if let Some(batch) = snapshot.batch(room).await? {
                return Ok(Some(batch));
            }
            self.snapshot = None;
        }
        self.reader.batch(room).await.map(Some)
    }
}

/// Only what lies in one partition of the table has an order in the log.
fn warn_of_order(config: &OutboxConfig, table: &Table, mapping: &Mapping) {
    let kept = mapping.key().is_none_or(|key| table.partition_key().iter().any(|column| column == key));
    if !kept && !config.order_by_key {
        tracing::warn!(
            table = table.quoted(),
            "the events of one aggregate lie in many partitions, so the log does not keep their order: set \
             `order_by_key: true`, or give the table PRIMARY KEY ((aggregate_id), sequence_number)"
        );
    }
}

/// Everything that is wrong with the table, in one report.
fn checked(config: &OutboxConfig, table: &Table) -> Result<Mapping, Error> {
    let mut problems = table.problems(config.safety.get());
    let mapping = Mapping::find(config, table).map_err(|more| problems.extend(more));
    match mapping {
        Ok(mapping) if problems.is_empty() => Ok(mapping),
        _ => Err(refused(problems)),
    }
}

async fn statements(
    session: &Arc<Session>,
    config: &OutboxConfig,
    table: &Table,
    mapping: Mapping,
) -> Result<Log, Error> {
    let (log, columns) = (table.log(), mapping.selected());
    let rows = Statement::prepare(
        session.clone(),
        &log,
        &columns,
        config.session.page_size,
        record::decode(mapping),
    )
    .await?;
    let names = Statement::prepare(session.clone(), &log, "", NAMES, Key::decode()).await?;
    Ok(Log { rows: Arc::new(rows), names: Arc::new(names) })
}

/// The oldest time of which the log can still hold every row; `streams` is that of its oldest stream.
fn oldest(table: &Table, now: Micros, streams: Option<Micros>) -> Micros {
    let expired = table.ttl().map_or(Micros::MIN, |ttl| now.saturating_sub(micros(ttl)));
    expired.max(streams.unwrap_or(Micros::MIN))
}
