//! The connector: from the configuration to a source that goes on where its checkpoint ends.

use std::sync::Arc;
use std::time::Duration;

use scylla::client::session::Session;
use weir_sdk::config::Problem;
use weir_sdk::metrics::names;
use weir_sdk::{Batch, Checkpoint, Context, Error, Room, Source, SourceConnector, Start, async_trait};

use super::config::{OutboxConfig, StartAt};
use super::mapping::Mapping;
use super::record;
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
use crate::reader::token::{Main, Position};
use crate::reader::watch::Watch;
use crate::reader::{Log, Reader, Settings};

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
        let resumed = Position::read(&resume)?;
        let session = self.hub.session(&config.session).await?;
        let table = Table::read(&session, &config.keyspace, &config.table).await?;
        let mapping = checked(&config, &table)?;
        let reader = self.reader(&session, &config, &table, mapping);
        let seat = self.hub.seat(&config, &table, reader).await?;
        let (now, streams) = {
            let cluster = seat.look().await?;
            (cluster.server.now().shown, cluster.streams.oldest())
        };
        let mut start = Start { identity: table.identity(), checkpoint: Checkpoint::default() };
        let oldest = oldest(&table, now, streams);
        let position = match resumed {
            Some(resumed) if context.accepts_gap() && resumed.main.unread() < oldest => {
                let lost = Duration::from_micros((oldest - resumed.main.unread()).unsigned_abs());
                context.metrics().gauge(names::CDC_GAP).set(lost.as_secs_f64());
                let position = resumed.begun_anew(oldest, now);
                start.checkpoint = [position.main.put()].into_iter().collect();
                position
            }
            Some(resumed) => resumed,
            None => {
                let main = begin(config.start, now, oldest);
                start.checkpoint = [main.put()].into_iter().collect();
                Position { main, ..Position::default() }
            }
        };
        let limits = Limits { safety: config.safety.get(), memory: config.unsettled_memory.as_usize() };
        let settings =
            Settings { confidence: config.confidence.get(), poll_interval: config.poll_interval.get() };
        let reader = Reader::new(seat, Progress::new(position, limits), settings, &context);
        Ok(Box::new(OutboxSource { reader, start }))
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
    reader: Reader,
    start: Start,
}

#[async_trait]
impl Source for OutboxSource {
    fn start(&self) -> Start {
        self.start.clone()
    }

    async fn poll(&mut self, room: Room) -> Result<Option<Batch>, Error> {
        self.reader.batch(room).await.map(Some)
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

/// Where reading begins without a checkpoint; never before the oldest row that can still be there.
fn begin(start: StartAt, now: Micros, oldest: Micros) -> Main {
    let (cut, fresh) = match start {
        StartAt::Earliest => (oldest, Some(now)),
        StartAt::Latest => (now.max(oldest), None),
        StartAt::At(time) => (time.0.max(oldest), (time.0 <= oldest).then_some(now)),
    };
    Main { cut, fresh, ..Main::default() }
}
