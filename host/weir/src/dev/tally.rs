//! `Tally`: what was written, what arrived, and what the difference means.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::receive::Received;
use super::tables::Shown;

/// Counts by event id, and keeps an eye on the order per key.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    written: HashSet<Uuid>,
    delivered: HashSet<Uuid>,
    /// Written, and not delivered; kept, because it is asked for after every record.
    missing: usize,
    /// Records received, repeats and those without an event id among them.
    received: u64,
    duplicates: u64,
    /// The last sequence number by key, and how often one came that had no right to come yet.
    last: HashMap<(String, String), i64>,
    out_of_order: u64,
    latencies: Latencies,
}

/// What the demonstration says at its end.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Summary {
    /// Events that the application wrote.
    pub(crate) events_written: usize,
    /// Different events that arrived.
    pub(crate) events_delivered: usize,
    /// Events that arrived again.
    pub(crate) duplicates: u64,
    /// Written, and neither arrived nor dead-lettered.
    pub(crate) lost: usize,
    /// In the dead-letter table.
    pub(crate) dead_lettered: usize,
    /// Arrived before an earlier event of the same order.
    pub(crate) out_of_order: u64,
    /// Half of the events arrived within this time of being written.
    pub p50_ms: Option<i64>,
    /// 99 of 100 did.
    pub p99_ms: Option<i64>,
    /// Orders that the application placed.
    pub(crate) orders: usize,
    /// What each projection shows of them.
    pub(crate) tables: Vec<Shown>,
}

impl Summary {
    /// Whether everything is at every destination.
    pub(crate) fn is_whole(&self) -> bool {
        self.lost == 0 && self.tables.iter().all(|table| table.wrong == 0)
    }
}

impl Tally {
    /// The application wrote this event.
    pub(crate) fn wrote(&mut self, event: Uuid) {
        if self.written.insert(event) && !self.delivered.contains(&event) {
            self.missing += 1;
        }
    }

    /// The consumer received this record.
    pub(crate) fn received(&mut self, record: &Received) {
        self.received += 1;
        self.latencies.note(record.latency_ms);
        let id = record.event_id.as_deref().and_then(|id| Uuid::parse_str(id).ok());
        if let Some(id) = id {
            if !self.delivered.insert(id) {
                self.duplicates += 1;
                return;
            }
            self.missing -= usize::from(self.written.contains(&id));
        }
        let Some(number) = record.sequence_number else { return };
        let last = self.last.entry((record.topic.clone(), record.key.clone())).or_default();
        self.out_of_order += u64::from(number < *last);
        *last = number.max(*last);
    }

    /// Different events written so far.
    pub(crate) fn events_written(&self) -> usize {
        self.written.len()
    }

    /// Records received so far.
    pub(crate) fn records_received(&self) -> u64 {
        self.received
    }

    /// Written, and not yet arrived.
    pub(crate) fn missing(&self) -> usize {
        self.missing
    }

    /// The end of the story; `dead` are the events in the dead-letter table, `tables` show these orders.
    pub(crate) fn summary(&self, dead: &HashSet<Uuid>, orders: usize, tables: Vec<Shown>) -> Summary {
        let gone = |id: &&Uuid| !self.delivered.contains(*id) && !dead.contains(*id);
        let (p50_ms, p99_ms) = self.latencies.percentiles();
        Summary {
            events_written: self.written.len(),
            events_delivered: self.delivered.len(),
            duplicates: self.duplicates,
            lost: self.written.iter().filter(gone).count(),
            dead_lettered: dead.len(),
            out_of_order: self.out_of_order,
            p50_ms,
            p99_ms,
            orders,
            tables,
        }
    }
}

/// The latest latencies; enough for percentiles, bounded in memory.
#[derive(Debug, Default)]
struct Latencies {
    ring: Vec<i64>,
    next: usize,
}

impl Latencies {
    const KEPT: usize = 100_000;

    fn note(&mut self, latency: Option<i64>) {
        let Some(latency) = latency else { return };
        if self.ring.len() < Self::KEPT {
            self.ring.push(latency);
        } else {
            self.ring[self.next] = latency;
            self.next = (self.next + 1) % Self::KEPT;
        }
    }

    fn percentiles(&self) -> (Option<i64>, Option<i64>) {
        let mut sorted = self.ring.clone();
        sorted.sort_unstable();
        let at = |share: usize| {
            sorted.get((sorted.len() * share / 100).min(sorted.len().saturating_sub(1))).copied()
        };
        (at(50), at(99))
    }
}

#[cfg(test)]
mod tests {
    use super::{Received, Tally};
    use uuid::Uuid;

    fn record(key: &str, event: Uuid, number: i64, latency_ms: i64) -> Received {
        Received {
            topic: "order-events".into(),
            partition: 0,
            offset: 0,
            key: key.into(),
            event_type: None,
            event_id: Some(event.to_string()),
            sequence_number: Some(number),
            latency_ms: Some(latency_ms),
        }
    }

    #[test]
    fn counts_what_is_lost_repeated_dead_and_out_of_order() {
        let ids: Vec<_> = (0..5).map(|_| Uuid::new_v4()).collect();
        let mut tally = Tally::default();
        ids.iter().for_each(|id| tally.wrote(*id));
        tally.received(&record("a", ids[0], 1, 10));
        tally.received(&record("a", ids[0], 1, 900));
        tally.received(&record("a", ids[2], 3, 20));
        tally.received(&record("a", ids[1], 2, 30));
        assert_eq!((tally.missing(), tally.records_received()), (2, 4));
        let summary = tally.summary(&[ids[3]].into(), 0, Vec::new());
        assert_eq!((summary.events_written, summary.events_delivered, summary.duplicates), (5, 3, 1));
        assert_eq!((summary.lost, summary.dead_lettered, summary.out_of_order), (1, 1, 1));
        assert_eq!((summary.p50_ms, summary.p99_ms), (Some(30), Some(900)));
    }
}
