//! The server's clock: the system's, or one that a test moves by hand; either can be moved by an offset.
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// Tells the time that timestamps, TTLs and generations go by. Clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    system: bool,
    /// Added to the system's time; the time itself on a manual clock. Microseconds.
    offset: AtomicI64,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(Arc::new(Inner { system: true, offset: AtomicI64::new(0) }))
    }

    /// A clock that stands at `micros` (µs since 1970) until it is moved.
    pub fn manual(micros: i64) -> Self {
        Self(Arc::new(Inner { system: false, offset: AtomicI64::new(micros) }))
    }

    /// The time, µs since 1970.
    pub fn micros(&self) -> i64 {
        let offset = self.0.offset.load(Ordering::Relaxed);
        if !self.0.system {
            return offset;
        }
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX).saturating_add(offset)
    }

    /// The time, seconds since 1970, as TTLs are counted.
    pub fn seconds(&self) -> u32 {
        u32::try_from(self.micros() / 1_000_000).unwrap_or(u32::MAX)
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.offset.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Moves the clock back.
    pub fn rewind(&self, by: Duration) {
        self.0.offset.fetch_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}
