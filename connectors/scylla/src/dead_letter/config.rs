//! The `config:` block of `scylla-dead-letter`, the same for the sink and the source.

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::config::Problem;

use crate::session::SessionConfig;

/// Dead letters in a table, a column for each fact.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadLetterConfig {
    /// The cluster.
    pub session: SessionConfig,
    /// The keyspace of the table.
    pub keyspace: String,
    /// The table; a complaint about a table that is absent holds the statement that makes it.
    pub table: String,
}

impl DeadLetterConfig {
    /// Problems that the types cannot express.
    pub fn problems(&self) -> Vec<Problem> {
        self.session.check_beside(&[("/keyspace", &self.keyspace), ("/table", &self.table)])
    }
}
