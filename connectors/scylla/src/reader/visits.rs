//! When each second of the log is visited again.
//!
//! A row may become readable after its place was read. So every second that was read while it was younger than
//! `safety` is visited again at a few growing ages, the last time when nothing that the promise covers can still come.
//! Ages count from the end of the second, and seconds are visited in runs, a tenth of the age late, so that one query
//! covers many of them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use super::clock::Now;
use super::time::{Bucket, Micros, SECOND, bucket, micros};

/// The seconds that wait for visits.
#[derive(Debug)]
pub struct Visits {
    ages: Vec<Micros>,
    /// Second → the visit it waits for; `None` is one at once, after a restart.
    waiting: BTreeMap<Bucket, Option<usize>>,
}

impl Visits {
    /// Visits at 1 s, 10 s and `safety`, those that are not younger than `safety`.
    pub fn new(safety: Duration) -> Self {
        let safety = micros(safety);
        let mut ages: Vec<_> = [SECOND, 10 * SECOND].into_iter().filter(|age| *age < safety).collect();
        ages.push(safety);
        Self { ages, waiting: BTreeMap::new() }
    }

    /// Would a row of this second, read at `read`, be visited again?
    pub fn unsettled(&self, second: Bucket, read: Now) -> bool {
        read.age(second) < self.last_age()
    }

    /// The front has read `from..to`, beginning at `read`.
    pub fn passed(&mut self, from: Micros, to: Micros, read: Now) {
        let young = bucket(read.steady.saturating_sub(self.last_age()));
        for second in bucket(from).max(young)..=bucket(to - 1) {
            if self.unsettled(second, read) {
                self.waiting.entry(second).or_insert(Some(0));
            }
        }
    }

    /// Asks for a visit of these seconds as soon as they lie behind the front.
    pub fn restarted(&mut self, runs: &[Range<Bucket>]) {
        self.waiting.extend(runs.iter().cloned().flatten().map(|second| (second, None)));
    }

    /// The seconds to visit now, in runs; empty until it is worth a query. Only whole seconds before `front` count.
    pub fn due(&self, now: Now, front: Micros) -> Vec<Range<Bucket>> {
        if self.urgent(now, front).next().is_none() {
            return Vec::new();
        }
        runs(self.ready(now, front))
    }

    /// What a visit that was begun before now does for us, in runs; empty unless it does all that is urgent, or nobody
    /// would see to the rest.
    pub fn served(&self, by: &[Range<Bucket>], began: Now, now: Now, front: Micros) -> Vec<Range<Bucket>> {
        let served = runs(self.ready(began, front).filter(|second| within(by, *second)));
        let enough = self.urgent(now, front).all(|second| within(&served, second));
        if enough { served } else { Vec::new() }
    }

    /// What is as late as may be.
    fn urgent(&self, now: Now, front: Micros) -> impl Iterator<Item = Bucket> {
        self.behind(front)
            .filter(move |(second, next)| {
                next.is_none_or(|next| now.age(*second) >= self.ages[next] + self.ages[next] / 10)
            })
            .map(|(second, _)| second)
    }

    fn ready(&self, now: Now, front: Micros) -> impl Iterator<Item = Bucket> {
        self.behind(front)
            .filter(move |(second, next)| next.is_none_or(|next| now.age(*second) >= self.ages[next]))
            .map(|(second, _)| second)
    }

    fn behind(&self, front: Micros) -> impl Iterator<Item = (Bucket, Option<usize>)> {
        self.waiting.range(..bucket(front)).map(|(second, next)| (*second, *next))
    }

    /// Will this second be visited again after a visit that began at `began`?
    pub fn again(&self, second: Bucket, began: Now) -> bool {
        began.age(second) < self.last_age()
    }

    /// A visit that began at `began` is over, late rows and all.
    pub fn visited(&mut self, runs: &[Range<Bucket>], began: Now) {
        for second in runs.iter().cloned().flatten() {
            if let Some(next) = self.ages.iter().position(|age| began.age(second) < *age) {
                self.waiting.insert(second, Some(next));
            } else {
                self.waiting.remove(&second);
            }
        }
    }

    /// The clock went back before this second: rows may be written into it and those behind it as into young ones.
    pub fn young_again_from(&mut self, second: Bucket) {
        self.waiting.range_mut(second..).for_each(|(_, next)| *next = next.map(|_| 0));
    }

    /// This second and those behind it will be read again: they wait for nothing meanwhile.
    pub fn forget_from(&mut self, second: Bucket) {
        self.waiting.split_off(&second);
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Does this second wait for a visit?
    pub fn waits(&self, second: Bucket) -> bool {
        self.waiting.contains_key(&second)
    }

    /// The first second that waits.
    pub fn first(&self) -> Option<Bucket> {
        self.waiting.keys().next().copied()
    }

    /// Every second that waits, in runs; everything else is settled or was never read.
    pub fn waiting(&self) -> Vec<Range<Bucket>> {
        runs(self.waiting.keys().copied())
    }

    /// Nothing is visited when it is older than this.
    pub fn last_age(&self) -> Micros {
        self.ages[self.ages.len() - 1]
    }
}

/// Is this second in one of the runs?
pub fn within(runs: &[Range<Bucket>], second: Bucket) -> bool {
    runs.iter().any(|run| run.contains(&second))
}

/// These seconds, which are in order, in runs.
pub fn runs(seconds: impl Iterator<Item = Bucket>) -> Vec<Range<Bucket>> {
    let mut runs: Vec<Range<Bucket>> = Vec::new();
    for second in seconds {
        match runs.last_mut() {
            Some(run) if run.end == second => run.end += 1,
            _ => runs.push(second..second + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::Visits;
    use crate::reader::clock::Now;
    use crate::reader::time::{SECOND, begin};
    use proptest::prelude::*;
    use std::ops::Range;
    use std::time::Duration;

    fn one(run: Range<i64>) -> Vec<Range<i64>> {
        vec![run]
    }

    fn at(second: i64) -> Now {
        Now::at(begin(second))
    }

    #[test]
    fn another_s_visit_will_do_if_it_does_all_that_is_urgent() {
        let mut visits = Visits::new(Duration::from_secs(120));
        visits.passed(begin(100), begin(110), at(110));
        let served = |visits: &Visits, by, began, now| visits.served(&[by], at(began), at(now), begin(200));
        assert_eq!(served(&visits, 90..105, 111, 111), [], "the others of our seconds are urgent");
        assert_eq!(served(&visits, 90..110, 111, 111), one(100..110), "those of it that we wait for");
        visits.visited(&one(100..110), at(111));
        assert_eq!(served(&visits, 90..110, 111, 111), [], "once is enough");
        assert_eq!(served(&visits, 90..105, 112, 112), one(101..102), "nothing is urgent, one is due");
    }

    #[test]
    fn a_step_forward_settles_nothing_that_is_young() {
        let mut visits = Visits::new(Duration::from_secs(120));
        visits.passed(begin(100), begin(110), at(110));
        // A year ahead, a moment later: the front passes all of it.
        let year = 365 * 86_400;
        let stepped = |second: i64| Now { shown: begin(second + year), steady: begin(second) };
        visits.passed(begin(110), begin(112 + year), stepped(112));
        let waiting = visits.waiting().into_iter().flatten().count();
        assert!((122..=134).contains(&waiting), "{waiting}: what is young by either clock, and not the year");
        let front = begin(400 + year);
        for second in 112..=230 {
            let due = visits.due(stepped(second), front);
            visits.visited(&due, stepped(second));
            assert!(visits.waits(109), "it is not {second} s old");
        }
        assert!(visits.waits(111 + year));
        visits.visited(&visits.due(at(400 + year), front), at(400 + year));
        assert!(visits.is_empty());
    }

    #[test]
    fn a_second_is_visited_at_each_age_and_then_settled() {
        let mut visits = Visits::new(Duration::from_secs(120));
        visits.passed(begin(100), begin(101), at(101));
        let front = begin(500);
        let mut visited = Vec::new();
        for now in (101..300).map(begin) {
            let due = visits.due(Now::at(now), front);
            if !due.is_empty() {
                assert_eq!(due, one(100..101));
                visits.visited(&due, Now::at(now));
                visited.push(now / SECOND - 101);
            }
        }
        assert_eq!(visited, [2, 11, 132], "each a tenth late at most, in whole seconds");
        assert!(!visits.waits(100) && visits.waiting().is_empty());
    }

    #[test]
    fn a_second_that_the_front_has_not_left_is_not_visited() {
        let mut visits = Visits::new(Duration::from_secs(120));
        visits.passed(begin(100), begin(100) + 1, at(101));
        assert!(visits.due(at(300), begin(100) + 1).is_empty());
        assert_eq!(visits.due(at(300), begin(101)), one(100..101));
    }

    #[test]
    fn what_is_read_old_needs_no_visit_and_a_restart_visits_at_once() {
        let mut visits = Visits::new(Duration::from_secs(120));
        visits.passed(begin(0), begin(100), at(400));
        assert!(visits.waiting().is_empty());
        visits.restarted(&one(100..103));
        assert_eq!(visits.due(at(104), begin(102)), one(100..102));
        visits.visited(&one(100..102), at(104));
        assert_eq!(visits.waiting(), one(100..103), "the later ages still come");
    }

    proptest! {
        /// Whatever the pace of visits: the last one of a second begins when it is at least `safety` old.
        #[test]
        fn nothing_is_settled_before_safety(steps in prop::collection::vec(1i64..5_000_000, 1..300), safety in 1u64..200) {
            let mut visits = Visits::new(Duration::from_secs(safety));
            let (mut now, mut front, mut last) = (0, 0, std::collections::BTreeMap::new());
            for step in steps {
                now += step;
                visits.passed(front, now, Now::at(now));
                // A second that one look read as a whole was visited by it.
                let whole = (front + SECOND - 1) / SECOND..now / SECOND;
                last.extend(whole.map(|second| (second, now)));
                front = now;
                let due = visits.due(Now::at(now), front);
                visits.visited(&due, Now::at(now));
                last.extend(due.into_iter().flatten().map(|second| (second, now)));
                for second in 0..front / SECOND {
                    let settled = !visits.waits(second);
                    let age = last.get(&second).map(|at| at - begin(second + 1));
                    prop_assert_eq!(settled, age.is_some_and(|age| age >= safety as i64 * SECOND));
                }
            }
        }
    }
}
