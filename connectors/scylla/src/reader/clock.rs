//! The server's clock as far as it can be known, carried on by our monotonic one.
//!
//! Rows are stamped by the cluster, so our wall clock has no say in what is safe to read. A node tells its time; at
//! the moment the answer arrives its clock shows at least that, and from there our monotonic clock counts on. Of
//! several nodes the slowest is believed: reading late costs latency, reading early costs a later visit. A clock that
//! goes back further than visits reach makes the reader turn back, which costs repeats.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::time::{Micros, micros};

/// Nodes that have not answered for so long are no longer believed.
const FORGET: Duration = Duration::from_secs(60);

/// What the nodes said last.
#[derive(Debug, Default)]
pub struct ServerClock(HashMap<Uuid, Said>);

#[derive(Clone, Copy, Debug)]
struct Said {
    time: Micros,
    heard: Instant,
}

impl ServerClock {
    /// `node` said that it is `time`; its answer arrived at `heard`.
    pub fn hear(&mut self, node: Uuid, time: Micros, heard: Instant) {
        self.0.retain(|_, said| heard.saturating_duration_since(said.heard) < FORGET);
        self.0.insert(node, Said { time, heard });
    }

    /// What every node's clock shows at least at `at`; `None` before the first answer.
    pub fn at(&self, at: Instant) -> Option<Micros> {
        let show = |said: &Said| said.time.saturating_add(micros(at.saturating_duration_since(said.heard)));
        self.0.values().map(show).min()
    }

    /// Between the slowest and the fastest node.
    pub fn spread(&self, at: Instant) -> Duration {
        let show = |said: &Said| said.time.saturating_add(micros(at.saturating_duration_since(said.heard)));
        let (least, most) = (self.0.values().map(show).min(), self.0.values().map(show).max());
        let spread = most.unwrap_or_default() - least.unwrap_or_default();
        Duration::from_micros(spread.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::ServerClock;
    use std::time::Duration;
    use tokio::time::Instant;
    use uuid::Uuid;

    #[test]
    fn the_slowest_node_is_believed_until_it_is_silent_for_long() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut clock = ServerClock::default();
        assert_eq!(clock.at(at(0)), None);
        clock.hear(Uuid::from_u128(1), 1_000_000, at(0));
        clock.hear(Uuid::from_u128(2), 4_000_000, at(1));
        assert_eq!(clock.at(at(2)), Some(3_000_000));
        assert_eq!(clock.spread(at(2)), Duration::from_secs(2));
        clock.hear(Uuid::from_u128(2), 90_000_000, at(70));
        assert_eq!(clock.at(at(70)), Some(90_000_000));
    }
}
