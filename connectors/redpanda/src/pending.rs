//! Records whose write was given up while they were on their way: the retry of the same records joins them.
//!
//! In a healthy run nothing is ever in here, and a write costs one look at an empty map. Records are told apart by
//! where they came from, and compared whole, since a transform may make several of one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::error::RDKafkaErrorCode;
use weir_sdk::{Origin, Record, Records};

use crate::tickets::Batch;

/// Records that nobody asks for again are forgotten once there are more than this; asked for after all, they are
/// sent again. Those still on their way are bounded by the room.
const KEPT: usize = 65_536;

/// Where a record is on its way: in this batch, at this index.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) batch: Arc<Batch>,
    pub(crate) index: usize,
}

/// What a place turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// No report yet.
    Open,
    /// Durable.
    Delivered,
    /// Reported as failed.
    Failed(RDKafkaErrorCode),
}

impl Place {
    pub(crate) fn outcome(&self) -> Outcome {
        if !self.batch.is_settled() {
            return Outcome::Open;
        }
        let failures = self.batch.failures();
        let failed = failures.iter().find(|(index, _)| *index == self.index);
        failed.map_or(Outcome::Delivered, |(_, code)| Outcome::Failed(*code))
    }
}

/// The records that were left behind, by origin.
#[derive(Debug, Default)]
pub(crate) struct Pending(Mutex<Left>);

#[derive(Debug, Default)]
struct Left {
    records: HashMap<Origin, Vec<(Record, Place)>>,
    count: usize,
}

impl Pending {
    /// Takes out the places of those records that were left behind, with their indexes among the given.
    pub(crate) fn take(&self, records: &Records) -> Vec<(usize, Place)> {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if left.count == 0 {
            return Vec::new();
        }
        let mut taken = Vec::new();
        for (index, record) in records.iter().enumerate() {
            let Some(candidates) = left.records.get_mut(&record.origin) else { continue };
            let Some(same) = candidates.iter().position(|(left, _)| left == record) else { continue };
            taken.push((index, candidates.remove(same).1));
            if candidates.is_empty() {
                left.records.remove(&record.origin);
            }
        }
        left.count -= taken.len();
        taken
    }

    /// Leaves a record behind.
    pub(crate) fn put(&self, record: &Record, place: Place) {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if left.count >= KEPT {
            for places in left.records.values_mut() {
                places.retain(|(_, place)| !place.batch.is_settled());
            }
            left.records.retain(|_, places| !places.is_empty());
            left.count = left.records.values().map(Vec::len).sum();
        }
        left.records.entry(record.origin.clone()).or_default().push((record.clone(), place));
        left.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Outcome, Pending, Place};
    use crate::tickets::Tickets;
    use rdkafka::error::RDKafkaErrorCode::PurgeQueue;
    use weir_sdk::Records;
    use weir_sdk::testing::{RecordExt, keyless, record};

    #[test]
    fn a_retry_finds_each_record_once_and_only_the_same() {
        let (tickets, pending) = (Tickets::default(), Pending::default());
        let batch = tickets.issue(3);
        // Two records that a transform made of one, and one more.
        let sent =
            [record("k", "a").at("p", "1"), record("k", "b").at("p", "1"), record("k", "c").at("p", "2")];
        for (index, sent) in sent.iter().enumerate() {
            pending.put(sent, Place { batch: batch.clone(), index });
        }
        let retry: Records = [
            record("k", "b").at("p", "1"),
            record("k", "changed").at("p", "2"),
            record("k", "a").at("p", "1"),
            record("k", "a").at("p", "1"),
        ]
        .into_iter()
        .collect();
        let found: Vec<_> = pending.take(&retry).into_iter().map(|(at, place)| (at, place.index)).collect();
        assert_eq!(found, [(0, 1), (2, 0)]);
        assert!(pending.take(&retry).is_empty());
    }

    #[test]
    fn a_place_tells_how_it_ended() {
        let tickets = Tickets::default();
        let batch = tickets.issue(2);
        let places = [0, 1].map(|index| Place { batch: batch.clone(), index });
        tickets.handed_over(&batch, 2);
        tickets.report(batch.ticket(1), Some(PurgeQueue));
        assert_eq!(places[1].outcome(), Outcome::Open);
        tickets.report(batch.ticket(0), None);
        assert_eq!(places.map(|place| place.outcome()), [Outcome::Delivered, Outcome::Failed(PurgeQueue)]);
    }

    #[test]
    fn what_nobody_asks_for_again_is_forgotten_but_not_what_is_on_its_way() {
        let (tickets, pending) = (Tickets::default(), Pending::default());
        let (open, settled) = (tickets.issue(1), tickets.issue(0));
        tickets.handed_over(&settled, 0);
        pending.put(&keyless("open"), Place { batch: open, index: 0 });
        for number in 0..KEPT {
            pending.put(&keyless(&number.to_string()), Place { batch: settled.clone(), index: 0 });
        }
        let asked: Records =
            [keyless("open"), keyless("0"), keyless(&(KEPT - 1).to_string())].into_iter().collect();
        let found: Vec<_> = pending.take(&asked).into_iter().map(|(at, _)| at).collect();
        assert_eq!(found, [0, 2]);
    }
}
