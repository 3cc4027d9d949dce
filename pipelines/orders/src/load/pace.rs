//! Turns at an even rate, shared by many that wait for one.
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// How far behind the rate the next turn may be. A short stall is made up for; after an outage there is no flood.
const MAKES_UP: Duration = Duration::from_millis(100);

/// Hands out turns, `rate` of them a second.
#[derive(Debug)]
pub(crate) struct Pace {
    period: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// Without a rate, or with one that is not above 0, it is always somebody's turn.
    pub(crate) fn new(rate: Option<f64>) -> Self {
        let period = rate.map(f64::recip).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Self { period: period.unwrap_or_default(), next: Mutex::new(None) }
    }

    /// Waits for the next turn.
    pub(crate) async fn turn(&self) {
        if self.period.is_zero() {
            return;
        }
        let slot = {
            let now = Instant::now();
            let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let slot = next.map_or(now, |next| next.max(now.checked_sub(MAKES_UP).unwrap_or(now)));
            *next = Some(slot + self.period);
            slot
        };
        tokio::time::sleep_until(slot).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_come_at_the_rate_and_a_long_stall_is_not_made_up_for() {
        let pace = Pace::new(Some(100.0));
        let start = Instant::now();
        for _ in 0..101 {
            pace.turn().await;
        }
        assert_eq!(start.elapsed(), Duration::from_secs(1));
        tokio::time::sleep(Duration::from_secs(60)).await;
        let start = Instant::now();
        for _ in 0..51 {
            pace.turn().await;
        }
        assert_eq!(start.elapsed(), Duration::from_millis(400), "only 100 ms are made up for");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_nobody_waits() {
        let start = Instant::now();
        for rate in [None, Some(0.0), Some(-1.0), Some(f64::NAN)] {
            Pace::new(rate).turn().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
