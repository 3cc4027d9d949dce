//! `Backoff`: the arithmetic of waiting, an endless iterator of delays with full jitter.
//!
//! Full jitter (a delay drawn evenly between nothing and the exponential bound) spreads clients that failed together
//! better than any fixed share of randomness; see <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// Delays drawn from `0..=initial · factor^n`, bounded by `max`. It never ends; who uses it counts.
#[derive(Clone, Debug)]
pub struct Backoff {
    initial: Duration,
    factor: f64,
    max: Duration,
    step: i32,
    random: SmallRng,
}

impl Backoff {
    /// `factor` below 1 counts as 1, `max` below `initial` as `initial`.
    pub fn new(initial: Duration, factor: f64, max: Duration) -> Self {
        let random = SmallRng::from_rng(&mut rand::rng());
        Self { initial, factor: factor.max(1.0), max: max.max(initial), step: 0, random }
    }

    /// The same delays every time, for tests.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.random = SmallRng::seed_from_u64(seed);
        self
    }

    /// Begins anew with the shortest delays.
    pub fn reset(&mut self) {
        self.step = 0;
    }

    /// The bound of the next delay, without jitter.
    pub fn bound(&self) -> Duration {
        let seconds = self.initial.as_secs_f64() * self.factor.powi(self.step);
        Duration::try_from_secs_f64(seconds).map_or(self.max, |bound| bound.min(self.max))
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let bound = self.bound();
        self.step = self.step.saturating_add(1);
        Some(bound.mul_f64(self.random.random_range(0.0..=1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn bounds_double_up_to_the_maximum_and_begin_anew() {
        let mut backoff = Backoff::new(Duration::from_millis(100), 2.0, Duration::from_millis(500)).seeded(1);
        let mut bounds = Vec::new();
        for _ in 0..5 {
            bounds.push(backoff.bound().as_millis());
            backoff.next();
        }
        assert_eq!(bounds, [100, 200, 400, 500, 500]);
        backoff.reset();
        assert_eq!(backoff.bound().as_millis(), 100);
    }

    proptest! {
        #[test]
        fn no_delay_passes_its_bound(initial in 0u64..5_000, factor in 0.0f64..9.0, max in 0u64..60_000, seed: u64) {
            let (initial, max) = (Duration::from_millis(initial), Duration::from_millis(max));
            let mut backoff = Backoff::new(initial, factor, max).seeded(seed);
            for _ in 0..400 {
                let bound = backoff.bound();
                prop_assert!(bound <= max.max(initial) && backoff.next().unwrap() <= bound);
            }
        }
    }
}
