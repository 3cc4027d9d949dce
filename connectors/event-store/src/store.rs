//! The event store: a session, prepared statements, and the reads and conditional writes that the steps are made of.
use std::sync::Arc;

use scylla::client::session::Session;
use scylla::errors::ExecutionError;
use scylla::response::query_result::QueryResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlValue, Row};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::head::{ClaimRow, Claimed, HeadRow};
use crate::snapshot::SnapshotStatements;
use crate::statements::Statements;
use crate::{Appended, Error, Head, NewEvent, Options};

/// Appends events and reads them back. Cheap to clone; see the crate's front page for what it promises and why.
#[derive(Debug, Clone)]
pub struct EventStore {
    pub(crate) session: Arc<Session>,
    pub(crate) statements: Arc<Statements>,
    pub(crate) options: Arc<Options>,
    pub(crate) snapshots: Arc<OnceCell<SnapshotStatements>>,
}

/// How a read treats writes whose outcome is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Sees all that was acknowledged.
    Quorum,
    /// Also completes or fences off what is under way.
    Serial,
}

impl EventStore {
    /// Prepares the statements. The tables must be there; [`crate::schema`] lays a schema file.
    ///
    /// # Errors
    /// When a name in `options` is no name, a table or column is missing, or the database does not answer.
    pub async fn open(session: Arc<Session>, options: Options) -> Result<Self, Error> {
        options.check()?;
        let statements = Statements::prepare(&session, &options).await?;
        let (statements, options) = (Arc::new(statements), Arc::new(options));
        Ok(Self { session, statements, options, snapshots: Arc::default() })
    }

    /// Claims and publishes `events` as the next ones after `head`: both steps in a row. Nothing happens when there
    /// are none.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the aggregate is not at `head` any more; the rest of [`Error`] as described there.
    pub async fn append(
        &self,
        head: &Head,
        aggregate_type: &str,
        events: Vec<NewEvent>,
    ) -> Result<Appended, Error> {
        if events.is_empty() {
            return Ok(Appended { head: head.clone(), events: Vec::new() });
        }
        let claim = self.claim(head, aggregate_type, events).await?;
        self.publish(claim).await
    }

    /// What the store was opened with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) async fn read_head(&self, aggregate_id: Uuid, reading: Reading) -> Result<Head, Error> {
        const DOING: &str = "read where the aggregate stands";
        let statement = match reading {
            Reading::Quorum => &self.statements.head,
            Reading::Serial => &self.statements.head_serial,
        };
        let result = self.execute(statement, (aggregate_id,)).await.map_err(|e| Error::database(DOING, e))?;
        let rows = result.into_rows_result().map_err(|e| Error::database(DOING, e))?;
        let row = rows.maybe_first_row::<HeadRow>().map_err(|e| Error::database(DOING, e))?;
        Ok(row.map_or_else(|| Head::none(aggregate_id), |row| row.into_head(aggregate_id)))
    }

    pub(crate) async fn read_claimed(
        &self,
        aggregate_id: Uuid,
        reading: Reading,
    ) -> Result<Option<Claimed>, Error> {
        const DOING: &str = "read the last claim of the aggregate";
        let statement = match reading {
            Reading::Quorum => &self.statements.claimed,
            Reading::Serial => &self.statements.claimed_serial,
        };
        let result = self.execute(statement, (aggregate_id,)).await.map_err(|e| Error::database(DOING, e))?;
        let rows = result.into_rows_result().map_err(|e| Error::database(DOING, e))?;
        let row = rows.maybe_first_row::<ClaimRow>().map_err(|e| Error::database(DOING, e))?;
        row.map(|row| row.into_claimed(aggregate_id)).transpose()
    }

    /// Whether a conditional write was applied. An error leaves that open, unless [`crate::error::is_refusal`].
    pub(crate) async fn decide_lwt(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<bool, LwtError> {
        let result = self.execute(statement, values).await.map_err(|e| LwtError::Execution(Box::new(e)))?;
        let rows = result.into_rows_result().map_err(|_| LwtError::NoVerdict)?;
        // Cassandra adds the old columns only when it did not apply, ScyllaDB always: so this one is found by name.
        let (at, _) = rows.column_specs().get_by_name("[applied]").ok_or(LwtError::NoVerdict)?;
        let row = rows.first_row::<Row>().map_err(|_| LwtError::NoVerdict)?;
        match row.columns.get(at) {
            Some(Some(CqlValue::Boolean(applied))) => Ok(*applied),
            _ => Err(LwtError::NoVerdict),
        }
    }

    pub(crate) async fn execute(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<QueryResult, ExecutionError> {
        // Boxed: the driver's future is some kilobytes, and every step would carry it inline.
        Box::pin(self.session.execute_unpaged(statement, values)).await
    }
}

/// Why a conditional write has no verdict.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LwtError {
    #[error(transparent)]
    Execution(Box<ExecutionError>),
    #[error("the answer to a conditional write has no column `[applied]`")]
    NoVerdict,
}

impl LwtError {
    /// Whether it certainly was not carried out.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Execution(error) => crate::error::is_refusal(error),
            Self::NoVerdict => false,
        }
    }
}
