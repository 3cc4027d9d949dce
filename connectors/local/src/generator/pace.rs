//! `Pace`: how many records are due at a rate.

use std::time::Duration;

use tokio::time::Instant;

/// What could not be taken for longer than this is not made up for.
const MOST_BEHIND: Duration = Duration::from_secs(1);

/// Lets one record through every so often.
pub(super) struct Pace {
    rate: f64,
    /// When the next record is due.
    next: Instant,
}

impl Pace {
    /// `rate` records a second, the first at once.
    pub(super) fn new(rate: f64, now: Instant) -> Self {
        Self { rate, next: now }
    }

    /// How many records are due, or how long until one is.
    pub(super) fn due(&mut self, now: Instant) -> Result<u64, Duration> {
        if let Some(wait) = self.next.checked_duration_since(now).filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        if let Some(earliest) = now.checked_sub(MOST_BEHIND) {
            self.next = self.next.max(earliest);
        }
        let behind = now.duration_since(self.next).as_secs_f64();
        Ok((behind * self.rate) as u64 + 1)
    }

    /// So many records were let through.
    pub(super) fn take(&mut self, records: usize) {
        self.next += Duration::from_secs_f64(records as f64 / self.rate);
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use std::time::Duration;
    use tokio::time::{Instant, advance};

    #[tokio::test(start_paused = true)]
    async fn records_are_due_at_the_rate_and_a_pause_is_made_up_for_in_part() {
        let mut pace = Pace::new(10.0, Instant::now());
        assert_eq!(pace.due(Instant::now()), Ok(1));
        pace.take(1);
        assert_eq!(pace.due(Instant::now()), Err(Duration::from_millis(100)));
        advance(Duration::from_millis(450)).await;
        assert_eq!(pace.due(Instant::now()), Ok(4));
        pace.take(3);
        assert_eq!(pace.due(Instant::now()), Ok(1));
        advance(Duration::from_secs(3600)).await;
        assert_eq!(pace.due(Instant::now()), Ok(11));
    }
}
