//! How long the front waits between two looks.

use std::time::Duration;

/// Between two looks at an idle log.
const SLOWEST: Duration = Duration::from_secs(1);
/// An idle log is looked at in this share of the time it has been idle.
const SHARE: u32 = 50;

/// Looks often while there is traffic, and less often the longer there is none.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    fastest: Duration,
    idle: Duration,
}

impl Pace {
    /// Waits `fastest` while there is traffic.
    pub fn new(fastest: Duration) -> Self {
        Self { fastest, idle: Duration::ZERO }
    }

    /// A look found rows.
    pub fn busy(&mut self) {
        self.idle = Duration::ZERO;
    }

    /// A look found nothing.
    pub fn idle(&mut self) {
        self.idle = self.idle.saturating_add(self.wait());
    }

    /// How long to wait before the next look: a tenth of a second becomes a whole one within a minute.
    pub fn wait(&self) -> Duration {
        (self.idle / SHARE).min(SLOWEST).max(self.fastest)
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use std::time::Duration;

    #[test]
    fn it_slows_down_with_idleness_and_wakes_at_once() {
        let mut pace = Pace::new(Duration::from_millis(100));
        let mut elapsed = Duration::ZERO;
        while pace.wait() < Duration::from_secs(1) {
            elapsed += pace.wait();
            pace.idle();
            let bound = (elapsed / 50).max(Duration::from_millis(100));
            assert!(pace.wait() <= bound, "a short pause costs no latency");
        }
        assert!((50..60).contains(&elapsed.as_secs()), "{elapsed:?}");
        pace.busy();
        assert_eq!(pace.wait(), Duration::from_millis(100));
    }
}
