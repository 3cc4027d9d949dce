//! The reader's metrics.

use std::time::Duration;

use weir_sdk::metrics::{Counter, Gauge, Metrics, Seconds, names};

use super::statement::Skip;
use super::time::Micros;

/// The reader's metrics.
pub struct Figures {
    /// Events put into batches.
    pub events: Counter,
    /// How far the front is behind the newest row it could read, in seconds; it grows while nobody polls.
    pub lag: Gauge,
    /// Our clock minus the server's, in seconds.
    pub skew: Gauge,
    late: Counter,
    late_by: Seconds,
    deletes: Counter,
    updates: Counter,
    images: Counter,
    incomplete: Counter,
    unknown: Counter,
}

impl Figures {
    /// The figures of one task.
    pub fn new(metrics: &Metrics) -> Self {
        let counter = |name| metrics.counter(name);
        let gauge = |name| metrics.gauge(name);
        Self {
            events: counter(names::CDC_EVENTS_PROCESSED),
            lag: gauge(names::CDC_LAG),
            skew: gauge(names::CDC_CLOCK_SKEW),
            late: counter(names::CDC_LATE_ROWS),
            late_by: metrics.seconds(names::CDC_LATE),
            deletes: counter(names::CDC_ROWS_DELETED),
            updates: counter(names::CDC_ROWS_UPDATED),
            images: counter(names::CDC_ROWS_IMAGE),
            incomplete: counter(names::CDC_ROWS_INCOMPLETE),
            unknown: counter(names::CDC_ROWS_UNKNOWN),
        }
    }

    /// So many events came late, so long after they were written.
    pub fn came_late(&self, after: Micros, events: u64) {
        if events > 0 {
            self.late.add(events);
            self.late_by.observe(Duration::from_micros(after.max(0).unsigned_abs()), events);
        }
    }

    /// A row was passed over.
    pub fn passed_over(&self, skip: Skip) {
        match skip {
            Skip::Delete => &self.deletes,
            Skip::Update => &self.updates,
            Skip::Image => &self.images,
            Skip::Incomplete => &self.incomplete,
            Skip::Unknown => &self.unknown,
        }
        .add(1);
    }
}
