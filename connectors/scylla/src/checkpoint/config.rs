//! The `config:` block of the checkpoint store `scylla`.

use schemars::JsonSchema;
use scylla::statement::{Consistency, SerialConsistency};
use serde::Deserialize;
use weir_sdk::config::Problem;

use crate::session::SessionConfig;
use crate::session::config::ConsistencyLevel;

/// Checkpoints in a table, where a newer host takes tasks over from an older one.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckpointConfig {
    /// The cluster. Hosts in several datacenters need `consistency: QUORUM` here: with a local one, each datacenter
    /// decides for itself who has a task.
    pub session: SessionConfig,
    /// The keyspace of the table.
    pub keyspace: String,
    /// The table; a complaint about a table that is absent holds the statement that makes it.
    pub table: String,
}

impl CheckpointConfig {
    /// Problems that the types cannot express.
    pub fn problems(&self) -> Vec<Problem> {
        self.session.check_beside(&[("/keyspace", &self.keyspace), ("/table", &self.table)])
    }

    /// Who decides a conditional write, and the consistency of a read that sees all of them.
    pub(super) fn serial(&self) -> (SerialConsistency, Consistency) {
        match self.session.consistency {
            ConsistencyLevel::LocalOne | ConsistencyLevel::LocalQuorum => {
                (SerialConsistency::LocalSerial, Consistency::LocalSerial)
            }
            ConsistencyLevel::One
            | ConsistencyLevel::Two
            | ConsistencyLevel::Three
            | ConsistencyLevel::Quorum
            | ConsistencyLevel::All => (SerialConsistency::Serial, Consistency::Serial),
        }
    }
}
