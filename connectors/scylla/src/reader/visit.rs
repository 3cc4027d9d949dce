//! A later visit: the sums of what is there now, against what was emitted; where they differ, the names; and then the
//! rows that are new.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use scylla::value::CqlTimeuuid;
use weir_sdk::Error;

use super::RowOrder;
use super::clock::Now;
use super::progress::Progress;
use super::queue::Queue;
use super::row::{RowId, StreamId};
use super::statement::{Key, Part};
use super::tally::Tally;
use super::time::{Bucket, begin, first_at};
use super::unsettled::{Compared, Sum};
use super::visits::{runs, within};
use crate::hub::reads::Cursor;
use crate::hub::visited::Visited;

/// A visit under way.
pub struct Visit {
    /// What of it others may use too.
    shared: Arc<Visited>,
    /// The seconds of it that are visited for us.
    pub runs: Vec<Range<Bucket>>,
    /// The server's time when it began.
    pub began: Now,
    /// What is emitted again as a whole.
    pub again: Again,
    /// What it is at.
    pub stage: Stage,
}

/// What a visit is at. Where there is nothing to ask for, a stage ends at once.
pub enum Stage {
    /// Adding up what is there of each second.
    Sums(Cursor<(Bucket, Sum)>, Tally),
    /// Reading the names of the seconds of which something else is there than was emitted.
    Names(Cursor<Key>, Missing),
    /// Reading the rows that are new.
    Rows(Queue),
}

/// Seconds that are emitted again as a whole, with what was emitted of them so far.
pub type Again = BTreeMap<Bucket, Sum>;

/// The rows that were not emitted, by the index of their part and their second.
#[derive(Debug, Default)]
pub struct Missing(BTreeMap<(usize, Bucket), Stretch>);

/// Where rows are missing: in these streams, from the first to the last.
#[derive(Debug)]
struct Stretch {
    streams: BTreeSet<StreamId>,
    first: CqlTimeuuid,
    last: CqlTimeuuid,
}

impl Visit {
    /// Begins to take part in one, for these seconds.
    pub fn of(shared: Arc<Visited>, runs: Vec<Range<Bucket>>) -> Self {
        let stage = Stage::Sums(shared.sums.follow(), Tally::default());
        Self { runs, began: shared.began(), again: Again::new(), stage, shared }
    }

    /// Waits for the next page, or goes on to what the last one makes worth asking for. Safe to drop.
    pub async fn advance(&mut self, progress: &mut Progress, order: &RowOrder) -> Result<(), Error> {
        match &mut self.stage {
            Stage::Sums(sums, there) => match sums.next().await? {
                Some(page) => {
                    let ours = page.rows.iter().filter(|(second, _)| within(&self.runs, *second));
                    ours.for_each(|(second, sum)| there.join(*second, *sum));
                }
                None => {
                    let named = compare(there, progress, &mut self.again);
                    let names = self.shared.names(clipped(sums.parts(), &named));
                    self.stage = Stage::Names(names.follow(), Missing::default());
                }
            },
            Stage::Names(names, missing) => match names.next().await? {
                Some(page) => {
                    let new = page.rows.iter().filter(|key| !progress.knows(&key.id));
                    new.for_each(|key| missing.add(page.part, &key.id));
                }
                None => {
                    let whole = clipped(self.shared.sums.parts(), &runs(self.again.keys().copied()));
                    let rows = self.shared.rows(missing.parts().chain(whole).collect());
                    self.stage = Stage::Rows(order.late(rows.follow()));
                }
            },
            Stage::Rows(queue) if !queue.is_done() => queue.receive().await?,
            Stage::Rows(_) => std::future::pending().await,
        }
        Ok(())
    }
}

/// The seconds of which names tell what is new, in runs; those that are emitted `again` are put there.
fn compare(there: &Tally, progress: &Progress, again: &mut Again) -> Vec<Range<Bucket>> {
    runs(there.iter().filter_map(|(second, sum)| match progress.compare(second, sum) {
        Compared::Same => None,
        Compared::ByName => Some(second),
        Compared::AsWhole => {
            again.insert(second, Sum::default());
            None
        }
    }))
}

impl Missing {
    /// A row that this part read is one of them.
    fn add(&mut self, part: usize, row: &RowId) {
        let RowId { stream, place } = row;
        let stretch = self.0.entry((part, row.bucket())).or_insert_with(|| Stretch {
            streams: BTreeSet::new(),
            first: place.time,
            last: place.time,
        });
        stretch.streams.insert(*stream);
        stretch.first = stretch.first.min(place.time);
        stretch.last = stretch.last.max(place.time);
    }

    /// The parts that hold them.
    fn parts(&self) -> impl Iterator<Item = Part> {
        self.0.values().map(Stretch::part)
    }
}

impl Stretch {
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

/// These parts, as far as they lie in these seconds.
fn clipped(parts: &[Part], runs: &[Range<Bucket>]) -> Vec<Part> {
    let clip = |part: &Part, run: &Range<Bucket>| {
        let from = part.from.max(first_at(begin(run.start)));
        let to = part.to.min(first_at(begin(run.end)));
        (from < to).then(|| Part { streams: part.streams.clone(), from, to })
    };
    runs.iter().flat_map(|run| parts.iter().filter_map(move |part| clip(part, run))).collect()
}
