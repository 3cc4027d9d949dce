//! Names of tables, consistency, and how long to wait for what.
use std::time::Duration;

use scylla::statement::{Consistency, SerialConsistency};

use crate::{Clock, Error, Upcasters};

/// How an event store is opened. Start with [`Options::new`] and change what differs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The keyspace of all tables.
    pub keyspace: String,
    /// The table of events, the source of truth.
    pub event_store: String,
    /// The table whose CDC log carries the events on.
    pub outbox: String,
    /// The table of claims, one row for each aggregate.
    pub aggregate_sequence: String,
    /// The table of snapshots; it need not be there where no handler keeps any.
    pub snapshots: String,
    /// The table of the time-outs of sagas; it need not be there where no saga runs.
    pub saga_timeouts: String,
    /// Where the writers of one aggregate may be.
    pub scope: Scope,
    /// How many events are read with one request.
    pub page_size: i32,
    /// How old a claim is before a loader takes it over from its writer. Longer means that a crash holds up the next
    /// command on that aggregate for longer; shorter means more repeated events while writers are only slow.
    pub recover_after: Duration,
    /// How old a claim may be and still be published under its own write time. Well under the safety window of the
    /// CDC readers.
    pub renew_after: Duration,
    /// How long one call goes on trying before it answers [`Error::Busy`] or [`Error::Unpublished`].
    pub patience: Duration,
    /// How long one request to the database may take.
    pub request_timeout: Duration,
    /// The largest append, in bytes of payload (and a little for each event). The default stays far below what ScyllaDB
    /// takes as one batch, which carries each payload twice: 1 MiB. A larger append is written as two batches, first the
    /// outbox, then the event store.
    pub max_append_bytes: usize,
    /// The writer's clock.
    pub clock: Clock,
    /// What brings events of older forms up to that of today, whenever they are read.
    pub upcasters: Upcasters,
}

/// Where the writers of one aggregate may be. All of them must say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Anywhere: `SERIAL` and `QUORUM` over all data centres. Always right, and equal to `Local` with one data centre.
    Global,
    /// In one data centre: `LOCAL_SERIAL` and `LOCAL_QUORUM`. Faster over several data centres; writers of one
    /// aggregate in two of them would lose events.
    Local,
}

impl Options {
    /// The default table names in `keyspace`, writers anywhere.
    #[must_use]
    pub fn new(keyspace: &str) -> Self {
        Self {
            keyspace: keyspace.to_owned(),
            event_store: "event_store".to_owned(),
            outbox: "outbox_messages".to_owned(),
            aggregate_sequence: "aggregate_sequence".to_owned(),
            snapshots: "snapshots".to_owned(),
            saga_timeouts: "saga_timeouts".to_owned(),
            scope: Scope::Global,
            page_size: 500,
            recover_after: Duration::from_millis(500),
            renew_after: Duration::from_secs(5),
            patience: Duration::from_secs(15),
            request_timeout: Duration::from_secs(5),
            max_append_bytes: 256 * 1024,
            clock: Clock::system(),
            upcasters: Upcasters::default(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let names = [
            ("keyspace", &self.keyspace),
            ("event_store", &self.event_store),
            ("outbox", &self.outbox),
            ("aggregate_sequence", &self.aggregate_sequence),
            ("snapshots", &self.snapshots),
            ("saga_timeouts", &self.saga_timeouts),
        ];
        for (option, name) in names {
            if !is_identifier(name) {
                let problem = format!("`{option}` is `{name}`: write a name of letters, digits and `_`");
                return Err(Error::Options { problem });
            }
        }
        if self.page_size < 1 {
            return Err(Error::Options { problem: format!("`page_size` is {}: at least 1", self.page_size) });
        }
        Ok(())
    }
}

impl Scope {
    pub(crate) fn consistency(self) -> Consistency {
        match self {
            Self::Global => Consistency::Quorum,
            Self::Local => Consistency::LocalQuorum,
        }
    }

    pub(crate) fn serial(self) -> SerialConsistency {
        match self {
            Self::Global => SerialConsistency::Serial,
            Self::Local => SerialConsistency::LocalSerial,
        }
    }

    /// For a read that completes or fences off what an LWT of unknown outcome left under way.
    pub(crate) fn serial_read(self) -> Consistency {
        match self {
            Self::Global => Consistency::Serial,
            Self::Local => Consistency::LocalSerial,
        }
    }
}

/// Names go into CQL text, so only what CQL takes without quotes is a name.
fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic())
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.len() <= 48
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_name_is_refused_before_it_reaches_cql() {
        let mut options = Options::new("orders_ks");
        assert!(options.check().is_ok());
        options.outbox = "outbox; DROP TABLE event_store".to_owned();
        let error = options.check().unwrap_err().to_string();
        assert!(error.contains("`outbox` is `outbox; DROP TABLE event_store`"), "{error}");
    }

    #[test]
    fn only_names_that_need_no_quotes_are_names() {
        for good in ["a", "orders_ks", "T1"] {
            assert!(is_identifier(good), "{good}");
        }
        for bad in ["", "_a", "1a", "a-b", "a.b", "ä", &"a".repeat(49)] {
            assert!(!is_identifier(bad), "{bad}");
        }
    }
}
