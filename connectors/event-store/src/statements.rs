//! The CQL of the event store, prepared once, each statement with the consistency that its job needs.
use std::time::Duration;

use scylla::client::session::Session;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;

use crate::load::EventRow;
use crate::{Error, Options};

/// All statements.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) head: PreparedStatement,
    pub(crate) head_serial: PreparedStatement,
    pub(crate) claimed: PreparedStatement,
    pub(crate) claimed_serial: PreparedStatement,
    pub(crate) claim_first: PreparedStatement,
    pub(crate) claim_next: PreparedStatement,
    pub(crate) renew: PreparedStatement,
    pub(crate) events: PreparedStatement,
    pub(crate) caused: PreparedStatement,
    pub(crate) event_id: PreparedStatement,
    pub(crate) insert_event: PreparedStatement,
    pub(crate) insert_outbox: PreparedStatement,
}

impl Statements {
    pub(crate) async fn prepare(session: &Session, options: &Options) -> Result<Self, Error> {
        let prepare = Preparing { session, options };
        let sequence = format!("{}.{}", options.keyspace, options.aggregate_sequence);
        let store = format!("{}.{}", options.keyspace, options.event_store);
        let outbox = format!("{}.{}", options.keyspace, options.outbox);

        let head = prepare
            .read(&format!(
                "SELECT current_sequence, claim_ts, pending_count FROM {sequence} WHERE aggregate_id = ?"
            ))
            .await?;
        let claimed = prepare
            .read(&format!(
                "SELECT current_sequence, claim_ts, pending_count, pending FROM {sequence} WHERE aggregate_id = ?"
            ))
            .await?;
        Ok(Self {
            head_serial: prepare.at(head.clone(), options.scope.serial_read()),
            head,
            claimed_serial: prepare.at(claimed.clone(), options.scope.serial_read()),
            claimed,
            claim_first: prepare
                .write(&format!(
                    "INSERT INTO {sequence} (current_sequence, claim_ts, pending_count, pending, updated_at, \
                     aggregate_id) VALUES (?, ?, ?, ?, ?, ?) IF NOT EXISTS"
                ))
                .await?,
            claim_next: prepare
                .write(&format!(
                    "UPDATE {sequence} SET current_sequence = ?, claim_ts = ?, pending_count = ?, pending = ?, \
                     updated_at = ? WHERE aggregate_id = ? IF current_sequence = ? AND claim_ts = ?"
                ))
                .await?,
            renew: prepare
                .write(&format!(
                    "UPDATE {sequence} SET claim_ts = ?, updated_at = ? WHERE aggregate_id = ? \
                     IF current_sequence = ? AND claim_ts = ?"
                ))
                .await?,
            events: prepare
                .read(&format!(
                    "SELECT {} FROM {store} WHERE aggregate_id = ? AND sequence_number > ?",
                    EventRow::COLUMNS
                ))
                .await?,
            caused: prepare
                .read(&format!(
                    "SELECT {} FROM {store} WHERE aggregate_id = ? AND sequence_number <= ? AND causation_id = ? \
                     ALLOW FILTERING",
                    EventRow::COLUMNS
                ))
                .await?,
            event_id: prepare
                .read(&format!("SELECT event_id FROM {store} WHERE aggregate_id = ? AND sequence_number = ?"))
                .await?,
            insert_event: prepare
                .write(&format!(
                    "INSERT INTO {store} (aggregate_id, sequence_number, event_id, event_type, event_version, \
                     aggregate_type, event_data, causation_id, correlation_id, created_at) \
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
                ))
                .await?,
            insert_outbox: prepare.insert_outbox(&outbox).await?,
        })
    }
}

/// Prepares statements with what the options say.
pub(crate) struct Preparing<'a> {
    pub(crate) session: &'a Session,
    pub(crate) options: &'a Options,
}

impl Preparing<'_> {
    /// A statement that may be sent again at will.
    pub(crate) async fn read(&self, text: &str) -> Result<PreparedStatement, Error> {
        let mut statement = self.write(text).await?;
        statement.set_is_idempotent(true);
        Ok(statement)
    }

    /// A statement that only this crate decides to send again: the driver must not.
    async fn write(&self, text: &str) -> Result<PreparedStatement, Error> {
        let mut statement = Box::pin(self.session.prepare(text))
            .await
            .map_err(|e| Error::database("prepare the statements of the event store", e))?;
        let timeout: Duration = self.options.request_timeout;
        statement.set_request_timeout(Some(timeout));
        statement.set_consistency(self.options.scope.consistency());
        statement.set_serial_consistency(Some(self.options.scope.serial()));
        statement.set_page_size(self.options.page_size);
        Ok(statement)
    }

    /// With the trace, where the table has a column for it.
    async fn insert_outbox(&self, outbox: &str) -> Result<PreparedStatement, Error> {
        let (trace, mark) = if self.has_traceparent().await? { (", traceparent", ", ?") } else { ("", "") };
        self.write(&format!(
            "INSERT INTO {outbox} (aggregate_id, sequence_number, id, event_id, event_type, event_version, \
             payload, correlation_id, causation_id, created_at{trace}) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?{mark}) USING TIMESTAMP ?"
        ))
        .await
    }

    /// Whether the outbox has a column of text for the trace.
    async fn has_traceparent(&self) -> Result<bool, Error> {
        const DOING: &str = "read the columns of the outbox";
        const COLUMN: &str = "SELECT type FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ? \
                              AND column_name = 'traceparent'";
        let statement = self.read(COLUMN).await?;
        // Names without quotes are kept in small letters.
        let names = [&self.options.keyspace, &self.options.outbox].map(|name| name.to_ascii_lowercase());
        let asked = Box::pin(self.session.execute_unpaged(&statement, (&names[0], &names[1]))).await;
        let answer = asked.map_err(|e| Error::database(DOING, e))?;
        let rows = answer.into_rows_result().map_err(|e| Error::database(DOING, e))?;
        let found = rows.maybe_first_row::<(String,)>().map_err(|e| Error::database(DOING, e))?;
        Ok(found.is_some_and(|(of_type,)| of_type == "text"))
    }

    fn at(&self, mut statement: PreparedStatement, consistency: Consistency) -> PreparedStatement {
        statement.set_consistency(consistency);
        statement
    }
}
