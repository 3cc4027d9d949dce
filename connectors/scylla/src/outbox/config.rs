//! The `config:` block of `scylla-outbox`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::config::{ByteSize, HumanDuration, Problem};

use super::housekeeping::HousekeepingConfig;
use crate::reader::config::{self, LogConfig, SnapshotMode, StartAt};
use crate::session::SessionConfig;

/// Reads the events of an outbox table from its CDC log.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutboxConfig {
    /// The cluster.
    pub session: SessionConfig,
    /// The keyspace of the outbox table.
    pub keyspace: String,
    /// The outbox table; CDC must be enabled on it.
    pub table: String,
    /// Which names are usual for the table's columns.
    #[serde(default)]
    pub preset: Preset,
    /// Names of the table's columns, where they are not the usual ones.
    #[serde(default)]
    pub columns: Columns,
    /// Further headers: a header's name and the column that it takes its value from.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Puts all rows in the order of their writing, for tables that keep the events of one aggregate in many partitions.
    #[serde(default)]
    pub order_by_key: bool,
    /// With `order_by_key`: what orders events of the same microsecond; usually `sequence_number`, if there is one.
    #[serde(default)]
    pub order_column: Option<String>,
    /// With `order_by_key`: memory for the rows that are put in order at a time.
    #[serde(default = "default_order_memory")]
    pub order_memory: ByteSize,
    /// Where reading begins when there is no checkpoint: `earliest`, `latest` or a time such as `2026-01-31T12:00:00Z`.
    #[serde(default)]
    pub start: StartAt,
    /// Whether the rows that the table holds are read before its log, when there is no checkpoint.
    #[serde(default)]
    pub snapshot: SnapshotMode,
    /// The table whose rows a snapshot reads and `weir rebuild` begins with, where that is not the outbox: the event
    /// store, which forgets nothing.
    #[serde(default)]
    pub snapshot_from: Option<SnapshotFrom>,
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
    /// What becomes of rows that every consumer has passed; where it is left out, nothing does.
    #[serde(default)]
    pub housekeeping: Option<HousekeepingConfig>,
}

/// Which names are usual for the table's columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// `aggregate_id`, `event_id`, `event_type`, `payload` and the others that `columns` names.
    #[default]
    Weir,
    /// Those of Debezium's outbox table: `id`, `aggregatetype`, `aggregateid`, `type` and `payload`.
    Debezium,
}

/// A table that holds every event there ever was, also those that the outbox has forgotten. A row there has the write
/// time of the outbox row of its event.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotFrom {
    /// The table, in the keyspace of the outbox.
    pub table: String,
    /// Names of its columns, where they are not the usual ones; those of the outbox do not count here.
    #[serde(default)]
    pub columns: Columns,
    /// Further headers, where their columns are called differently here: a header's name and the column.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// Names of the columns; one that is not given is the usual one, and left out where it is optional and not there.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Columns {
    /// What order is kept by, the record's key; usually `aggregate_id`.
    pub aggregate_id: Option<String>,
    /// The kind of thing that the event is of; only with `preset: debezium`, or where it is named.
    pub aggregate_type: Option<String>,
    /// The event's own id; usually `event_id`.
    pub event_id: Option<String>,
    /// The event's type; usually `event_type`.
    pub event_type: Option<String>,
    /// The record's value; usually `payload`.
    pub payload: Option<String>,
    /// The version of the event's type; usually `event_version`, optional.
    pub event_version: Option<String>,
    /// The event's number within its aggregate; usually `sequence_number`, optional.
    pub sequence_number: Option<String>,
    /// The request that led to the event; usually `correlation_id`, optional.
    pub correlation_id: Option<String>,
    /// The event or command before; usually `causation_id`, optional.
    pub causation_id: Option<String>,
    /// When the event was made; usually `created_at`, optional.
    pub created_at: Option<String>,
    /// The trace that the event belongs to; usually `traceparent`, optional.
    pub traceparent: Option<String>,
}

impl OutboxConfig {
    /// Which log is read, and how.
    pub fn log(&self) -> LogConfig {
        LogConfig {
            session: self.session.clone(),
            keyspace: self.keyspace.clone(),
            table: self.table.clone(),
            start: self.housekeeping.as_ref().map_or(self.start, |_| self.start.on_the_minute()),
            confidence: self.confidence,
            safety: self.safety,
            poll_interval: self.poll_interval,
            unsettled_memory: self.unsettled_memory,
        }
    }

    /// Problems that the types cannot express.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.log().problems();
        if self.snapshot == SnapshotMode::Initial && self.start != StartAt::default() {
            let help = "leave `start` out: after a snapshot the log is read from before the snapshot began";
            problems.push(Problem::new("/start", "a snapshot decides where the log is read from").help(help));
        }
        if self.order_column.is_some() && !self.order_by_key {
            let help = "set `order_by_key: true`, or leave it out";
            problems.push(Problem::new("/order_column", "rows are not put in order").help(help));
        }
        if self.snapshot == SnapshotMode::Initial && self.order_by_key {
            let help = "a projection does without the order; elsewhere leave the snapshot out";
            let message = "a snapshot comes in the order of tokens, which is none";
            problems.push(Problem::new("/order_by_key", message).help(help));
        }
        if let Some(from) = &self.snapshot_from {
            problems.extend(from.problem(self).map(|problem| problem.under("/snapshot_from")));
        }
        if let Some(housekeeping) = &self.housekeeping {
            let below = housekeeping.problems(&self.table, self.safety.get()).into_iter();
            problems.extend(below.map(|problem| problem.under("/housekeeping")));
        }
        problems
    }

    /// How the rows of the table of a snapshot are read, where that is not the outbox.
    pub fn of_snapshot(&self) -> Option<Self> {
        let SnapshotFrom { table, columns, headers } = self.snapshot_from.clone()?;
        let headers = self.headers.clone().into_iter().chain(headers).collect();
        let without_order = Self { order_by_key: false, order_column: None, ..self.clone() };
        Some(Self { table, columns, headers, ..without_order })
    }
}

impl SnapshotFrom {
    fn problem(&self, of: &OutboxConfig) -> Option<Problem> {
        if self.table.is_empty() {
            return Some(Problem::new("/table", "expected a name").help("for example `event_store`"));
        }
        (self.table == of.table).then(|| {
            Problem::new("/table", "this is the outbox itself")
                .help("leave `snapshot_from` out: a snapshot reads the rows of the outbox where nothing else is named")
        })
    }
}

fn default_order_memory() -> ByteSize {
    ByteSize::mib(64)
}

#[cfg(test)]
mod tests {
    use super::{OutboxConfig, StartAt};
    use serde_json::json;

    #[test]
    fn a_cluster_and_a_table_are_enough() {
        let config: OutboxConfig = weir_sdk::config::read(&json!({
            "session": {"contact_points": "127.0.0.1:9042"}, "keyspace": "orders_ks", "table": "outbox_messages"
        }))
        .unwrap();
        assert!(config.problems().is_empty());
        assert_eq!((config.start, config.confidence.to_string()), (StartAt::Earliest, "200ms".to_owned()));
    }

    #[test]
    fn all_problems_come_at_once() {
        let config: OutboxConfig = weir_sdk::config::read(&json!({
            "session": {"contact_points": []}, "keyspace": "", "table": "outbox_scylla_cdc_log",
            "safety": "100ms", "poll_interval": "0s", "start": "latest", "snapshot": "initial",
            "order_by_key": true, "snapshot_from": {"table": "outbox_scylla_cdc_log"}
        }))
        .unwrap();
        let pointers: Vec<_> = config.problems().into_iter().map(|problem| problem.pointer).collect();
        assert_eq!(
            pointers,
            [
                "/session/contact_points",
                "/keyspace",
                "/table",
                "/safety",
                "/poll_interval",
                "/start",
                "/order_by_key",
                "/snapshot_from/table"
            ]
        );
    }
}
