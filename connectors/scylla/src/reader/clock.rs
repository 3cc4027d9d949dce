//! The server's clock as far as it can be known, carried on by our monotonic one.
//!
//! Rows are stamped by the cluster, so our wall clock has no say in what is safe to read. A node tells its time; at
//! the moment the answer arrives its clock shows at least that, and from there our monotonic clock counts on. Of
//! several nodes the slowest is believed: reading late costs latency, reading early costs a later visit.
//!
//! A clock that is set says nothing of the time that passed. One that goes back further than visits reach makes the
//! reader turn back, which costs repeats. One that goes forward would make seconds old that are young, and their last
//! visit would come before their last row; so ages count by a [`steady`](Now::steady) time, which follows the server's
//! clock forward only once it has shown so for as long as rows may be late.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::time::{Bucket, Micros, SECOND, begin, micros};

/// Nodes that have not answered for so long are no longer believed.
const FORGET: Duration = Duration::from_secs(60);

/// The server's time, and how far it can be trusted to tell an age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// What every node's clock shows at least.
    pub shown: Micros,
    /// What they would show had none been set forward lately; never more than is shown.
    pub steady: Micros,
}

impl Now {
    /// At this time, on a clock that nobody set.
    pub fn at(time: Micros) -> Self {
        Self { shown: time, steady: time }
    }

    /// How much time has passed since the end of this second, at least; negative when it has not ended. What lies
    /// between the two clocks was never shown or is shown since a step, so it counts by the one that is shown.
    pub fn age(self, second: Bucket) -> Micros {
        // The clock may have been ahead of what it was known to be by as long as an answer takes.
        let known = begin(second) <= self.steady.saturating_add(SECOND);
        let by = if known { self.steady } else { self.shown };
        by.saturating_sub(begin(second + 1))
    }
}

/// A clock that only time moves: this machine's monotonic one, unless a test brings its own.
#[derive(Clone)]
pub struct Monotonic(Arc<dyn Fn() -> Instant + Send + Sync>);

impl Monotonic {
    /// One that `now` tells.
    pub fn of(now: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
    pub fn now(&self) -> Instant {
        (self.0)()
    }
}

impl Default for Monotonic {
    fn default() -> Self {
        Self::of(Instant::now)
    }
}

impl fmt::Debug for Monotonic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Monotonic").field(&self.now()).finish()
    }
}

/// What the nodes said last.
#[derive(Debug)]
pub struct ServerClock {
    nodes: HashMap<Uuid, Said>,
    /// For how long a step forward is not believed where ages are told.
    doubt: Duration,
    begin: Instant,
    /// What the clock was ahead of ours, the smallest first, and each until when: the ones that may still be the
    /// smallest of the last `doubt`.
    ahead: VecDeque<Ahead>,
}

#[derive(Clone, Copy, Debug)]
struct Said {
    time: Micros,
    heard: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Ahead {
    by: Micros,
    until: Instant,
}

impl ServerClock {
    /// A step forward is doubted for so long.
    pub fn new(doubt: Duration, begin: Instant) -> Self {
        Self { nodes: HashMap::new(), doubt, begin, ahead: VecDeque::new() }
    }

    /// `node` said that it is `time`; its answer arrived at `heard`.
    pub fn hear(&mut self, node: Uuid, time: Micros, heard: Instant) {
        self.nodes.retain(|_, said| heard.saturating_duration_since(said.heard) < FORGET);
        self.nodes.insert(node, Said { time, heard });
        // It may have been set at any time since the last answer.
        if let Some(last) = self.ahead.back_mut() {
            last.until = heard;
        }
        let by = self.shown(heard).unwrap_or(time).saturating_sub(self.ours(heard));
        while self.ahead.pop_back_if(|last| last.by >= by).is_some() {}
        self.ahead.push_back(Ahead { by, until: heard });
        let doubt = self.doubt;
        let is_over = |ahead: &mut Ahead| heard.saturating_duration_since(ahead.until) > doubt;
        while self.ahead.len() > 1 && self.ahead.pop_front_if(is_over).is_some() {}
    }

    /// The time at `at`; `None` before the first answer.
    pub fn at(&self, at: Instant) -> Option<Now> {
        let shown = self.shown(at)?;
        let least = self.ahead.front().map_or(shown, |least| self.ours(at).saturating_add(least.by));
        Some(Now { shown, steady: least.min(shown) })
    }

    /// Between the slowest and the fastest node.
    pub fn spread(&self, at: Instant) -> Duration {
        let all = || self.nodes.values().map(|said| said.show(at));
        let spread = all().max().unwrap_or_default() - all().min().unwrap_or_default();
        Duration::from_micros(spread.unsigned_abs())
    }

    /// What every node's clock shows at least.
    fn shown(&self, at: Instant) -> Option<Micros> {
        self.nodes.values().map(|said| said.show(at)).min()
    }

    fn ours(&self, at: Instant) -> Micros {
        micros(at.saturating_duration_since(self.begin))
    }
}

impl Said {
    fn show(&self, at: Instant) -> Micros {
        self.time.saturating_add(micros(at.saturating_duration_since(self.heard)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Now, ServerClock};
    use crate::reader::time::SECOND;
    use std::time::Duration;
    use tokio::time::Instant;
    use uuid::Uuid;

    const DOUBT: Duration = Duration::from_secs(120);

    fn at(begin: Instant, seconds: u64) -> Instant {
        begin + Duration::from_secs(seconds)
    }

    #[test]
    fn the_slowest_node_is_believed_until_it_is_silent_for_long() {
        let begin = Instant::now();
        let mut clock = ServerClock::new(DOUBT, begin);
        assert_eq!(clock.at(begin), None);
        clock.hear(Uuid::from_u128(2), 4_000_000, begin);
        clock.hear(Uuid::from_u128(1), 1_000_000, begin);
        assert_eq!(clock.at(at(begin, 2)), Some(Now::at(3_000_000)));
        assert_eq!(clock.spread(at(begin, 2)), Duration::from_secs(3));
        clock.hear(Uuid::from_u128(2), 90_000_000, at(begin, 70));
        assert_eq!(clock.at(at(begin, 70)).unwrap().shown, 90_000_000);
    }

    #[test]
    fn a_step_forward_ages_nothing_until_it_has_lasted() {
        let begin = Instant::now();
        let mut clock = ServerClock::new(DOUBT, begin);
        let node = Uuid::nil();
        let mut told = Vec::new();
        for second in 0..300 {
            // An hour ahead from 100 on; that answers take some milliseconds is no step.
            let step = if second < 100 { 0 } else { 3_600 };
            let late = i64::try_from(second % 7).unwrap() * 1_000;
            clock.hear(node, (i64::try_from(second).unwrap() + step) * SECOND - late, at(begin, second));
            told.push(clock.at(at(begin, second)).unwrap());
        }
        assert!((100..220).all(|second| told[second].shown - told[second].steady > 3_599 * SECOND));
        assert!(
            (0..100).chain(222..300).all(|second| told[second].shown - told[second].steady < SECOND / 100)
        );
        assert!(told.is_sorted_by_key(|now| now.steady));
        assert_eq!(told[150].age(90) / SECOND, 58, "the hour is no age");
        assert_eq!(told[100].age(100), told[100].steady - 101 * SECOND, "the second of the step is young");
        assert_eq!(told[150].age(3_745) / SECOND, 3, "what is written since ages");
    }

    #[test]
    fn a_step_back_is_believed_at_once() {
        let begin = Instant::now();
        let mut clock = ServerClock::new(DOUBT, begin);
        clock.hear(Uuid::nil(), 4_000 * SECOND, begin);
        clock.hear(Uuid::nil(), 10 * SECOND, at(begin, 1));
        assert_eq!(clock.at(at(begin, 2)), Some(Now::at(11 * SECOND)));
    }
}
