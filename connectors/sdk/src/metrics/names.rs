//! Every metric name and its help text, once.
//!
//! The host prefixes a name with `weir_`, except those in [`UNPREFIXED`], which dashboards of this kind of system
//! expect as they are; what a dead-letter sink counts, with `weir_dead_letter_`. All carry the labels `pipeline` and
//! `sink`. A name may end with labels of its own, written as in the exposition: figures that differ in these alone are
//! shown as one metric, under the help text of the first.

/// A metric's name and one sentence for the reader of a dashboard.
pub type Name = (&'static str, &'static str);

/// Names shown without the prefix.
pub const UNPREFIXED: [&str; 4] =
    [CDC_EVENTS_PROCESSED.0, RETRY_ATTEMPTS.0, DLQ_MESSAGES.0, CIRCUIT_BREAKER_STATE.0];

/// Counter.
pub const CDC_EVENTS_PROCESSED: Name =
    ("cdc_events_processed_total", "Events read from the CDC log and handed to the task.");
/// Counter.
pub const RETRY_ATTEMPTS: Name = ("retry_attempts_total", "Writes sent again after a failure.");
/// Counter.
pub const DLQ_MESSAGES: Name = ("dlq_messages_total", "Records that went to the dead letters.");
/// Gauge, seconds.
pub const CDC_LAG: Name = ("cdc_lag_seconds", "How far the reader is behind the newest row it could read.");
/// Counter.
pub const CDC_LATE_ROWS: Name = (
    "cdc_late_rows_total",
    "Rows that became visible after their place had been read, found by a later visit.",
);
/// Distribution.
pub const CDC_LATE: Name = ("cdc_late_seconds", "How late such rows were read, from their write time.");
/// Gauge, seconds.
pub const CDC_CLOCK_SKEW: Name =
    ("cdc_clock_skew_seconds", "This machine's clock minus the server's; positive when ours is ahead.");
/// Counter.
pub const CDC_ROWS_DELETED: Name =
    ("cdc_rows_skipped_delete_total", "CDC rows passed over: a delete or expiry.");
/// Counter.
pub const CDC_ROWS_UPDATED: Name = (
    "cdc_rows_skipped_update_total",
    "CDC rows passed over: an update that does not set every required column.",
);
/// Counter.
pub const CDC_ROWS_IMAGE: Name =
    ("cdc_rows_skipped_image_total", "CDC rows passed over: a preimage or postimage.");
/// Counter.
pub const CDC_ROWS_INCOMPLETE: Name =
    ("cdc_rows_skipped_incomplete_total", "CDC rows passed over: a required column is null.");
/// Counter.
pub const CDC_ROWS_UNWANTED: Name = (
    "cdc_rows_skipped_unwanted_total",
    "CDC rows passed over: an operation that the configuration leaves out.",
);
/// Counter.
pub const CDC_ROWS_UNKNOWN: Name =
    ("cdc_rows_skipped_unknown_total", "CDC rows passed over: an operation this version does not know.");
/// Counter.
pub const SNAPSHOT_ROWS: Name =
    ("snapshot_rows_total", "Events read from the table itself, by a snapshot before its log.");
/// Counter.
pub const SNAPSHOT_INCOMPLETE: Name = (
    "snapshot_rows_skipped_total",
    "Rows of the table passed over by a snapshot: a required column is null.",
);
/// Gauge.
pub const SNAPSHOT_DONE: Name =
    ("snapshot_done_ratio", "The share of the table that the snapshot has read, 0 to 1.");
/// Counter.
pub const PROJECTION_IGNORED: Name = (
    "projection_records_ignored_total",
    "Records passed over by a projection: no mapping names their type of event.",
);
/// Counter.
pub const RECORDS_READ: Name = ("source_records_read_total", "Records that the source gave to the task.");
/// Counter.
pub const FILE_RESTS_LOST: Name = (
    "file_rests_lost_total",
    "Files that were replaced while nobody read them and could not be found: what was not read of them is not known.",
);
/// Counter.
pub const RECORDS_WRITTEN: Name = ("sink_records_written_total", "Records that the sink made durable.");
/// Distribution.
pub const WRITE: Name = ("sink_write_seconds", "How long one write took, retries and waits included.");
/// Counter.
pub const WRITE_ERRORS: Name = ("sink_write_errors_total", "Writes that failed, as a whole or in part.");
/// Distribution.
pub const END_TO_END: Name =
    ("end_to_end_seconds", "From the source's write time until the record was durable.");
/// Gauge.
pub const TASK_STATE: Name =
    ("task_state", "0 RUNNING, 1 DEGRADED, 2 PARKED, 3 PAUSED, 4 RESTARTING, 5 FAILED, 6 GAP, 7 STOPPED.");
/// Counter.
pub const TASK_RESTARTS: Name =
    ("task_restarts_total", "Times that the task was built anew after a failure.");
/// Counter.
pub const GAPS_ACCEPTED: Name =
    ("gaps_accepted_total", "Gaps that the operator accepted: what had expired in them is lost.");
/// Gauge, seconds.
pub const CDC_GAP: Name =
    ("cdc_gap_seconds", "How much of the log the last accepted gap has lost, by its time of writing.");
/// Gauge.
pub const CDC_UNPASSED_ROWS: Name = (
    "cdc_unpassed_rows",
    "Rows of the outbox, older than housekeeping's `after`, that a consumer has not passed.",
);
/// Counter.
pub const HOUSEKEEPING_DELETED: Name =
    ("housekeeping_rows_deleted_total", "Rows of the outbox deleted because every consumer has passed them.");
/// Gauge, seconds.
pub const HOUSEKEEPING_AGE: Name = (
    "housekeeping_age_seconds",
    "How old the first minute of the outbox is that housekeeping has not looked at.",
);
/// Gauge.
pub const TASK_IN_FLIGHT: Name = ("task_in_flight_records", "Records read but not yet settled.");
/// Gauge, seconds.
pub const CHECKPOINT_AGE: Name =
    ("checkpoint_age_seconds", "Time since the last checkpoint was saved, or since the task was built.");
/// Gauge.
pub const CIRCUIT_BREAKER_STATE: Name = ("circuit_breaker_state", "0 closed, 1 half-open, 2 open.");
/// Counter.
pub const CIRCUIT_BREAKER_OPENED: Name =
    (r#"circuit_breaker_transitions_total{from="closed",to="open"}"#, TRANSITIONS);
/// Counter.
pub const CIRCUIT_BREAKER_HALF_OPENED: Name =
    (r#"circuit_breaker_transitions_total{from="open",to="half_open"}"#, TRANSITIONS);
/// Counter.
pub const CIRCUIT_BREAKER_REOPENED: Name =
    (r#"circuit_breaker_transitions_total{from="half_open",to="open"}"#, TRANSITIONS);
/// Counter.
pub const CIRCUIT_BREAKER_CLOSED: Name =
    (r#"circuit_breaker_transitions_total{from="half_open",to="closed"}"#, TRANSITIONS);
const TRANSITIONS: &str = "Changes of the circuit breaker from one state to another.";
/// Gauge, seconds.
pub const TASK_PARKED: Name =
    ("task_parked_seconds", "How long the task has been PARKED now; 0 when it is not.");
/// Gauge.
pub const RETRY_BUDGET: Name =
    ("retry_budget_remaining", "Retries that may be sent at once before they are spread over time.");
/// Counter.
pub const RETRY_BUDGET_WAITS: Name =
    ("retry_budget_waits_total", "Retries that had to wait because the retry budget was used up.");
/// Counter.
pub const POISON_SPLITS: Name =
    ("poison_splits_total", "Writes refused as a whole and split to find the record that is at fault.");
