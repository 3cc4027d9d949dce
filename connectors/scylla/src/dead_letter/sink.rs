//! The sink: one row a dead letter, many writes at a time.

use std::sync::Arc;

use scylla::client::session::Session;
use scylla::statement::prepared::PreparedStatement;
use weir_sdk::config::Problem;
use weir_sdk::dead_letter::DeadLetter;
use weir_sdk::{Context, Error, Order, Record, Records, Sink, SinkConnector, WriteError, async_trait};

use super::config::DeadLetterConfig;
use super::row::Written;
use super::table::{self, COLUMNS};
use crate::hub::Hub;
use crate::session::errors::Classify;
use crate::session::rows;

/// How many rows of one call are on their way at a time.
const AT_A_TIME: usize = 64;

/// Writes dead letters to a table.
#[derive(Clone, Debug, Default)]
pub struct DeadLetterSink {
    hub: Hub,
}

impl DeadLetterSink {
    /// Shares the sessions of this hub.
    pub fn over(hub: Hub) -> Self {
        Self { hub }
    }
}

#[async_trait]
impl SinkConnector for DeadLetterSink {
    const NAME: &'static str = "scylla-dead-letter";
    type Config = DeadLetterConfig;

    fn check(&self, config: &DeadLetterConfig) -> Vec<Problem> {
        config.problems()
    }

    async fn open(&self, config: DeadLetterConfig, _context: Context) -> Result<Arc<dyn Sink>, Error> {
        let session = self.hub.session(&config.session).await?;
        table::check(&session, &config).await?;
        let marks = COLUMNS.map(|(name, _)| format!(":{name}")).join(", ");
        let (table, names) = (table::quoted(&config), table::names());
        let text = format!("INSERT INTO {table} ({names}) VALUES ({marks}) USING TIMESTAMP :written_us");
        let prepared = session.prepare(text).await;
        let mut insert = prepared.map_err(|error| error.classify().context("prepare the insert"))?;
        insert.set_is_idempotent(true);
        Ok(Arc::new(OpenTable { session, insert }))
    }
}

struct OpenTable {
    session: Arc<Session>,
    insert: PreparedStatement,
}

#[async_trait]
impl Sink for OpenTable {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
        rows::write_each(&records, AT_A_TIME, |index| self.write_one(&records[index])).await
    }

    async fn probe(&self) -> Result<(), Error> {
        rows::probe(&self.session).await
    }

    fn order(&self) -> Order {
        Order::Converges
    }
}

impl OpenTable {
    async fn write_one(&self, record: &Record) -> Result<(), Error> {
        let row = Written::from(DeadLetter::from_record(record.clone())?);
        let written = self.session.execute_unpaged(&self.insert, row).await;
        written.map(drop).map_err(|error| error.classify().context("write a dead letter"))
    }
}
