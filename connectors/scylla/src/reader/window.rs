//! How far the next window of the front goes.

use super::time::{Micros, SECOND};

/// Rows that one window should hold while catching up: enough to read in parallel, few enough to do again.
const ROWS: u64 = 50_000;
const SHORTEST: Micros = SECOND;
const LONGEST: Micros = 24 * 3600 * SECOND;

/// A stretch of the log: `from` is in it, `to` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its begin.
    pub from: Micros,
    /// Its end.
    pub to: Micros,
}

/// The stride of the front while it is behind: it doubles over sparse stretches and halves over dense ones.
#[derive(Clone, Copy, Debug)]
pub struct Stride(Micros);

impl Default for Stride {
    fn default() -> Self {
        Self(60 * SECOND)
    }
}

impl Stride {
    /// The next window from `from`, never past `limit`; `None` when there is nothing to read yet.
    ///
    /// A window that ends before the limit ends with a second, so that what is old enough is settled by reading it.
    pub fn next(&self, from: Micros, limit: Micros) -> Option<Window> {
        let far = from.saturating_add(self.0);
        let to = if far >= limit { limit } else { far - far.rem_euclid(SECOND) };
        (to > from).then_some(Window { from, to })
    }

    /// A window of this length held too much.
    pub fn shorten(&mut self, length: Micros) {
        self.0 = self.0.min((length / 2).max(SHORTEST));
    }

    /// A window that did not reach its limit held so many rows.
    pub fn learn(&mut self, rows: u64) {
        if rows < ROWS / 2 {
            self.0 = (self.0 * 2).min(LONGEST);
        } else if rows > ROWS * 2 {
            self.0 = (self.0 / 2).max(SHORTEST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Stride, Window};
    use crate::reader::time::SECOND;
    use proptest::prelude::*;

    #[test]
    fn near_now_a_window_reaches_its_limit_and_before_that_a_whole_second() {
        let stride = Stride::default();
        assert_eq!(stride.next(5, 99), Some(Window { from: 5, to: 99 }));
        assert_eq!(stride.next(5, i64::MAX), Some(Window { from: 5, to: 60 * SECOND }));
        assert_eq!(stride.next(99, 99), None);
        assert_eq!(stride.next(100, 99), None, "a server's clock may step back");
    }

    proptest! {
        #[test]
        fn windows_follow_each_other_without_gap_to_the_limit(limit in 1i64..10_000_000_000_000, seen in prop::collection::vec(0u64..200_000, 64)) {
            let (mut stride, mut at) = (Stride::default(), 0);
            for rows in seen {
                let Some(window) = stride.next(at, limit) else { break };
                prop_assert!(window.from == at && window.to > at && window.to <= limit);
                at = window.to;
                stride.learn(rows);
            }
        }
    }
}
