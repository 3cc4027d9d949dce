//! `Flood`: more failures in a window than records can be to blame for.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// More than `failures` within `window` stop the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The most dead letters.
    pub failures: usize,
    /// Within so much time.
    pub window: Duration,
}

/// The failures of the last window.
#[derive(Debug)]
pub(super) struct Flood {
    limit: Limit,
    recent: VecDeque<(Instant, usize)>,
    count: usize,
}

impl Flood {
    pub(super) fn new(limit: Limit) -> Self {
        Self { limit, recent: VecDeque::new(), count: 0 }
    }

    /// Counts `failures` more, unless they are too many.
    pub(super) fn admit(&mut self, failures: usize, now: Instant) -> Result<(), Limit> {
        while let Some((at, old)) = self.recent.front()
            && now.duration_since(*at) >= self.limit.window
        {
            self.count -= old;
            self.recent.pop_front();
        }
        if self.count + failures > self.limit.failures {
            return Err(self.limit);
        }
        self.count += failures;
        self.recent.push_back((now, failures));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Flood, Limit};
    use std::time::Duration;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn only_the_last_window_counts() {
        let limit = Limit { failures: 3, window: Duration::from_secs(60) };
        let (mut flood, begin) = (Flood::new(limit), Instant::now());
        let mut at = |seconds, failures| flood.admit(failures, begin + Duration::from_secs(seconds));
        assert_eq!(at(0, 2), Ok(()));
        assert_eq!(at(30, 1), Ok(()));
        assert_eq!(at(59, 1), Err(limit));
        assert_eq!(at(60, 2), Ok(()));
        assert_eq!(at(60, 1), Err(limit));
        assert_eq!(at(90, 1), Ok(()));
    }
}
