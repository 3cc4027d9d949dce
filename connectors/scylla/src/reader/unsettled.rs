//! What has been emitted of each second that may still change, so that a late row is told from a known one.
//!
//! A row is remembered by eight bytes. When the rows of the last `safety` do not fit the budget, the oldest seconds
//! keep only how many rows they had and the sum of their hashes: that still shows *that* something came late, and
//! then the whole second is emitted again, because repeats can be told and losses cannot.

use std::collections::BTreeMap;

use super::time::Bucket;

/// The emitted rows of every second that will be visited again.
#[derive(Debug)]
pub struct Unsettled {
    seconds: BTreeMap<Bucket, Seen>,
    ids: usize,
    most: usize,
}

/// What is known of one second's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Ids { ids: Vec<u64>, sorted: usize },
    Sum(Sum),
}

/// How many rows there are, and the sum of their hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub rows: u64,
    /// Their hashes, added with wrap-around, so that the order does not matter.
    pub hashes: u64,
}

impl Sum {
    /// Counts one more row.
    pub fn add(&mut self, hash: u64) {
        self.rows += 1;
        self.hashes = self.hashes.wrapping_add(hash);
    }

    /// Counts the rows of another one too.
    pub fn join(&mut self, other: Self) {
        self.rows += other.rows;
        self.hashes = self.hashes.wrapping_add(other.hashes);
    }
}

/// How what is there of a second compares with what was emitted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// It is the same.
    Same,
    /// It is something else, and of each row it is known whether it was emitted.
    ByName,
    /// It is something else, and nobody knows which rows of it were emitted.
    AsWhole,
}

impl Unsettled {
    /// Remembers at most so many bytes of ids.
    pub fn new(budget: usize) -> Self {
        Self { seconds: BTreeMap::new(), ids: 0, most: budget / size_of::<u64>() }
    }

    /// A row was emitted. `true` when its id is kept and belongs into the checkpoint.
    pub fn insert(&mut self, second: Bucket, hash: u64) -> bool {
        let seen = self.seconds.entry(second).or_insert(Seen::Ids { ids: Vec::new(), sorted: 0 });
        match seen {
            Seen::Ids { ids, .. } => {
                ids.push(hash);
                self.ids += 1;
                true
            }
            Seen::Sum(sum) => {
                sum.add(hash);
                false
            }
        }
    }

    /// Was this row emitted? Of a second that is only a sum nobody knows.
    pub fn contains(&mut self, second: Bucket, hash: u64) -> bool {
        match self.seconds.get_mut(&second) {
            Some(Seen::Ids { ids, sorted }) => {
                if *sorted < ids.len() {
                    self.ids -= ids.len();
                    ids.sort_unstable();
                    // After a clock was set back the checkpoint may name a row that was read again once more.
                    ids.dedup();
                    self.ids += ids.len();
                    *sorted = ids.len();
                }
                ids.binary_search(&hash).is_ok()
            }
            Some(Seen::Sum(_)) | None => false,
        }
    }

    /// Compares what is there of a second with what was emitted of it.
    pub fn compare(&self, second: Bucket, there: Sum) -> Compared {
        match self.seconds.get(&second) {
            Some(seen) if seen.sum() == there => Compared::Same,
            Some(Seen::Sum(_)) => Compared::AsWhole,
            Some(Seen::Ids { .. }) | None => Compared::ByName,
        }
    }

    /// The sum of a second that is only a sum.
    pub fn sum(&self, second: Bucket) -> Option<Sum> {
        match self.seconds.get(&second)? {
            Seen::Sum(sum) => Some(*sum),
            Seen::Ids { .. } => None,
        }
    }

    /// Replaces what is known of a second by a sum.
    pub fn set_sum(&mut self, second: Bucket, sum: Sum) {
        if let Some(Seen::Ids { ids, .. }) = self.seconds.insert(second, Seen::Sum(sum)) {
            self.ids -= ids.len();
        }
    }

    /// Forgets every second that `keep` does not name: none of their rows will be asked for.
    pub fn retain(&mut self, keep: impl Fn(Bucket) -> bool) {
        self.seconds.retain(|second, _| keep(*second));
        self.ids = self.seconds.values().map(Seen::ids).sum();
    }

    /// Turns the oldest seconds into sums until the budget holds; `true` when one was.
    pub fn fold(&mut self) -> bool {
        let before = self.ids;
        for seen in self.seconds.values_mut() {
            if self.ids <= self.most {
                break;
            }
            self.ids -= seen.ids();
            *seen = Seen::Sum(seen.sum());
        }
        self.ids < before
    }

    /// The seconds that are only sums, oldest first.
    pub fn sums(&self) -> impl Iterator<Item = (Bucket, Sum)> {
        self.seconds.iter().filter_map(|(second, seen)| match seen {
            Seen::Sum(sum) => Some((*second, *sum)),
            Seen::Ids { .. } => None,
        })
    }

    /// What was emitted of each second that `settled` names.
    pub fn emitted(&self, settled: impl Fn(Bucket) -> bool) -> impl Iterator<Item = (Bucket, Sum)> {
        let seconds = self.seconds.iter().filter(move |(second, _)| settled(**second));
        seconds.map(|(second, seen)| (*second, seen.sum()))
    }

    /// How many rows are remembered one by one.
    pub fn ids(&self) -> usize {
        self.ids
    }

    /// The first second whose rows are remembered one by one.
    pub fn first_with_ids(&self) -> Option<Bucket> {
        self.seconds.iter().find(|(_, seen)| seen.ids() > 0).map(|(second, _)| *second)
    }
}

impl Seen {
    fn ids(&self) -> usize {
        match self {
            Self::Ids { ids, .. } => ids.len(),
            Self::Sum(_) => 0,
        }
    }

    fn sum(&self) -> Sum {
        match self {
            Self::Ids { ids, .. } => {
                let mut sum = Sum::default();
                ids.iter().for_each(|hash| sum.add(*hash));
                sum
            }
            Self::Sum(sum) => *sum,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Compared, Sum, Unsettled};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn over_the_budget_the_oldest_seconds_become_sums() {
        let mut unsettled = Unsettled::new(3 * 8);
        for (second, hash) in [(2, 20), (1, 10), (1, 11), (3, 30)] {
            assert!(unsettled.insert(second, hash));
        }
        assert!(unsettled.fold() && !unsettled.fold());
        assert_eq!(unsettled.sum(1), Some(Sum { rows: 2, hashes: 21 }));
        assert!(!unsettled.contains(1, 10) && unsettled.contains(2, 20));
        assert!(!unsettled.insert(1, 12), "a sum keeps no ids");
        assert_eq!(unsettled.sums().collect::<Vec<_>>(), [(1, Sum { rows: 3, hashes: 33 })]);
        let emitted: Vec<_> = unsettled.emitted(|second| second != 3).collect();
        assert_eq!(emitted, [(1, Sum { rows: 3, hashes: 33 }), (2, Sum { rows: 1, hashes: 20 })]);
        assert_eq!((unsettled.ids(), unsettled.first_with_ids()), (2, Some(2)));
        unsettled.retain(|second| second > 2);
        assert_eq!((unsettled.ids(), unsettled.sum(1)), (1, None));
    }

    #[test]
    fn what_is_there_is_compared_with_what_was_emitted() {
        let mut unsettled = Unsettled::new(8);
        [(1, 10), (1, 11), (2, 20)].into_iter().for_each(|(second, hash)| {
            unsettled.insert(second, hash);
        });
        let compare = |unsettled: &Unsettled, second, hashes: &[u64]| {
            let mut there = Sum::default();
            hashes.iter().for_each(|hash| there.add(*hash));
            unsettled.compare(second, there)
        };
        assert_eq!(compare(&unsettled, 1, &[11, 10]), Compared::Same);
        assert_eq!(compare(&unsettled, 1, &[21]), Compared::ByName, "the hashes alone are no sum");
        assert_eq!(compare(&unsettled, 1, &[10]), Compared::ByName, "a row has expired");
        assert_eq!(compare(&unsettled, 3, &[7]), Compared::ByName, "nothing was emitted of it");
        unsettled.fold();
        assert_eq!(compare(&unsettled, 1, &[11, 10]), Compared::Same);
        assert_eq!(compare(&unsettled, 1, &[10, 11, 12]), Compared::AsWhole);
        unsettled.insert(2, 20);
        assert_eq!(compare(&unsettled, 2, &[20]), Compared::ByName, "it was remembered twice");
        assert!(unsettled.contains(2, 20));
        assert_eq!((compare(&unsettled, 2, &[20]), unsettled.ids()), (Compared::Same, 1), "and is found out");
    }

    proptest! {
        #[test]
        fn it_remembers_exactly_what_was_put_in(rows in prop::collection::vec((0i64..4, 0u64..40), 0..200)) {
            let mut unsettled = Unsettled::new(usize::MAX);
            let mut model = BTreeSet::new();
            for (at, row) in rows.iter().enumerate() {
                if model.insert(*row) {
                    unsettled.insert(row.0, row.1);
                }
                // Looking sorts, so look now and then in between.
                if at % 7 == 0 {
                    prop_assert!(unsettled.contains(row.0, row.1));
                }
            }
            for second in 0..4 {
                for hash in 0..40 {
                    prop_assert_eq!(unsettled.contains(second, hash), model.contains(&(second, hash)));
                }
            }
            prop_assert_eq!(unsettled.ids(), model.len());
        }
    }
}
