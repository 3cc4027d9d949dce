//! The reader's metrics.

use std::time::Duration;

use tokio::time::Instant;
use weir_sdk::metrics::{Counter, Gauge, Metrics, Seconds, names};

use super::statement::Skip;
use super::time::Micros;

/// Between two words on rows that come nearly too late.
const PAUSE: Duration = Duration::from_secs(60);

/// The reader's metrics.
pub struct Figures {
    /// Events put into batches.
    pub events: Counter,
    /// How far the front is behind the newest row it could read, in seconds; it grows while nobody polls.
    pub lag: Gauge,
    /// By how much this machine's clock is ahead of the server's, in seconds.
    pub skew: Gauge,
    /// Rows that come later than this are not looked for.
    safety: Micros,
    warned: Option<Instant>,
    late: Counter,
    late_by: Seconds,
    deletes: Counter,
    updates: Counter,
    images: Counter,
    incomplete: Counter,
    unwanted: Counter,
    unknown: Counter,
}

impl Figures {
    /// The figures of one task, whose rows may come `safety` late.
    pub fn new(metrics: &Metrics, safety: Micros) -> Self {
        let counter = |name| metrics.counter(name);
        let gauge = |name| metrics.gauge(name);
        Self {
            events: counter(names::CDC_EVENTS_PROCESSED),
            lag: gauge(names::CDC_LAG),
            skew: gauge(names::CDC_CLOCK_SKEW),
            safety,
            warned: None,
            late: counter(names::CDC_LATE_ROWS),
            late_by: metrics.seconds(names::CDC_LATE),
            deletes: counter(names::CDC_ROWS_DELETED),
            updates: counter(names::CDC_ROWS_UPDATED),
            images: counter(names::CDC_ROWS_IMAGE),
            incomplete: counter(names::CDC_ROWS_INCOMPLETE),
            unwanted: counter(names::CDC_ROWS_UNWANTED),
            unknown: counter(names::CDC_ROWS_UNKNOWN),
        }
    }

    /// So many events came late, so long after they were written.
    pub fn came_late(&mut self, after: Micros, events: u64) {
        if events == 0 {
            return;
        }
        let late = Duration::from_micros(after.max(0).unsigned_abs());
        self.late.add(events);
        self.late_by.observe(late, events);
        let said = self.warned.is_some_and(|warned| warned.elapsed() < PAUSE);
        if after > self.safety / 2 && !said {
            self.warned = Some(Instant::now());
            let safety = Duration::from_micros(self.safety.unsigned_abs());
            tracing::warn!(
                ?late,
                ?safety,
                "rows are read long after their time of writing, and any later than `safety` is never read: check the \
                 clocks of writers that give their own times, and what held the rows up"
            );
        }
    }

    /// A row was passed over.
    pub fn passed_over(&self, skip: Skip) {
        match skip {
            Skip::Delete => &self.deletes,
            Skip::Update => &self.updates,
            Skip::Image => &self.images,
            Skip::Incomplete => &self.incomplete,
            Skip::Unwanted => &self.unwanted,
            Skip::Unknown => &self.unknown,
        }
        .add(1);
    }
}
