//! `Window`: how the calls of the last seconds went, in ten equal buckets.

use std::time::Duration;

/// Sums over a time that slides on by a tenth of itself.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Window {
    tenth: Duration,
    /// The number of the newest bucket, counted from the birth of the circuit.
    newest: u64,
    buckets: [Calls; 10],
}

/// Calls, and how many of them went wrong in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Calls {
    pub(super) all: u32,
    pub(super) failed: u32,
    pub(super) slow: u32,
}

impl Window {
    /// Of so long.
    pub(super) fn new(length: Duration) -> Self {
        Self { tenth: (length / 10).max(Duration::from_nanos(1)), newest: 0, buckets: Default::default() }
    }

    /// Counts one call, and sums up those of the window; times never go back.
    pub(super) fn count(&mut self, call: Calls, now: Duration) -> Calls {
        let bucket = u64::try_from(now.as_nanos() / self.tenth.as_nanos()).unwrap_or(u64::MAX);
        let passed = bucket.saturating_sub(self.newest).min(10);
        for old in 1..=passed {
            self.buckets[(self.newest.saturating_add(old) % 10) as usize] = Calls::default();
        }
        if passed == 10 {
            self.buckets = Default::default();
        }
        self.newest = self.newest.max(bucket);
        let current = &mut self.buckets[(self.newest % 10) as usize];
        *current = current.plus(call);
        self.buckets.iter().fold(Calls::default(), |sum, bucket| sum.plus(*bucket))
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.buckets = Default::default();
    }
}

impl Calls {
    fn plus(self, other: Self) -> Self {
        Self { all: self.all + other.all, failed: self.failed + other.failed, slow: self.slow + other.slow }
    }
}

#[cfg(test)]
mod tests {
    use super::{Calls, Window};
    use std::time::Duration;

    #[test]
    fn old_calls_leave_the_window_a_tenth_at_a_time() {
        let mut window = Window::new(Duration::from_secs(10));
        let failed = Calls { all: 1, failed: 1, slow: 0 };
        let mut at = |seconds: u64| {
            let sum = window.count(failed, Duration::from_secs(seconds));
            assert_eq!(sum.all, sum.failed);
            sum.all
        };
        assert_eq!([0, 0, 1, 9].map(&mut at), [1, 2, 3, 4]);
        assert_eq!(at(10), 3, "the two of second 0 are gone");
        assert_eq!(at(500), 1);
    }
}
