//! What the demonstration shows: lines for a person, or one JSON object a line for a script.

use std::net::SocketAddr;

use serde_json::{Value, json};
use weir_host::state::Board;
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
    const READABLE: usize = 12;

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

    /// Counts, lag and state; now and then.
    pub(crate) fn status(&mut self, tally: &Tally, board: &Board) {
        let tasks = board.tasks();
        if self.style == Style::Json {
            let tasks: Vec<Value> = tasks
                .iter()
                .map(|(id, status)| {
                    json!({"task": id.to_string(), "state": status.state, "reason": status.reason,
                           "lag_seconds": status.metrics.gauge(names::CDC_LAG).get()})
                })
                .collect();
            let status = Status {
                events_written: tally.events_written(),
                records_received: tally.records_received(),
                missing: tally.missing(),
                tasks,
            };
            return output::line(event("status", &status));
        }
        let more =
            if self.left_out > 0 { format!("  … and {} more\n", self.left_out) } else { String::new() };
        let states = tasks.iter().map(|(id, status)| {
            let lag = status.metrics.gauge(names::CDC_LAG).get();
            let reason = status.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            format!("{id} {}{reason}, lag {lag:.1} s", status.state.as_str())
        });
        let line = format!(
            "{more}── {} events written, {} records received, {} on their way; {}",
            tally.events_written(),
            tally.records_received(),
            tally.missing(),
            states.collect::<Vec<_>>().join("; "),
        );
        if line != self.last {
            output::line(&line);
            self.last = line;
        }
        (self.shown, self.left_out) = (0, 0);
    }

    /// The last line: what arrived of what was written.
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
    }
}

#[derive(serde::Serialize)]
struct Status {
    events_written: usize,
    records_received: u64,
    missing: usize,
    tasks: Vec<Value>,
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
