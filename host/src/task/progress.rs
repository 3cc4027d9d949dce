//! `Progress`: completes batches in the order they were read, whichever lane was first.

use std::collections::VecDeque;

use weir_sdk::Checkpoint;

use super::budget::Share;
use super::lanes::Settled;

/// The batches in flight, oldest first.
#[derive(Debug, Default)]
pub struct Progress {
    /// The number of the oldest batch in flight.
    oldest: u64,
    open: VecDeque<Open>,
}

#[derive(Debug)]
struct Open {
    checkpoint: Checkpoint,
    /// Parts, one for each lane concerned, that are not settled.
    parts: usize,
    /// Given back when the batch is completed.
    _share: Share,
}

impl Progress {
    /// Takes in a batch, and gives its number. It stays open until [`Progress::expect`] has said how many parts it has.
    pub fn begin(&mut self, checkpoint: Checkpoint, share: Share) -> u64 {
        self.open.push_back(Open { checkpoint, parts: usize::MAX, _share: share });
        self.oldest + self.open.len() as u64 - 1
    }

    /// Batch `number` was split into so many parts.
    pub fn expect(&mut self, number: u64, parts: usize) {
        self.batch(number).parts = parts;
    }

    /// A part of a batch is settled.
    pub fn settle(&mut self, settled: Settled) {
        self.batch(settled.batch).parts -= 1;
    }

    /// Lets go of every batch that is settled and has none open before it; what they cover together.
    pub fn complete(&mut self) -> Option<Checkpoint> {
        let mut covered: Option<Checkpoint> = None;
        while self.open.front().is_some_and(|batch| batch.parts == 0)
            && let Some(batch) = self.open.pop_front()
        {
            self.oldest += 1;
            covered.get_or_insert_default().merge(batch.checkpoint);
        }
        covered
    }

    /// Nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn batch(&mut self, number: u64) -> &mut Open {
        let index = usize::try_from(number - self.oldest).expect("as many batches as memory holds");
        &mut self.open[index]
    }
}

#[cfg(test)]
mod tests {
    use super::super::budget::Budget;
    use super::{Progress, Settled};
    use proptest::prelude::*;
    use weir_sdk::{Checkpoint, Partition};

    fn checkpoint(offset: u64) -> Checkpoint {
        [(Partition::from("p"), offset.to_string())].into_iter().collect()
    }

    proptest! {
        /// Whatever the order in which parts settle, a checkpoint is given out only when all before it is settled.
        #[test]
        fn completes_in_order(parts in proptest::collection::vec(0usize..4, 1..20), seed: u64) {
            let (mut progress, budget) = (Progress::default(), Budget::new(1000, 1000));
            let mut waiting: Vec<u64> = Vec::new();
            for (number, parts) in parts.iter().enumerate() {
                let begun = progress.begin(checkpoint(number as u64), budget.take(1, 1));
                prop_assert_eq!(begun, number as u64);
                progress.expect(begun, *parts);
                waiting.extend(std::iter::repeat_n(begun, *parts));
            }
            let (mut left, mut random) = (parts, seed);
            loop {
                if let Some(covered) = progress.complete() {
                    let done = left.iter().take_while(|parts| **parts == 0).count();
                    prop_assert_eq!(covered, checkpoint(done as u64 - 1));
                    prop_assert_eq!(budget.records_taken(), left.len() - done);
                }
                if waiting.is_empty() {
                    break;
                }
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let batch = waiting.swap_remove((random >> 33) as usize % waiting.len());
                left[batch as usize] -= 1;
                progress.settle(Settled { batch });
            }
            prop_assert!(progress.is_empty());
        }
    }
}
