//! The connector: from the configuration to a source that goes on where its checkpoint ends.

use std::sync::Arc;
use std::time::Duration;

use scylla::client::session::Session;
use weir_sdk::config::Problem;
use weir_sdk::metrics::names;
use weir_sdk::{
    Batch, Checkpoint, Commits, Context, Error, Room, Source, SourceConnector, Start, To, async_trait,
};

use super::config::OutboxConfig;
use super::housekeeping::Housekeeping;
use super::mapping::Mapping;
use super::{record, seek};
use crate::hub::Told;
use crate::reader::begin::{Begin, There};
use crate::reader::open::{Logs, Wanted};
use crate::reader::statement::KEY_COLUMNS;
use crate::reader::table::{Table, refused};
use crate::reader::time::micros;
use crate::reader::token::Position;
use crate::reader::{Reader, RowOrder, words};
use crate::snapshot::Snapshot;
use crate::snapshot::ranges::Ranges;
use crate::snapshot::scan::Scan;

/// Reads the events of an outbox table from its CDC log.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    logs: Logs,
}

impl Outbox {
    /// Opens these logs.
    pub fn of(logs: Logs) -> Self {
        Self { logs }
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
        let (mut position, ranges) = (Position::read(&resume)?, Ranges::read(&resume)?);
        let keeps = config.housekeeping.as_ref().filter(|keeps| keeps.names(context.task()));
        if keeps.is_some() {
            position.iter_mut().for_each(Position::tally_from_here);
        }
        let log = self.logs.find(config.log()).await?;
        let mapping = checked(&config, &log.table)?;
        warn_of_order(&config, &log.table, &mapping);
        let seat = self.logs.seat(&log, Told::outbox(&config), wanted(&config, mapping.clone())).await?;
        let (now, oldest) = log.bounds(&seat).await?;
        let accepts_gap = context.accepts_gap();
        let mut begin = Begin::of(
            &log.config,
            config.snapshot,
            There { now, oldest, position, snapshot: ranges, accepts_gap },
        );
        if let Some(lost) = begin.lost {
            context.metrics().gauge(names::CDC_GAP).set(lost.as_secs_f64());
        }
        let snapshot = match begin.snapshot {
            Some(mut ranges) => {
                // What was written later is in the log for certain, whenever that was enabled and whoever's clock it was.
                let until = ranges.began().saturating_add(micros(config.safety.get()));
                let (table, mapping) = rows(&log.session, &config, (&log.table, mapping)).await?;
                ranges.read_table(table.id())?;
                begin.checkpoint.merge(ranges.checkpoint());
                let page_size = config.session.page_size;
                let scan = Scan::prepare(log.session.clone(), &table, mapping, page_size, until).await?;
                let unread = begin.position.main.unread();
                let held = log.table.ttl().map(|ttl| unread.saturating_add(micros(ttl)) - now);
                let left = held.map(|left| Duration::from_micros(left.max(0).unsigned_abs()));
                Some(Box::new(Snapshot::new(scan, ranges, left, &context)))
            }
            None => None,
        };
        let housekeeping = match keeps {
            Some(keeps) => {
                begin.position.tally(&mut begin.checkpoint);
                Some(Housekeeping::open(keeps, &log, seat.shared(), &resume, &context).await?)
            }
            None => {
                begin.position.tally_no_more(&mut begin.checkpoint);
                None
            }
        };
        let start = Start { identity: log.table.identity(), checkpoint: begin.checkpoint };
        let order = if config.order_by_key {
            RowOrder::OfTimes { memory: config.order_memory.as_usize() }
        } else {
            RowOrder::OfStreams
        };
        let reader = log.read(seat, begin.position, order, &context);
        Ok(Box::new(OutboxSource { snapshot, reader, housekeeping, start }))
    }

    fn position(&self, checkpoint: &Checkpoint) -> Result<weir_sdk::Position, Error> {
        words::position(checkpoint)
    }

    async fn seek(&self, config: OutboxConfig, to: To, context: Context) -> Result<Start, Error> {
        seek::seek(self, config, to, context).await
    }
}

struct OutboxSource {
    /// Comes before the log.
    snapshot: Option<Box<Snapshot>>,
    reader: Reader,
    /// `None` where there is none, or where it is not this task's matter.
    housekeeping: Option<Housekeeping>,
    start: Start,
}

#[async_trait]
impl Source for OutboxSource {
    fn start(&self) -> Start {
        self.start.clone()
    }

    fn commits(&self) -> Option<Arc<dyn Commits>> {
        self.housekeeping.as_ref().map(Housekeeping::commits)
    }

    async fn poll(&mut self, room: Room) -> Result<Option<Batch>, Error> {
        if let Some(snapshot) = &mut self.snapshot {
            if let Some(batch) = snapshot.batch(room).await? {
                return Ok(Some(batch));
            }
            self.snapshot = None;
        }
        if let Some(housekeeping) = &mut self.housekeeping {
            housekeeping.run(&mut self.reader);
        }
        self.reader.batch(room).await.map(Some)
    }
}

/// The table whose rows a snapshot reads, with its columns: the one that the configuration names, or else the outbox.
async fn rows(
    session: &Arc<Session>,
    config: &OutboxConfig,
    outbox: (&Table, Mapping),
) -> Result<(Table, Mapping), Error> {
    let Some(config) = config.of_snapshot() else { return Ok((outbox.0.clone(), outbox.1)) };
    let table = Table::read(session, &config.keyspace, &config.table).await;
    let table = table.map_err(|error| match error.problems() {
        [] => error,
        problems => refused(problems.iter().map(absent).collect()),
    })?;
    let below = |problem: Problem| problem.under("/snapshot_from");
    let mapping = Mapping::find(&config, &table);
    let mapping = mapping.map_err(|problems| refused(problems.into_iter().map(below).collect()))?;
    Ok((table, mapping))
}

fn absent(problem: &Problem) -> Problem {
    let help = "name a table of the outbox's keyspace that holds every event, or leave `snapshot_from` out";
    Problem::new(format!("/snapshot_from{}", problem.pointer), problem.message.clone()).help(help)
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

/// How the rows of the table are found, if nothing is wrong with it.
fn checked(config: &OutboxConfig, table: &Table) -> Result<Mapping, Error> {
    table.sound(config.safety.get(), Mapping::find(config, table))
}

fn wanted(config: &OutboxConfig, mapping: Mapping) -> Wanted {
    let demands = config.clone();
    Wanted {
        selected: format!("{KEY_COLUMNS}{}", mapping.selected()),
        decode: record::decode(mapping),
        counted: record::COUNTED,
        check: Box::new(move |table| checked(&demands, table).map(drop)),
    }
}
