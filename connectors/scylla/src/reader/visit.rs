//! A later visit: the names of what is there now, against what was emitted, and then the rows that are new.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use scylla::value::CqlTimeuuid;

use super::clock::Now;
use super::progress::Progress;
use super::queue::Queue;
use super::row::{RowId, StreamId};
use super::statement::{Key, Part};
use super::time::{Bucket, begin, first_at};
use super::unsettled::Sum;
use crate::hub::reads::Cursor;
use crate::hub::shared::Visited;
use crate::hub::windows::Kept;

/// A visit under way.
pub struct Visit {
    /// What of it others may use too.
    pub shared: Arc<Visited>,
    /// The seconds of it that are visited for us.
    pub runs: Vec<Range<Bucket>>,
    /// The server's time when it began.
    pub began: Now,
    /// What it is at.
    pub stage: Stage,
}

/// What a visit is at.
pub enum Stage {
    /// Reading names.
    Names(Cursor<Key>, Found),
    /// Reading the rows that are new.
    Rows(Queue, Again),
}

/// Seconds that are emitted again as a whole, with what was emitted of them so far.
pub type Again = BTreeMap<Bucket, Sum>;

/// What the names say.
#[derive(Debug, Default)]
pub struct Found {
    /// Rows that were not emitted, by the index of their part and their second.
    missing: BTreeMap<(usize, Bucket), Missing>,
    /// What is there of the seconds of which only a sum is known.
    sums: BTreeMap<Bucket, Sum>,
}

/// Where rows are missing: in these streams, from the first to the last.
#[derive(Debug)]
struct Missing {
    streams: BTreeSet<StreamId>,
    first: CqlTimeuuid,
    last: CqlTimeuuid,
}

impl Visit {
    /// Begins to take part in one, for these seconds.
    pub fn of(shared: Arc<Visited>, runs: Vec<Range<Bucket>>) -> Self {
        let names = shared.names.follow();
        Self { runs, began: shared.names.began(), stage: Stage::Names(names, Found::default()), shared }
    }
}

impl Found {
    /// Compares one name, read by this part.
    pub fn meet(&mut self, part: usize, key: &Key, progress: &mut Progress) {
        let second = key.id.bucket();
        if progress.sum(second).is_some() {
            self.sums.entry(second).or_default().add(key.id.hash());
        } else if !progress.knows(&key.id) {
            self.miss(part, second, &key.id);
        }
    }

    fn miss(&mut self, part: usize, second: Bucket, row: &RowId) {
        let RowId { stream, place } = row;
        let missing = self.missing.entry((part, second)).or_insert_with(|| Missing {
            streams: BTreeSet::new(),
            first: place.time,
            last: place.time,
        });
        missing.streams.insert(*stream);
        missing.first = missing.first.min(place.time);
        missing.last = missing.last.max(place.time);
    }

    /// The parts to read in full: around each missing row, and all of each second whose sum is another one.
    pub fn parts(&self, visited: &[Part], progress: &Progress) -> (Vec<Part>, Again) {
        let mut parts: Vec<Part> = self.missing.values().map(Missing::part).collect();
        let mut again = Again::new();
        for (second, sum) in &self.sums {
            if progress.sum(*second).is_some_and(|known| known != *sum) {
                again.insert(*second, Sum::default());
                parts.extend(visited.iter().filter_map(|part| clip(part, *second)));
            }
        }
        (parts, again)
    }
}

impl Missing {
    fn part(&self) -> Part {
        let streams: Vec<_> = self.streams.iter().copied().collect();
        // The end of a part is not in it, so the part ends one unit of 100 ns behind the last row.
        let to = after(&self.last);
        Part { streams: streams.into(), from: self.first, to }
    }
}

/// The smallest timeuuid of the next unit of time.
fn after(time: &CqlTimeuuid) -> CqlTimeuuid {
    let (low, mid, high, _) = time.as_fields();
    let ticks = u64::from(low) | u64::from(mid) << 32 | u64::from(high & 0x0fff) << 48;
    let next = (ticks + 1).min((1 << 60) - 1);
    let high = (next >> 48) as u16 | 0x1000;
    CqlTimeuuid::from_fields(next as u32, (next >> 32) as u16, high, &[0x80; 8])
}

fn clip(part: &Part, second: Bucket) -> Option<Part> {
    let from = part.from.max(first_at(begin(second)));
    let to = part.to.min(first_at(begin(second + 1)));
    (from < to).then(|| Part { streams: part.streams.clone(), from, to })
}
