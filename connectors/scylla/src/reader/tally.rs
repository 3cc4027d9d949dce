//! `Tally`: what was emitted of one minute of the log, second by second: how many rows, and the sum of their hashes.
//!
//! Two who tally the same rows get the same tally, in whatever order they see them; one who misses a row, or has one
//! more, gets another.

use std::collections::BTreeMap;
use std::ops::Range;

use super::time::{Bucket, Micros, begin, bucket};
use super::unsettled::Sum;

/// A whole minute since 1970, named by its number: the grain of what consumers tell each other.
pub type Minute = i64;

const SECONDS: i64 = 60;

/// The minute that a second falls into.
pub fn minute(second: Bucket) -> Minute {
    second.div_euclid(SECONDS)
}

/// Its seconds.
pub fn seconds(minute: Minute) -> Range<Bucket> {
    let first = minute.saturating_mul(SECONDS);
    first..first.saturating_add(SECONDS)
}

/// When a minute begins.
pub fn begin_of(minute: Minute) -> Micros {
    begin(seconds(minute).start)
}

/// The minute that `at` falls into.
pub fn minute_at(at: Micros) -> Minute {
    minute(bucket(at))
}

/// The first minute that begins at `at` or later.
pub fn first_from(at: Micros) -> Minute {
    let within = minute_at(at);
    if begin_of(within) < at { within + 1 } else { within }
}

/// How many rows some seconds have, and the sums of their hashes; seconds without rows are not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<Bucket, Sum>);

/// What a consumer tells of a whole minute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// What it emitted of it.
    pub tally: Tally,
    /// It tells nothing of the minutes before this one, since nobody counted then: not that it passed them over.
    pub begins: bool,
}

impl Tally {
    /// Counts one more row.
    pub fn add(&mut self, second: Bucket, hash: u64) {
        self.0.entry(second).or_default().add(hash);
    }

    /// Counts more rows.
    pub fn join(&mut self, second: Bucket, sum: Sum) {
        self.0.entry(second).or_default().join(sum);
    }

    /// Replaces what is known of a second.
    pub fn set(&mut self, second: Bucket, sum: Sum) {
        if sum.rows > 0 {
            self.0.insert(second, sum);
        } else {
            self.0.remove(&second);
        }
    }

    /// What was emitted of a second.
    pub fn of(&self, second: Bucket) -> Sum {
        self.0.get(&second).copied().unwrap_or_default()
    }

    /// The seconds that have rows, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Bucket, Sum)> {
        self.0.iter().map(|(second, sum)| (*second, *sum))
    }
}

impl FromIterator<(Bucket, Sum)> for Tally {
    fn from_iter<I: IntoIterator<Item = (Bucket, Sum)>>(sums: I) -> Self {
        let mut tally = Self::default();
        sums.into_iter().for_each(|(second, sum)| tally.set(second, sum));
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::{Sum, Tally, begin_of, first_from, minute, seconds};
    use crate::reader::time::SECOND;

    #[test]
    fn minutes_hold_their_seconds_on_both_sides_of_1970() {
        assert_eq!((minute(-1), minute(0), minute(59), minute(60)), (-1, 0, 0, 1));
        assert_eq!((seconds(-1), begin_of(2)), (-60..0, 120 * SECOND));
        assert_eq!((first_from(0), first_from(1), first_from(60 * SECOND)), (0, 1, 1));
        assert_eq!(first_from(-1), 0);
    }

    #[test]
    fn the_order_of_rows_does_not_matter_and_each_row_does() {
        let tally = |rows: &[(i64, u64)]| {
            let mut tally = Tally::default();
            rows.iter().for_each(|(second, hash)| tally.add(*second, *hash));
            tally
        };
        assert_eq!(tally(&[(1, 7), (2, 8), (1, 9)]), tally(&[(1, 9), (1, 7), (2, 8)]));
        assert_ne!(tally(&[(1, 7), (1, 9)]), tally(&[(1, 7)]));
        let mut replaced = tally(&[(1, 7), (2, 8)]);
        replaced.set(2, Sum::default());
        assert_eq!(replaced, tally(&[(1, 7)]));
    }
}
