//! Pages that have arrived and wait to be put into batches.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;
use weir_sdk::{Error, Record, Room};

use super::change::Changes;
use super::slice::Slice;
use super::statement::Row;
use crate::hub::reads::Cursor;

/// The rows of some parts on their way into batches.
pub struct Queue {
    cursor: Cursor<Row>,
    gathers: Gathers,
    pages: VecDeque<Arrived>,
    done: bool,
    since: Option<Instant>,
}

/// What is gathered before rows are given out.
enum Gathers {
    /// They are given out as they come.
    Nothing,
    /// The rows of each change.
    Changes(Changes),
    /// All of them, which are then given out by their time.
    All(Slice),
}

struct Arrived {
    part: usize,
    rows: std::vec::IntoIter<Row>,
    /// Bytes of the answer for each row, on average.
    bytes: usize,
}

impl Queue {
    /// Nothing is asked before the first [`receive`](Self::receive).
    pub fn new(cursor: Cursor<Row>) -> Self {
        Self { cursor, gathers: Gathers::Nothing, pages: VecDeque::new(), done: false, since: None }
    }

    /// Gives out the rows of each change together, joined.
    pub fn joining(cursor: Cursor<Row>, changes: Changes) -> Self {
        Self { gathers: Gathers::Changes(changes), ..Self::new(cursor) }
    }

    /// Gives out nothing before all rows have arrived, and then by their time.
    pub fn sorting(cursor: Cursor<Row>, slice: Slice) -> Self {
        Self { gathers: Gathers::All(slice), ..Self::new(cursor) }
    }

    /// Waits for the next page, or for the end. Safe to drop.
    pub async fn receive(&mut self) -> Result<(), Error> {
        match self.cursor.next().await? {
            Some(page) if page.rows.is_empty() => {}
            Some(page) => {
                let bytes = page.bytes / page.rows.len();
                let rows = Arc::unwrap_or_clone(page.rows);
                match &mut self.gathers {
                    Gathers::Nothing => self.arrived(page.part, rows, bytes),
                    Gathers::Changes(changes) => {
                        let rows = changes.add(page.part, rows);
                        self.arrived(page.part, rows, bytes);
                    }
                    Gathers::All(slice) => slice.add(rows),
                }
            }
            None => {
                self.done = true;
                match std::mem::replace(&mut self.gathers, Gathers::Nothing) {
                    Gathers::Nothing => {}
                    Gathers::Changes(mut changes) => {
                        changes.end().into_iter().for_each(|(part, rows)| self.arrived(part, rows, 0));
                    }
                    // Their order is that of no part, so all are of one.
                    Gathers::All(slice) => self.arrived(0, slice.sorted(), 0),
                }
            }
        }
        Ok(())
    }

    /// Rows of a part can be given out; `bytes` is what each takes, on average.
    fn arrived(&mut self, part: usize, rows: Vec<Row>, bytes: usize) {
        if rows.is_empty() {
            return;
        }
        self.pages.push_back(Arrived { part, rows: rows.into_iter(), bytes });
        self.since.get_or_insert_with(Instant::now);
    }

    /// More rows are gathered than should be.
    pub fn is_over(&self) -> bool {
        matches!(&self.gathers, Gathers::All(slice) if slice.is_over())
    }

    /// Every page has arrived.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Every row has been taken.
    pub fn is_empty(&self) -> bool {
        self.done && self.pages.is_empty()
    }

    /// Since when rows have been waiting.
    pub fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Do the rows that wait fill the room, as far as one can tell without looking at each?
    pub fn fills(&self, room: Room) -> bool {
        let bytes: usize = self.pages.iter().map(|page| page.rows.len() * page.bytes).sum();
        self.rows() >= room.records || bytes >= room.bytes
    }

    /// How many rows wait.
    pub fn rows(&self) -> usize {
        self.pages.iter().map(|page| page.rows.len()).sum()
    }

    /// Takes the next row and the index of its part if `wanted` says so.
    pub fn take_if(&mut self, wanted: impl FnOnce(&Row) -> bool) -> Option<(usize, Row)> {
        let page = self.pages.front_mut()?;
        let part = page.part;
        if !page.rows.as_slice().first().is_some_and(wanted) {
            return None;
        }
        let row = page.rows.next()?;
        if page.rows.as_slice().is_empty() {
            self.pages.pop_front();
        }
        if self.pages.is_empty() {
            self.since = None;
        }
        Some((part, row))
    }
}

/// A batch that is being filled.
pub struct Filling {
    room: Room,
    bytes: usize,
    /// What it holds.
    pub records: Vec<Record>,
}

impl Filling {
    /// An empty one; `rows` are waiting for it.
    pub fn new(room: Room, rows: usize) -> Self {
        Self { room, bytes: 0, records: Vec::with_capacity(rows.min(room.records)) }
    }

    /// Is there room for a record of this size? A single one that is larger than the room comes alone.
    pub fn fits(&self, size: usize) -> bool {
        let left = self.records.len() < self.room.records && self.bytes + size <= self.room.bytes;
        self.records.is_empty() || left
    }

    /// Puts a record of this size in.
    pub fn push(&mut self, record: Record, size: usize) {
        self.bytes += size;
        self.records.push(record);
    }
}
