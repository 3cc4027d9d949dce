//! From rows that wait to a batch with its checkpoint; nothing in here waits.

use tokio::time::Instant;
use weir_sdk::{Batch, Room};

use super::progress::{Kept, Progress};
use super::queue::{Filling, Queue};
use super::statement::{Content, Row};
use super::time::begin;
use super::visit::{Again, Stage, Visit};
use super::{HEARTBEAT, LATE, LINGER, Reader, RowOrder, Trouble};

/// What the mark of a late record takes of a batch's room.
const MARK: usize = LATE.len() + TRUE.len();
const TRUE: &str = "true";
/// Why the task is DEGRADED over the memory budget.
const REPEATS: &str = "more rows of the last `safety` than fit `unsettled_memory`: a late row brings the rows of its \
                       second once more; raise unsettled_memory";

impl Reader {
    /// Puts what has arrived into a batch, if it is time for one.
    pub(super) fn flush(&mut self, room: Room) -> Option<Batch> {
        let now = Instant::now();
        let ours = self.seat.ours();
        let heartbeat = ours >= self.batched + HEARTBEAT && self.trouble == Trouble::None;
        let ready = |queue: &Queue| {
            queue.is_done() || queue.fills(room) || queue.since().is_some_and(|since| now >= since + LINGER)
        };
        let late = matches!(&self.visit, Some(Visit { stage: Stage::Rows(queue), .. }) if ready(queue));
        let front = self.reading.as_ref().is_some_and(ready);
        if !(heartbeat || late || front) {
            return None;
        }
        let mut filling = Filling::new(room, self.reading.as_ref().map_or(0, Queue::rows));
        self.take_late(&mut filling);
        self.take_front(&mut filling);
        if filling.records.is_empty() && !heartbeat {
            return None;
        }
        self.batched = ours;
        self.figures.events.add(filling.records.len() as u64);
        self.bound_memory();
        Some(Batch { records: filling.records.into(), checkpoint: self.progress.checkpoint() })
    }

    fn take_front(&mut self, filling: &mut Filling) {
        let Some(queue) = &mut self.reading else { return };
        let progress = &mut self.progress;
        while let Some((part, row)) =
            queue.take_if(|row| progress.emitted_before(&row.id) || filling.fits(row.size))
        {
            if progress.emitted_before(&row.id) {
                continue;
            }
            self.front.count();
            // What is torn is left to a visit, which may find it whole, if one will come.
            let left = matches!(row.content, Content::Torn(_)) && progress.visits(&row.id);
            let kept = if left { Kept::No } else { row.kept };
            match self.order {
                RowOrder::OfStreams | RowOrder::OfChanges(_) => progress.emit(part as u64, &row.id, kept),
                RowOrder::OfTimes { .. } => progress.emit_by_time(&row.id, kept),
            }
            match row.content {
                Content::Event(record) => filling.push(record, row.size),
                Content::Torn(record) if !left => filling.push(record, row.size),
                Content::Torn(_) | Content::Piece(_) => {}
                Content::Skipped(skip) => self.figures.passed_over(skip),
            }
        }
        if queue.is_empty() {
            self.reading = None;
            progress.close();
            self.front.closed();
        }
    }

    fn take_late(&mut self, filling: &mut Filling) {
        let now = self.seat.now().shown;
        let Some(Visit { runs, began, again, stage: Stage::Rows(queue), .. }) = &mut self.visit else {
            return;
        };
        let progress = &mut self.progress;
        while let Some((_, row)) = queue.take_if(|row| filling.fits(row.size + MARK)) {
            let left = matches!(row.content, Content::Torn(_)) && progress.visits_after(&row.id, *began);
            let wanted = if left { Wanted::No } else { wanted(&row, again, progress) };
            if wanted == Wanted::No {
                continue;
            }
            match row.content {
                Content::Event(mut record) | Content::Torn(mut record) => {
                    record.headers.push(LATE, TRUE);
                    self.figures.came_late(now - row.id.micros(), u64::from(wanted == Wanted::New));
                    filling.push(record, row.size + MARK);
                }
                Content::Piece(_) => {}
                Content::Skipped(skip) => self.figures.passed_over(skip),
            }
        }
        if queue.is_empty() {
            for (second, sum) in std::mem::take(again) {
                let known = progress.sum(second).map_or(0, |known| known.rows);
                self.figures.came_late(now - begin(second), sum.rows.saturating_sub(known));
                progress.set_sum(second, sum);
            }
            progress.visited(runs, *began);
            self.visit = None;
        }
    }

    fn bound_memory(&mut self) {
        if self.visit.is_none() {
            self.progress.fold();
        }
        match (self.progress.is_degraded(), &self.degraded) {
            (true, None) => self.degraded = Some(self.conditions.degraded(REPEATS)),
            (false, Some(_)) => self.degraded = None,
            (true, Some(_)) | (false, None) => {}
        }
    }
}

/// Is this row, read by a visit, to be emitted? Then it counts as emitted.
fn wanted(row: &Row, again: &mut Again, progress: &mut Progress) -> Wanted {
    if row.kept == Kept::No {
        return Wanted::No;
    }
    if let Some(sum) = again.get_mut(&row.id.bucket()) {
        sum.add(row.id.hash());
        return Wanted::Again;
    }
    if progress.knows(&row.id) {
        return Wanted::No;
    }
    progress.emit_late(&row.id);
    Wanted::New
}

/// What becomes of a row that a visit read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// It came late.
    New,
    /// Its second is emitted again as a whole.
    Again,
    /// It was emitted before.
    No,
}
