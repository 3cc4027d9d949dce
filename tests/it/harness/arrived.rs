//! `Arrived`: what a reader of the destination found, judged by key and sequence number.

use std::collections::{BTreeMap, HashSet};

use super::Read;

/// Records by key: the sequence numbers in the order in which they were first read, and how many were read again.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    pub(crate) by_key: BTreeMap<String, Vec<i64>>,
    pub(crate) repeats: usize,
}

impl Arrived {
    /// Judges by the header `sequence_number`.
    pub(crate) fn of(read: &[Read]) -> Self {
        let (mut arrived, mut seen) = (Self::default(), HashSet::new());
        for record in read {
            let number: i64 = record.headers["sequence_number"].parse().unwrap();
            if seen.insert((record.key.clone(), number)) {
                arrived.by_key.entry(record.key.clone()).or_default().push(number);
            } else {
                arrived.repeats += 1;
            }
        }
        arrived
    }

    /// How many different records were read.
    pub(crate) fn distinct(&self) -> usize {
        self.by_key.values().map(Vec::len).sum()
    }

    /// Every key has its numbers from `first` on without a gap, in order.
    #[track_caller]
    pub(crate) fn assert_whole(&self, first: i64) {
        for (key, numbers) in &self.by_key {
            let wanted: Vec<i64> = (first..).take(numbers.len()).collect();
            assert_eq!(*numbers, wanted, "key {key}: lost or out of order");
        }
    }
}
