//! The `config:` block of `scylla-cdc`.

use schemars::JsonSchema;
use scylla_cdc::consumer::OperationType as Op;
use serde::Deserialize;
use weir_sdk::config::{ByteSize, HumanDuration, Problem};

use crate::reader::config::{self, LogConfig, StartAt};
use crate::reader::statement::Operations;
use crate::session::SessionConfig;

/// Reads every change of a table from its CDC log.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeConfig {
    /// The cluster.
    pub session: SessionConfig,
    /// The keyspace of the table.
    pub keyspace: String,
    /// The table; CDC must be enabled on it.
    pub table: String,
    /// Which changes become records.
    #[serde(default = "every_operation")]
    pub operations: Vec<Operation>,
    /// The images that the table must keep. Others come too where it keeps them.
    #[serde(default)]
    pub images: Vec<Image>,
    /// What a record looks like.
    #[serde(default)]
    pub format: Format,
    /// The record's key, by which order is kept.
    #[serde(default)]
    pub key: KeyOf,
    /// What a deleted row becomes.
    #[serde(default)]
    pub deletes: Deletes,
    /// Where reading begins when there is no checkpoint: `earliest`, `latest` or a time such as `2026-01-31T12:00:00Z`.
    #[serde(default)]
    pub start: StartAt,
    /// How far reading stays behind now. Rows that become readable later than this come out of order.
    #[serde(default = "config::default_confidence")]
    pub confidence: HumanDuration,
    /// For how long a row may become readable late without being lost.
    #[serde(default = "config::default_safety")]
    pub safety: HumanDuration,
    /// How often the log is looked at while there is traffic.
    #[serde(default = "config::default_poll_interval")]
    pub poll_interval: HumanDuration,
    /// Memory for the ids of rows that may still get late neighbours. Over it, a late row brings repeats.
    #[serde(default = "config::default_unsettled_memory")]
    pub unsettled_memory: ByteSize,
}

/// A kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// A row was written by an INSERT.
    Insert,
    /// A row, or the static columns of a partition, were written by an UPDATE, or columns deleted.
    Update,
    /// A row, a range of rows or a partition was deleted.
    Delete,
}

/// A row as it was before or after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Image {
    /// The table's CDC option `preimage`.
    Before,
    /// The table's CDC option `postimage`.
    After,
}

/// What a record looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// What was done, to which row, and how it was before and after.
    #[default]
    Json,
    /// Debezium's envelope, without a schema.
    Debezium,
}

/// The record's key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyOf {
    /// The row's whole primary key. Order is kept for each row.
    #[default]
    Row,
    /// The key of its partition. Order is kept for all rows of a partition, deletes of many at once included.
    Partition,
}

/// What a deleted row becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Deletes {
    /// A record that says so.
    #[default]
    Record,
    /// A record without a value, which a compacted topic understands.
    Tombstone,
}

impl ChangeConfig {
    /// Which log is read, and how.
    pub fn log(&self) -> LogConfig {
        LogConfig {
            session: self.session.clone(),
            keyspace: self.keyspace.clone(),
            table: self.table.clone(),
            start: self.start,
            confidence: self.confidence,
            safety: self.safety,
            poll_interval: self.poll_interval,
            unsettled_memory: self.unsettled_memory,
        }
    }

    /// Problems that the types cannot express.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.log().problems();
        if self.operations.is_empty() {
            let help = "leave it out for all of them: `insert`, `update` and `delete`";
            problems.push(Problem::new("/operations", "nothing would become a record").help(help));
        }
        if self.deletes == Deletes::Tombstone && self.key == KeyOf::Partition {
            let help = "a tombstone takes all records of its key with it: use `key: row`";
            problems
                .push(Problem::new("/deletes", "a deleted row would take its partition with it").help(help));
        }
        problems
    }

    /// The rows of the log that become records: of a range that was deleted the one that ends it.
    pub fn counted(&self) -> Operations {
        let numbers = self.operations.iter().flat_map(|operation| match operation {
            Operation::Insert => &[Op::RowInsert as i8][..],
            Operation::Update => &[Op::RowUpdate as i8],
            Operation::Delete => &[
                Op::RowDelete as i8,
                Op::PartitionDelete as i8,
                Op::RowRangeDelInclRight as i8,
                Op::RowRangeDelExclRight as i8,
            ],
        });
        Operations::of(&numbers.copied().collect::<Vec<_>>())
    }
}

fn every_operation() -> Vec<Operation> {
    vec![Operation::Insert, Operation::Update, Operation::Delete]
}

#[cfg(test)]
mod tests {
    use super::ChangeConfig;
    use crate::reader::progress::Kept;
    use serde_json::{Value, json};

    fn config(more: &Value) -> ChangeConfig {
        let mut config =
            json!({"session": {"contact_points": "127.0.0.1:9042"}, "keyspace": "shop", "table": "stock"});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        weir_sdk::config::read(&config).unwrap()
    }

    #[test]
    fn operations_are_rows_of_the_log() {
        let numbers = |config: &ChangeConfig| {
            let counted = config.counted();
            (-5..12).filter(|number| counted.has(*number) == Kept::Yes).collect::<Vec<i8>>()
        };
        // Of a delete that an expiry made the number is negative; nothing else is.
        assert_eq!(numbers(&config(&json!({}))), [-4, -3, -2, -1, 1, 2, 3, 4, 7, 8]);
        assert_eq!(numbers(&config(&json!({"operations": ["insert"]}))), [-2, 2]);
    }

    #[test]
    fn all_problems_come_at_once() {
        let config = config(&json!({
            "operations": [], "key": "partition", "deletes": "tombstone", "poll_interval": "0s", "table": ""
        }));
        let pointers: Vec<_> = config.problems().into_iter().map(|problem| problem.pointer).collect();
        assert_eq!(pointers, ["/table", "/poll_interval", "/operations", "/deletes"]);
    }
}
