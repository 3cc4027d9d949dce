//! What has been emitted, and the checkpoint that says so: the pure half of the reader.
//!
//! Nothing here waits or reads. A row counts as emitted when it is put into a batch, and the checkpoint of that batch
//! is made from the same state, so it can cover no row that is not in this batch or an earlier one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::time::Duration;

use weir_sdk::Checkpoint;

use super::clock::Now;
use super::passed::Passed;
use super::row::{Place, RowId, StreamId};
use super::tally::{Minute, Tally, begin_of, minute_at};
use super::time::{Bucket, Micros, begin, bucket};
use super::token::{self, Main, Position};
use super::unsettled::{Compared, Sum, Unsettled};
use super::visits::Visits;
use super::window::Window;

/// What has been emitted.
#[derive(Debug)]
pub struct Progress {
    cut: Micros,
    fresh: Option<Micros>,
    open: Option<Open>,
    visits: Visits,
    unsettled: Unsettled,
    /// Where it is to be told what was emitted.
    passed: Option<Passed>,
    /// Partition of ids → its last second.
    chunks: BTreeMap<u64, Bucket>,
    next_chunk: u64,
    /// Ids of this batch.
    new_ids: Vec<(Bucket, u64)>,
    /// Rows of the batch that share their time, and more of it may follow.
    tied: Vec<(RowId, Kept)>,
    saved: Main,
    saved_parts: BTreeSet<u64>,
    /// Parts of this run are numbered from here, so that they do not replace those of an earlier one.
    first_part: u64,
    sums_changed: bool,
}

/// The window that is being read.
#[derive(Debug)]
struct Open {
    window: Window,
    began: Micros,
    /// What an earlier run emitted of it.
    before: HashMap<StreamId, Place>,
    parts: BTreeMap<u64, Part>,
}

#[derive(Debug, Default)]
struct Part {
    places: BTreeMap<StreamId, Place>,
    changed: bool,
}

/// Bounds of what is remembered.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For how long a late row may come.
    pub safety: Duration,
    /// Bytes of ids that are kept in memory.
    pub memory: usize,
}

impl Progress {
    /// Goes on at `position`.
    pub fn new(position: Position, limits: Limits) -> Self {
        let Position { main, places, parts, ids, sums, tallies } = position;
        let mut visits = Visits::new(limits.safety);
        visits.restarted(&main.waiting);
        let open = main.window.map(|(to, began)| Open {
            window: Window { from: main.cut, to },
            began,
            before: places,
            parts: BTreeMap::new(),
        });
        let mut unsettled = Unsettled::new(limits.memory);
        sums.iter().for_each(|(second, sum)| unsettled.set_sum(*second, *sum));
        let mut chunks = BTreeMap::new();
        for (chunk, rows) in &ids {
            chunks.insert(*chunk, rows.iter().map(|(second, _)| *second).max().unwrap_or(Bucket::MIN));
            for (second, id) in rows.iter().filter(|(second, _)| visits.waits(*second)) {
                if unsettled.sum(*second).is_none() {
                    unsettled.insert(*second, *id);
                }
            }
        }
        Self {
            cut: main.cut,
            fresh: main.fresh,
            open,
            visits,
            unsettled,
            passed: tallies.map(Passed::resume),
            next_chunk: chunks.keys().last().map_or(0, |last| last + 1),
            chunks,
            new_ids: Vec::new(),
            tied: Vec::new(),
            saved: main,
            first_part: parts.iter().max().map_or(0, |last| last + 1),
            saved_parts: parts.into_iter().collect(),
            sums_changed: false,
        }
    }

    /// Every row before this was emitted, apart from late ones.
    pub fn cut(&self) -> Micros {
        self.cut
    }

    /// When the pipeline was first started, as long as nothing was read.
    pub fn fresh(&self) -> Option<Micros> {
        self.fresh
    }

    /// Begins later: nothing was read yet, and what lies before is gone.
    pub fn begin_at(&mut self, cut: Micros) {
        self.cut = cut;
        self.open = None;
        self.passed = self.passed.take().map(|_| Passed::begin_at(cut));
    }

    /// The window that is open: an earlier run left it so.
    pub fn window(&self) -> Option<Window> {
        self.open.as_ref().map(|open| open.window)
    }

    /// When the open window was opened.
    pub fn opened(&self) -> Option<Micros> {
        self.open.as_ref().map(|open| open.began)
    }

    /// Opens a window at the cut; reading begins at `now`.
    pub fn open(&mut self, window: Window, now: Now) {
        debug_assert_eq!(window.from, self.cut, "windows follow each other");
        self.visits.passed(window.from, window.to, now);
        self.open = Some(Open { window, began: now.shown, before: HashMap::new(), parts: BTreeMap::new() });
    }

    /// Did an earlier run emit this row of the open window?
    pub fn emitted_before(&self, row: &RowId) -> bool {
        let before = self.open.as_ref().map(|open| &open.before);
        before
            .filter(|before| !before.is_empty())
            .and_then(|before| before.get(&row.stream))
            .is_some_and(|last| row.place <= *last)
    }

    /// A row of the open window, read by this part of it, is in the batch; `kept` when a visit may meet it again.
    pub fn emit(&mut self, part: u64, row: &RowId, kept: Kept) {
        if let Some(open) = &mut self.open {
            let part = open.parts.entry(part).or_default();
            let place = part.places.entry(row.stream).or_insert(row.place);
            *place = row.place.max(*place);
            part.changed = true;
        }
        self.keep(row, kept);
    }

    /// A row of the open window is in the batch, and every row of the window that was written before it is in this
    /// batch or an earlier one. Rows of one time come in any order, so it counts once the next time begins.
    pub fn emit_by_time(&mut self, row: &RowId, kept: Kept) {
        if self.tied.last().is_some_and(|(last, _)| last.micros() != row.micros()) {
            self.count_tied();
        }
        self.tied.push((*row, kept));
    }

    fn count_tied(&mut self) {
        for (row, kept) in std::mem::take(&mut self.tied) {
            self.emit(0, &row, kept);
        }
    }

    /// Gives up the second half of the open window, of which nothing was emitted. Returns its length before; `None`
    /// where it cannot be halved.
    pub fn halve(&mut self) -> Option<Micros> {
        let open = self.open.as_mut().filter(|open| open.before.is_empty() && open.parts.is_empty())?;
        let length = open.window.to - open.window.from;
        if length < 2 {
            return None;
        }
        open.window.to = open.window.from + length / 2;
        Some(length)
    }

    /// A late row is in the batch.
    pub fn emit_late(&mut self, row: &RowId) {
        self.keep(row, Kept::Yes);
    }

    fn keep(&mut self, row: &RowId, kept: Kept) {
        let second = row.bucket();
        if kept == Kept::No {
            return;
        }
        if self.visits.waits(second) {
            let hash = row.hash();
            if self.unsettled.insert(second, hash) {
                self.new_ids.push((second, hash));
            } else {
                self.sums_changed = true;
            }
        } else if let Some(passed) = &mut self.passed {
            passed.add(second, row.hash());
        }
    }

    /// Every row of the open window is in this batch or an earlier one.
    pub fn close(&mut self) {
        self.count_tied();
        if let Some(open) = self.open.take() {
            self.cut = open.window.to;
            self.fresh = None;
        }
    }

    /// The runs of seconds to visit now.
    pub fn due(&self, now: Now) -> Vec<Range<Bucket>> {
        self.visits.due(now, self.cut)
    }

    /// What a visit of these seconds, begun by anybody at `began`, does for us; empty when a visit of our own is better.
    pub fn served(&self, by: &[Range<Bucket>], began: Now, now: Now) -> Vec<Range<Bucket>> {
        self.visits.served(by, began, now, self.cut)
    }

    /// Compares what a visit found of a second with what was emitted of it.
    pub fn compare(&self, second: Bucket, there: Sum) -> Compared {
        self.unsettled.compare(second, there)
    }

    /// Is this row, met by a visit, a known one? Asked only of seconds that are no sums.
    pub fn knows(&mut self, row: &RowId) -> bool {
        self.unsettled.contains(row.bucket(), row.hash())
    }

    /// Will a visit come to the second of this row?
    pub fn visits(&self, row: &RowId) -> bool {
        self.visits.waits(row.bucket())
    }

    /// Will another one come after a visit that began at `began`?
    pub fn visits_after(&self, row: &RowId, began: Now) -> bool {
        self.visits.again(row.bucket(), began)
    }

    /// What is known of a second that is only a sum.
    pub fn sum(&self, second: Bucket) -> Option<Sum> {
        self.unsettled.sum(second)
    }

    /// A second that is only a sum was emitted again as a whole.
    pub fn set_sum(&mut self, second: Bucket, sum: Sum) {
        self.unsettled.set_sum(second, sum);
        self.sums_changed = true;
    }

    /// A visit that began at `began` is over; what it found late is in this batch or an earlier one.
    pub fn visited(&mut self, runs: &[Range<Bucket>], began: Now) {
        self.visits.visited(runs, began);
        self.forget_settled();
    }

    /// Goes back where a clock was set back so far that rows of `now` fall into seconds that are settled, by what may
    /// have been written `unseen` and by what may come late, but not beyond `oldest`; `true` when it did.
    pub fn turn_back(&mut self, now: Micros, unseen: Micros, oldest: Micros) -> bool {
        // What is nearer waits for a visit, unless it lies before a start at `latest`. And a start in the time to come
        // is no clock that was set back: nothing was read before it.
        let near = self.cut.saturating_sub(now) < self.visits.last_age() / 10 * 9;
        if near || self.visits.is_empty() || self.visits.waits(bucket(now)) {
            if now < self.cut {
                self.visits.young_again_from(bucket(now.saturating_sub(unseen)));
            }
            return false;
        }
        let mut back = now.saturating_sub(unseen).saturating_sub(self.visits.last_age());
        if self.passed.is_some() {
            // What is told is told of whole minutes.
            back = begin_of(minute_at(back));
        }
        self.cut = back.max(oldest);
        self.open = None;
        self.tied.clear();
        self.visits.forget_from(bucket(self.cut));
        self.forget_settled();
        if let Some(passed) = &mut self.passed {
            passed.turn_back(self.cut);
        }
        true
    }

    fn forget_settled(&mut self) {
        let sums = self.unsettled.sums().count();
        let visits = &self.visits;
        if let Some(passed) = &mut self.passed {
            let settled = self.unsettled.emitted(|second| !visits.waits(second));
            settled.for_each(|(second, sum)| passed.settle(second, sum));
        }
        self.unsettled.retain(|second| visits.waits(second));
        self.sums_changed |= self.unsettled.sums().count() != sums;
    }

    /// What was emitted of a minute is written down where others read it.
    pub fn told(&mut self, minute: Minute, tally: &Tally) {
        if let Some(passed) = &mut self.passed {
            passed.told(minute, tally);
        }
    }

    /// Keeps to the memory budget; `true` when seconds had to become sums. Not while a visit is under way.
    pub fn fold(&mut self) -> bool {
        let folded = self.unsettled.fold();
        self.sums_changed |= folded;
        folded
    }

    /// Rows that come later than this are not looked for.
    pub fn safety(&self) -> Micros {
        self.visits.last_age()
    }

    /// Is any second only a sum?
    pub fn is_degraded(&self) -> bool {
        self.unsettled.sums().next().is_some()
    }

    /// What changed since the last call, as the checkpoint of the batch that is being closed.
    pub fn checkpoint(&mut self) -> Checkpoint {
        let mut checkpoint = Checkpoint::default();
        let main = self.main();
        if main != self.saved {
            let (name, offset) = main.put();
            checkpoint.set(name, offset);
            self.saved = main;
        }
        self.put_parts(&mut checkpoint);
        self.put_ids(&mut checkpoint);
        if std::mem::take(&mut self.sums_changed) {
            if self.is_degraded() {
                checkpoint.set(token::sums(), token::put_sums(self.unsettled.sums()));
            } else {
                checkpoint.retire(token::sums());
            }
        }
        if let Some(passed) = &mut self.passed {
            passed.settled_before(self.visits.first().map_or(self.cut, |first| self.cut.min(begin(first))));
            passed.put(&mut checkpoint);
        }
        checkpoint
    }

    /// How far the front is, as a checkpoint says it.
    pub fn main(&self) -> Main {
        Main {
            cut: self.cut,
            fresh: self.fresh,
            window: self.open.as_ref().map(|open| (open.window.to, open.began)),
            waiting: self.visits.waiting(),
        }
    }

    fn put_parts(&mut self, checkpoint: &mut Checkpoint) {
        let Some(open) = &mut self.open else {
            for part in std::mem::take(&mut self.saved_parts) {
                checkpoint.retire(token::at(part));
            }
            self.first_part = 0;
            return;
        };
        for (number, part) in open.parts.iter_mut().filter(|(_, part)| part.changed) {
            part.changed = false;
            let number = self.first_part + number;
            self.saved_parts.insert(number);
            checkpoint.set(token::at(number), token::put_places(&part.places));
        }
    }

    fn put_ids(&mut self, checkpoint: &mut Checkpoint) {
        if let Some(last) = self.new_ids.iter().map(|(second, _)| *second).max() {
            checkpoint.set(token::ids(self.next_chunk), token::put_ids(&self.new_ids));
            self.chunks.insert(self.next_chunk, last);
            self.next_chunk += 1;
            self.new_ids.clear();
        }
        let first = self.unsettled.first_with_ids();
        self.chunks.retain(|chunk, last| {
            let needed = first.is_some_and(|first| *last >= first);
            if !needed {
                checkpoint.retire(token::ids(*chunk));
            }
            needed
        });
    }
}

/// May a visit meet the row again? Visits look at inserts and updates only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Its id is remembered.
    Yes,
    /// Visits pass over it.
    No,
}

#[cfg(test)]
mod tests;
