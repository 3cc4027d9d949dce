//! From a configuration to a reader: what every source of a log does when it is opened.

use std::sync::Arc;

use scylla::client::session::Session;
use weir_sdk::{Context, Error};

use super::clock::Monotonic;
use super::config::LogConfig;
use super::directory::Directory;
use super::progress::{Limits, Progress};
use super::server::Server;
use super::statement::{Decode, KEY_COLUMNS, Key, Operations, Row, Statement};
use super::streams::Streams;
use super::table::Table;
use super::time::Micros;
use super::token::Position;
use super::watch::{Check, Watch};
use super::{Log, Reader, RowOrder, Settings};
use crate::hub::shared::{Cluster, Seat, Shared};
use crate::hub::{Hub, Told};

/// Rows of names are short, so a visit takes many in one page.
const NAMES: u32 = 10_000;

/// Opens logs for the sources of one hub.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    monotonic: Monotonic,
    /// Where the sources find each other.
    hub: Hub,
}

/// A log that was found.
pub struct Found {
    /// As the source was told.
    pub config: LogConfig,
    /// The session of its cluster.
    pub session: Arc<Session>,
    /// The table that it is of.
    pub table: Table,
}

/// What a source wants of a log.
pub struct Wanted {
    /// What is selected of each row, beginning with [`KEY_COLUMNS`] unless `decode` knows better.
    pub selected: String,
    /// Makes rows of what is selected.
    pub decode: Decode<Row>,
    /// The operations that visits look for.
    pub counted: Operations,
    /// What is demanded of the table as long as it is read.
    pub check: Check,
}

impl Logs {
    /// Counts the time between two answers of the server by this clock.
    pub fn counting_by(monotonic: Monotonic) -> Self {
        Self { monotonic, hub: Hub::default() }
    }

    /// Shares what is read with the other sources of this hub.
    #[must_use]
    pub fn over(self, hub: Hub) -> Self {
        Self { hub, ..self }
    }

    /// Connects, and finds the table.
    ///
    /// # Errors
    /// Of the session; `Config` when there is no such table.
    pub async fn find(&self, config: LogConfig) -> Result<Found, Error> {
        let session = self.hub.session(&config.session).await?;
        let table = Table::read(&session, &config.keyspace, &config.table).await?;
        Ok(Found { config, session, table })
    }

    /// A seat at the reader that this source shares with those that are `told` the same.
    ///
    /// # Errors
    /// Those of the first questions.
    pub async fn seat(&self, found: &Found, told: Told, wanted: Wanted) -> Result<Seat, Error> {
        self.hub.seat(told, &found.table, Box::pin(self.reader(found, wanted))).await
    }

    async fn reader(&self, found: &Found, wanted: Wanted) -> Result<Arc<Shared>, Error> {
        let Found { config, session, table } = found;
        let Wanted { selected, decode, counted, check } = wanted;
        let (log, page_size) = (table.log(), config.session.page_size);
        let rows = Statement::prepare(session.clone(), &log, &selected, page_size, decode).await?;
        let names =
            Statement::prepare(session.clone(), &log, KEY_COLUMNS, NAMES, Key::decode(counted)).await?;
        let server = Server::ask_first(session.clone(), self.monotonic.clone(), config.safety.get()).await?;
        let streams = Streams::of(Directory::prepare(session.clone(), table).await?);
        let watch = Watch::new(session.clone(), table.clone(), check, server.now().shown);
        let sums = names.decoding(Key::add_up(counted));
        let log = Log { rows: rows.into(), names: names.into(), sums: sums.into() };
        Ok(Arc::new(Shared::new(log, Cluster::new(server, streams, watch), self.hub.kept())))
    }
}

impl Found {
    /// The server's time, and the oldest time of which the log can still hold every row.
    ///
    /// # Errors
    /// Those of the questions.
    pub async fn bounds(&self, seat: &Seat) -> Result<(Micros, Micros), Error> {
        let cluster = seat.look().await?;
        let now = cluster.server.now().shown;
        Ok((now, cluster.oldest(now)))
    }

    /// Reads on from `position`.
    pub fn read(&self, seat: Seat, position: Position, order: RowOrder, context: &Context) -> Reader {
        let LogConfig { safety, unsettled_memory, confidence, poll_interval, .. } = &self.config;
        let limits = Limits { safety: safety.get(), memory: unsettled_memory.as_usize() };
        let settings = Settings { confidence: confidence.get(), poll_interval: poll_interval.get(), order };
        Reader::new(seat, Progress::new(position, limits), settings, context)
    }
}
