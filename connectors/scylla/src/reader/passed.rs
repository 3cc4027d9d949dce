//! What was emitted of the seconds that are settled, minute by minute, until it is told.
//!
//! Whoever may forget a row must know that every consumer has passed it. So each consumer tells, once nothing of a
//! minute can change any more, what it has emitted of it. Until that is written down elsewhere it is part of the
//! checkpoint: a crash tells it once more, and never less.

use std::collections::{BTreeMap, BTreeSet};

use weir_sdk::Checkpoint;

use super::tally::{Minute, Tally, first_from, minute, minute_at};
use super::time::{Bucket, Micros};
use super::token::tallies::{self, Tallies};
use super::unsettled::Sum;

/// What was emitted of each minute that is not told yet.
#[derive(Debug)]
pub struct Passed {
    /// The first minute that may still change. Of an earlier one that is not kept all was told, or not all is known.
    next: Minute,
    /// The first minute that is told, until it is.
    begun: Option<Minute>,
    moved: bool,
    minutes: BTreeMap<Minute, Kept>,
    /// Those whose partitions are of no use any more.
    over: BTreeSet<Minute>,
}

#[derive(Debug, Default)]
struct Kept {
    tally: Tally,
    changed: bool,
}

impl Passed {
    /// Nothing before `cut` is known, so the first minute to tell is the first whole one.
    pub fn begin_at(cut: Micros) -> Self {
        let (minutes, over) = (BTreeMap::new(), BTreeSet::new());
        Self { next: first_from(cut), begun: None, moved: true, minutes, over }
    }

    /// Goes on with what was saved.
    pub fn resume(saved: Tallies) -> Self {
        let Tallies { next, begun, minutes } = saved;
        let mut passed = Self { next, begun, moved: false, minutes: BTreeMap::new(), over: BTreeSet::new() };
        for (minute, (tally, is_whole)) in minutes {
            // A gap lies behind one that was not read to its end and never will be.
            if minute < next && !is_whole {
                passed.over.insert(minute);
            } else {
                passed.minutes.insert(minute, Kept { tally, changed: false });
            }
        }
        passed
    }

    /// A row of a second that nobody will visit again was emitted.
    pub fn add(&mut self, second: Bucket, hash: u64) {
        self.change(second, |tally| tally.add(second, hash));
    }

    /// A second was visited for the last time; this is all that was emitted of it.
    pub fn settle(&mut self, second: Bucket, sum: Sum) {
        self.change(second, |tally| tally.set(second, sum));
    }

    fn change(&mut self, second: Bucket, change: impl FnOnce(&mut Tally)) {
        let minute = minute(second);
        if minute >= self.next {
            let kept = self.minutes.entry(minute).or_default();
            change(&mut kept.tally);
            kept.changed = true;
        }
    }

    /// Nothing before this time changes any more.
    pub fn settled_before(&mut self, horizon: Micros) {
        let end = minute_at(horizon);
        for whole in self.next..end {
            self.minutes.entry(whole).or_default().changed = true;
        }
        self.moved |= end > self.next;
        self.next = self.next.max(end);
    }

    /// This was written down for this minute.
    pub fn told(&mut self, minute: Minute, tally: &Tally) {
        // What was told may be of before a clock was set back, and read again since.
        let is_told =
            minute < self.next && self.minutes.get(&minute).is_some_and(|kept| kept.tally == *tally);
        if is_told {
            self.minutes.remove(&minute);
            self.over.insert(minute);
            self.moved |= self.begun.take_if(|begun| *begun == minute).is_some();
        }
    }

    /// All from here on will be read again.
    pub fn turn_back(&mut self, cut: Micros) {
        self.over.extend(self.minutes.split_off(&minute_at(cut)).into_keys());
        self.next = self.next.min(first_from(cut));
        self.begun = self.begun.map(|begun| begun.min(self.next));
        self.moved = true;
    }

    /// Adds what changed since the last call.
    pub fn put(&mut self, checkpoint: &mut Checkpoint) {
        if std::mem::take(&mut self.moved) {
            checkpoint.set(tallies::next(), tallies::put_next(self.next, self.begun));
        }
        for minute in std::mem::take(&mut self.over) {
            checkpoint.retire(tallies::of(minute));
        }
        for (minute, kept) in self.minutes.iter_mut().filter(|(_, kept)| kept.changed) {
            kept.changed = false;
            let put = if *minute >= self.next {
                tallies::put_open
            } else if self.begun == Some(*minute) {
                tallies::put_first
            } else {
                tallies::put_whole
            };
            checkpoint.set(tallies::of(*minute), put(&kept.tally));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Passed;
    use crate::reader::tally::{Tally, Word, begin_of};
    use crate::reader::token::tallies::Tallies;
    use weir_sdk::Checkpoint;

    fn saved(passed: &mut Passed, saved: &mut Checkpoint) -> Tallies {
        passed.put(saved);
        *saved = std::mem::take(saved).without_retired();
        Tallies::read(saved).unwrap().unwrap()
    }

    fn tally(second: i64, hash: u64) -> Tally {
        let mut tally = Tally::default();
        tally.add(second, hash);
        tally
    }

    #[test]
    fn a_minute_of_which_the_begin_is_not_known_is_never_told() {
        let (mut passed, mut checkpoint) = (Passed::begin_at(begin_of(1) + 1), Checkpoint::default());
        passed.add(119, 7);
        passed.add(125, 8);
        passed.settled_before(begin_of(4));
        let tallies = saved(&mut passed, &mut checkpoint);
        let wanted = [(2, (tally(125, 8), true)), (3, (Tally::default(), true))];
        assert_eq!((tallies.next, tallies.minutes), (4, wanted.into()));
    }

    #[test]
    fn what_was_told_before_a_clock_was_set_back_is_not_what_is_read_again() {
        let (mut passed, mut checkpoint) = (Passed::begin_at(0), Checkpoint::default());
        passed.add(10, 7);
        passed.add(70, 8);
        passed.settled_before(begin_of(2));
        assert_eq!(saved(&mut passed, &mut checkpoint).minutes.len(), 2);
        passed.turn_back(begin_of(1));
        let tallies = saved(&mut passed, &mut checkpoint);
        assert_eq!((tallies.next, tallies.minutes.len()), (1, 1));
        passed.add(71, 9);
        passed.told(1, &tally(70, 8));
        passed.settled_before(begin_of(2));
        passed.told(0, &tally(10, 7));
        passed.told(1, &tally(70, 8));
        let tallies = saved(&mut passed, &mut checkpoint);
        assert_eq!(tallies.minutes, [(1, (tally(71, 9), true))].into());
        let word = Word { tally: tally(71, 9), begins: false };
        assert_eq!(Tallies::whole(&checkpoint).unwrap(), [(1, word)].into());
    }

    #[test]
    fn where_telling_began_is_told_once_and_over_restarts() {
        let begin = Tallies { next: 3, begun: Some(3), ..Tallies::default() };
        let (mut passed, mut checkpoint) = (Passed::resume(begin), Checkpoint::default());
        passed.settled_before(begin_of(5));
        let tallies = saved(&mut passed, &mut checkpoint);
        let words = Tallies::whole(&checkpoint).unwrap().into_iter();
        let begins: Vec<_> = words.map(|(minute, word)| (minute, word.begins)).collect();
        assert_eq!(begins, [(3, true), (4, false)]);
        let mut passed = Passed::resume(tallies);
        passed.told(4, &Tally::default());
        assert_eq!(saved(&mut passed, &mut checkpoint).begun, Some(3));
        passed.told(3, &Tally::default());
        let tallies = saved(&mut passed, &mut checkpoint);
        assert_eq!((tallies.begun, tallies.minutes.len()), (None, 0));
    }

    #[test]
    fn behind_a_gap_nothing_is_left_of_a_minute_that_was_not_read_to_its_end() {
        let (mut passed, mut checkpoint) = (Passed::begin_at(0), Checkpoint::default());
        passed.add(10, 7);
        passed.add(70, 8);
        passed.settled_before(begin_of(1));
        let tallies = saved(&mut passed, &mut checkpoint);
        let mut passed = Passed::resume(Tallies { next: 5, ..tallies });
        passed.add(299, 1);
        let tallies = saved(&mut passed, &mut checkpoint);
        assert_eq!(tallies.minutes, [(0, (tally(10, 7), true))].into(), "it is whole and not told yet");
    }
}
