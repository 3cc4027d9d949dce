//! `Watched`: how many records a topic had when, which tells what a kill may repeat.

use std::time::{Duration, Instant};

use super::{Broker, count, until};

/// A checkpoint is saved every 200 ms; syncing it takes its time on a busy disk.
const SAVED: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(90);

/// A topic, and how many records it had at which moments.
pub(crate) struct Watched<'a> {
    broker: &'a Broker,
    topic: &'a str,
    /// Of the present run of the host.
    samples: Vec<(Instant, usize)>,
    saved: usize,
}

impl<'a> Watched<'a> {
    pub(crate) fn new(broker: &'a Broker, topic: &'a str) -> Self {
        Self { broker, topic, samples: Vec::new(), saved: 0 }
    }

    /// How many records it has now.
    pub(crate) fn count(&self) -> usize {
        count(&self.broker.address(), self.topic)
    }

    /// Waits until it has so many.
    pub(crate) fn until(&mut self, records: usize) {
        until("records arrive", LIMIT, || (self.look() >= records).then_some(()));
    }

    /// Looks on for so long.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = Instant::now() + time;
        until("time passes", LIMIT, || {
            self.look();
            (Instant::now() >= end).then_some(())
        });
    }

    fn look(&mut self) -> usize {
        let count = self.count();
        self.samples.push((Instant::now(), count));
        count
    }

    /// How many have come since the newest checkpoint that is certainly saved, of a host that is killed now.
    pub(crate) fn unsaved(&mut self) -> usize {
        let before = self.samples.drain(..).rev().find(|(at, _)| at.elapsed() > SAVED);
        self.saved = before.map_or(self.saved, |(_, count)| count);
        self.count() - self.saved
    }
}
