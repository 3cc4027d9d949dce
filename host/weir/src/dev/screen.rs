//! What the demonstration shows: lines for a person, or one JSON object a line for a script.

use std::net::SocketAddr;

use weir_host::state::{Board, State, TaskStatus};
use weir_sdk::TaskId;
use weir_sdk::metrics::names;

use super::receive::Received;
use super::tally::{Summary, Tally};
use crate::output;

/// Shows the demonstration as it goes.
pub(crate) struct Screen {
    style: Style,
    /// Lines for records that were shown since the last status, and how many were left out.
    shown: usize,
    left_out: usize,
    last: String,
}

/// Who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// A person, who can read so many records a second.
    Human,
    /// A script, which gets them all.
    Json,
}

/// Where the services are.
#[derive(serde::Serialize)]
pub(crate) struct Addresses {
    pub(crate) cql: SocketAddr,
    pub(crate) kafka: SocketAddr,
    pub(crate) http: SocketAddr,
}

impl Screen {
    /// So many lines for records between two status lines; more is a blur.
    const READABLE: usize = 8;

    pub(crate) fn new(style: Style) -> Self {
        Self { style, shown: 0, left_out: 0, last: String::new() }
    }

    /// The first line: where everything is.
    pub(crate) fn ready(&self, at: &Addresses) {
        let Addresses { cql, kafka, http } = at;
        match self.style {
            Style::Json => output::line(event("ready", at)),
            Style::Human => output::line(format_args!(
                "everything runs on this machine, in memory:\n\
                 \x20 CQL    {cql:<16}  cqlsh {} {}\n\
                 \x20 Kafka  {kafka:<16}  kcat -b {kafka} -t order-events -C\n\
                 \x20 HTTP   {http:<16}  curl {http}/health\n",
                cql.ip(),
                cql.port(),
            )),
        }
    }

    /// A record as the consumer received it.
    pub(crate) fn received(&mut self, record: &Received) {
        if self.style == Style::Json {
            return output::line(event("record", record));
        }
        if self.shown == Self::READABLE {
            self.left_out += 1;
            return;
        }
        self.shown += 1;
        let key = record.key.get(..8).unwrap_or(&record.key);
        let place = format!("{}[{}]@{}", record.topic, record.partition, record.offset);
        let what = record.event_type.as_deref().unwrap_or("-");
        let number = record.sequence_number.map(|number| format!("#{number}")).unwrap_or_default();
        let late = record.latency_ms.map(|ms| format!("{ms} ms after it was written")).unwrap_or_default();
        output::line(format_args!("  {place:<22} {key:<8}  {what:<18} {number:<4} {late}"));
    }

    /// Counts, and each consumer's state, lag and checkpoint; now and then.
    pub(crate) fn status(&mut self, tally: &Tally, board: &Board) {
        let tasks: Vec<_> = board.tasks().into_iter().map(|(id, status)| Task::of(&id, status)).collect();
        let status = Status {
            events_written: tally.events_written(),
            records_received: tally.records_received(),
            missing: tally.missing(),
            tasks,
        };
        if self.style == Style::Json {
            return output::line(event("status", &status));
        }
        let more =
            if self.left_out > 0 { format!("  … and {} more\n", self.left_out) } else { String::new() };
        (self.shown, self.left_out) = (0, 0);
        let counts = format!(
            "── {} events written, {} records received from the topic, {} on their way",
            status.events_written, status.records_received, status.missing,
        );
        let width = status.tasks.iter().map(|task| task.task.len()).max().unwrap_or_default();
        let moved = |task: &Task| format!("{}{}{:?}", task.state.as_str(), task.records_written, task.reason);
        let now = status.tasks.iter().map(moved).fold(counts.clone(), |all, task| all + &task);
        // Checkpoints move on while nothing else does.
        if now != self.last {
            output::line(format_args!("{more}{counts}"));
            status.tasks.iter().for_each(|task| output::line(task.sentence(width)));
            self.last = now;
        }
    }

    /// The last lines: what arrived of what was written, at each destination.
    pub(crate) fn done(&self, summary: &Summary) {
        if self.style == Style::Json {
            return output::line(event("done", summary));
        }
        let ms = |latency: Option<i64>| latency.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"));
        output::line(format_args!(
            "\ncounted at the destination: {} events written, {} delivered, {} repeated, {} lost, {} dead-lettered, \
             {} out of order; latency p50 {}, p99 {}",
            summary.events_written,
            summary.events_delivered,
            summary.duplicates,
            summary.lost,
            summary.dead_lettered,
            summary.out_of_order,
            ms(summary.p50_ms),
            ms(summary.p99_ms),
        ));
        for table in &summary.tables {
            let (name, right, orders) = (table.table, table.right, summary.orders);
            output::line(format_args!("  {name:<18}  {right} of {orders} orders as their last event says"));
        }
    }
}

#[derive(serde::Serialize)]
struct Status {
    events_written: usize,
    records_received: u64,
    missing: usize,
    tasks: Vec<Task>,
}

/// A consumer of the outbox: one sink of one pipeline.
#[derive(serde::Serialize)]
struct Task {
    task: String,
    state: State,
    reason: Option<String>,
    lag_seconds: f64,
    checkpoint_age_seconds: f64,
    records_written: u64,
}

impl Task {
    fn of(id: &TaskId, status: TaskStatus) -> Self {
        Self {
            task: id.to_string(),
            state: status.state,
            reason: status.reason,
            lag_seconds: status.metrics.gauge(names::CDC_LAG).get(),
            checkpoint_age_seconds: status.metrics.gauge(names::CHECKPOINT_AGE).get(),
            records_written: status.metrics.counter(names::RECORDS_WRITTEN).get(),
        }
    }

    /// One line, the name as wide as the widest.
    fn sentence(&self, width: usize) -> String {
        let reason = self.reason.as_deref().map(|reason| format!("  ({reason})")).unwrap_or_default();
        format!(
            "   {:<width$}  {:<9} {:>7} written   lag {:>4.1} s   checkpoint {:>4.1} s old{reason}",
            self.task,
            self.state.as_str(),
            self.records_written,
            self.lag_seconds,
            self.checkpoint_age_seconds,
        )
    }
}

/// One line for a script: what it is first, then its facts.
fn event(name: &'static str, facts: &impl serde::Serialize) -> String {
    #[derive(serde::Serialize)]
    struct Line<'a, T> {
        event: &'static str,
        #[serde(flatten)]
        facts: &'a T,
    }
    // Plain structs of numbers and text have no way to fail.
    serde_json::to_string(&Line { event: name, facts }).unwrap_or_default()
}
