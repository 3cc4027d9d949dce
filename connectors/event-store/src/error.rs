//! What can go wrong, told apart by what the caller can do about it.
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};
use uuid::Uuid;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why the event store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Somebody else appended first. Nothing was written: load again and decide again.
    #[error("aggregate {aggregate_id} is at {actual}, not at {expected}: another writer was faster")]
    Conflict {
        /// The aggregate.
        aggregate_id: Uuid,
        /// The sequence number that the append was decided on.
        expected: i64,
        /// The sequence number that the aggregate has now.
        actual: i64,
    },
    /// It could not be found out in time whether the events were claimed. Load again: events that are there by their
    /// ids were appended; appending the same events again is harmless either way.
    #[error("aggregate {aggregate_id}: the database does not say whether the append was decided")]
    Busy {
        /// The aggregate.
        aggregate_id: Uuid,
        /// The last answer of the database, if there was one.
        source: Option<Source>,
    },
    /// The events belong to the aggregate, but are not in the tables yet. The next load of the aggregate puts them
    /// there; do not append them again.
    #[error("aggregate {aggregate_id}: events up to {sequence} are claimed but not written yet")]
    Unpublished {
        /// The aggregate.
        aggregate_id: Uuid,
        /// The sequence number of the last claimed event.
        sequence: i64,
        /// The last answer of the database, if there was one.
        source: Option<Source>,
    },
    /// The events belong to the aggregate, but their write time lies in the database's future: the clock of the writer
    /// that claimed them was ahead. ScyllaDB takes no such write into a CDC log. The first load after that time puts
    /// them into the tables; until then nothing can be appended to this aggregate. Set that writer's clock.
    #[error(
        "aggregate {aggregate_id}: events up to {sequence} are claimed for {from}, which the database has not reached: \
         a writer's clock is ahead, set it; they are written by the first load after that time"
    )]
    Ahead {
        /// The aggregate.
        aggregate_id: Uuid,
        /// The sequence number of the last claimed event.
        sequence: i64,
        /// From when on they can be written, by the database's clock.
        from: jiff::Timestamp,
        /// The last answer of the database, if there was one.
        source: Option<Source>,
    },
    /// More bytes in one append than [`crate::Options::max_append_bytes`]. Nothing was written.
    #[error(
        "aggregate {aggregate_id}: an append of {bytes} bytes, the limit is {limit}: append fewer or smaller events"
    )]
    TooLarge {
        /// The aggregate.
        aggregate_id: Uuid,
        /// The size of the append.
        bytes: usize,
        /// The limit it passed.
        limit: usize,
    },
    /// The tables contradict each other. No retry helps; something other than this library wrote or deleted rows.
    #[error("aggregate {aggregate_id} is damaged: {problem}")]
    Corrupt {
        /// The aggregate.
        aggregate_id: Uuid,
        /// What contradicts what.
        problem: String,
    },
    /// An event could not be turned into text, or text not into an event.
    #[error("event {event_type} version {event_version}: {source}")]
    Payload {
        /// The type of the event.
        event_type: String,
        /// The version of its payload.
        event_version: i32,
        /// What the codec says.
        source: serde_json::Error,
    },
    /// The store was opened with options that cannot work.
    #[error("event store options: {problem}")]
    Options {
        /// Which one, and what to write instead.
        problem: String,
    },
    /// A statement of a schema file was refused.
    #[error("could not execute `{statement}`")]
    Schema {
        /// The first line of the statement.
        statement: String,
        /// What the driver says.
        source: Source,
    },
    /// The database answered with an error, or not at all. Nothing was appended by this call.
    #[error("could not {doing}")]
    Database {
        /// What was being done, in words that fit "could not …".
        doing: &'static str,
        /// What the driver says.
        source: Source,
    },
}

impl Error {
    pub(crate) fn database(doing: &'static str, source: impl Into<Source>) -> Self {
        Self::Database { doing, source: source.into() }
    }

    pub(crate) fn corrupt(aggregate_id: Uuid, problem: impl Into<String>) -> Self {
        Self::Corrupt { aggregate_id, problem: problem.into() }
    }

    /// Whether loading again and deciding again can succeed.
    #[must_use]
    pub fn calls_for_another_try(&self) -> bool {
        match self {
            Self::Conflict { .. } | Self::Busy { .. } | Self::Unpublished { .. } => true,
            Self::Ahead { .. }
            | Self::TooLarge { .. }
            | Self::Corrupt { .. }
            | Self::Payload { .. }
            | Self::Options { .. }
            | Self::Schema { .. }
            | Self::Database { .. } => false,
        }
    }
}

/// Whether the server certainly did not carry out a request, because it refused it as such. Everything else (a
/// time-out, a broken connection, an overloaded node) leaves open what happened.
pub(crate) fn is_refusal(error: &ExecutionError) -> bool {
    match error {
        ExecutionError::BadQuery(_) | ExecutionError::EmptyPlan | ExecutionError::PrepareError(_) => true,
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, _)) => matches!(
            error,
            DbError::SyntaxError
                | DbError::Invalid
                | DbError::Unauthorized
                | DbError::AuthenticationError
                | DbError::ConfigError
        ),
        _ => false,
    }
}

/// Whether a write was refused because its time lies in the database's future; only the text tells.
pub(crate) fn is_from_the_future(error: &ExecutionError) -> bool {
    is_invalid_for(error, "from the future")
}

/// Whether a batch was refused for its size alone (`batch_size_fail_threshold_in_kb`); only the text tells.
pub(crate) fn is_too_large(error: &ExecutionError) -> bool {
    is_invalid_for(error, "Batch too large")
}

fn is_invalid_for(error: &ExecutionError, reason: &str) -> bool {
    matches!(
        error,
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(DbError::Invalid, text))
            if text.contains(reason)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_out_is_no_refusal_and_a_bad_request_is() {
        let answered =
            |e: DbError| ExecutionError::LastAttemptError(RequestAttemptError::DbError(e, String::new()));
        assert!(is_refusal(&answered(DbError::Invalid)));
        assert!(is_refusal(&answered(DbError::Unauthorized)));
        assert!(!is_refusal(&answered(DbError::Overloaded)));
        assert!(!is_refusal(&answered(DbError::ServerError)));
        assert!(!is_refusal(&ExecutionError::RequestTimeout(std::time::Duration::from_secs(1))));
    }
}
