//! The packed row: one allocation that holds marker, tombstone and all cells, sorted.
//!
//! Header: flags, base timestamp, then the tombstone and the marker if there are such. Cells follow, sorted by column,
//! a collection's tombstone before its elements, elements by path. A cell names its own timestamp only if it is not the
//! base timestamp, so a row written by one statement costs 7 bytes a cell over its values.

/// When a write happened, and until when it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Write time, microseconds; decides who wins.
    pub timestamp: i64,
    /// Time to live in seconds, 0 for ever.
    pub ttl: u32,
    /// When it expires, seconds since 1970; 0 without a TTL.
    pub expires: u32,
}

/// A deletion of everything with `timestamp` or an older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tombstone {
    /// Write time of the deletion, microseconds.
    pub timestamp: i64,
    /// When it was made, seconds since 1970; after the grace period it is forgotten.
    pub deleted_at: u32,
}

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CellKind {
    /// The whole collection was deleted.
    Cleared,
    /// A value, which may have expired.
    Live,
    /// A deleted value or element.
    Dead,
}

/// One cell of a packed row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell<'a> {
    /// [`crate::schema::Column::id`] of its column.
    pub column: u16,
    /// Which element of a collection, sortable (see [`crate::value::order`]); empty for plain columns.
    pub path: &'a [u8],
    /// What it holds.
    pub kind: CellKind,
    /// When it was written. For `Dead` and `Cleared`, `expires` is when the deletion was made.
    pub stamp: Stamp,
    /// The serialized value; empty unless `Live`.
    pub value: &'a [u8],
}

const HAS_TOMBSTONE: u8 = 1;
const HAS_MARKER: u8 = 2;
const MARKER_EXPIRES: u8 = 4;

const DEAD: u8 = 1;
const EXPIRES: u8 = 2;
const HAS_PATH: u8 = 4;
const OWN_TIMESTAMP: u8 = 8;
const CLEARED: u8 = 16;

impl Stamp {
    /// Lives for ever.
    pub fn new(timestamp: i64) -> Self {
        Self { timestamp, ttl: 0, expires: 0 }
    }

    /// Lives for `ttl` seconds from `now` (seconds since 1970); 0 means for ever.
    pub fn expiring(timestamp: i64, ttl: u32, now: u32) -> Self {
        if ttl == 0 {
            Self::new(timestamp)
        } else {
            Self { timestamp, ttl, expires: now.saturating_add(ttl) }
        }
    }

    /// Whether it is gone at `now` (seconds since 1970).
    pub fn is_expired(self, now: u32) -> bool {
        self.ttl != 0 && self.expires <= now
    }
}

impl Cell<'_> {
    /// Whether there is a value to read at `now` (seconds since 1970).
    pub fn is_live(&self, now: u32) -> bool {
        self.kind == CellKind::Live && !self.stamp.is_expired(now)
    }

    /// The time under which the CDC log records it. An assignment clears a collection one microsecond before its own
    /// time, so that is counted back; ScyllaDB does the same for what DELETE clears.
    pub(crate) fn logged_at(&self) -> i64 {
        self.stamp.timestamp.saturating_add(i64::from(self.kind == CellKind::Cleared))
    }

    /// Where the cell stands in its row.
    pub(super) fn place(&self) -> (u16, bool, &[u8]) {
        (self.column, self.kind != CellKind::Cleared, self.path)
    }
}

/// A packed row, read in place.
#[derive(Debug, Clone, Copy)]
pub struct PackedRow<'a>(&'a [u8]);

impl<'a> PackedRow<'a> {
    /// A row with nothing in it.
    pub(crate) const EMPTY: PackedRow<'static> = PackedRow(&[0; 9]);

    /// Reads a row that [`RowWriter`] wrote.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether there is no marker, no tombstone and no cell.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == Self::EMPTY.0.len()
    }

    /// The packed form.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The deletion of the whole row.
    pub fn tombstone(&self) -> Option<Tombstone> {
        self.header().0
    }

    /// The row marker: what an INSERT leaves, so that a row of keys alone exists.
    pub fn marker(&self) -> Option<Stamp> {
        self.header().1
    }

    /// The cells in order.
    pub fn cells(&self) -> Cells<'a> {
        let (.., at) = self.header();
        Cells { bytes: self.0, at, base: self.base() }
    }

    /// The cells from byte `at` on, which must be a cell's start.
    pub(crate) fn cells_at(&self, at: usize) -> Cells<'a> {
        Cells { bytes: self.0, at, base: self.base() }
    }

    fn base(&self) -> i64 {
        i64_at(self.0, 1)
    }

    fn header(&self) -> (Option<Tombstone>, Option<Stamp>, usize) {
        let flags = self.0[0];
        let mut at = 9;
        let tombstone = (flags & HAS_TOMBSTONE != 0).then(|| {
            at += 12;
            Tombstone { timestamp: i64_at(self.0, at - 12), deleted_at: u32_at(self.0, at - 4) }
        });
        let marker = (flags & HAS_MARKER != 0).then(|| {
            at += 8;
            let mut stamp = Stamp::new(i64_at(self.0, at - 8));
            if flags & MARKER_EXPIRES != 0 {
                at += 8;
                (stamp.ttl, stamp.expires) = (u32_at(self.0, at - 8), u32_at(self.0, at - 4));
            }
            stamp
        });
        (tombstone, marker, at)
    }
}

/// Iterates the cells of a row.
#[derive(Debug, Clone)]
pub struct Cells<'a> {
    bytes: &'a [u8],
    at: usize,
    base: i64,
}

impl Cells<'_> {
    /// The byte at which the next cell starts.
    pub(crate) fn position(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Cells<'a> {
    type Item = Cell<'a>;

    fn next(&mut self) -> Option<Cell<'a>> {
        let bytes = self.bytes;
        let mut at = self.at;
        if at >= bytes.len() {
            return None;
        }
        let column = u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let flags = bytes[at + 2];
        at += 3;
        let mut stamp = Stamp::new(self.base);
        if flags & OWN_TIMESTAMP != 0 {
            stamp.timestamp = i64_at(bytes, at);
            at += 8;
        }
        if flags & EXPIRES != 0 {
            (stamp.ttl, stamp.expires) = (u32_at(bytes, at), u32_at(bytes, at + 4));
            at += 8;
        } else if flags & (DEAD | CLEARED) != 0 {
            stamp.expires = u32_at(bytes, at);
            at += 4;
        }
        let path = if flags & HAS_PATH != 0 { sized(bytes, &mut at) } else { &[] };
        let (kind, value) = match flags & (DEAD | CLEARED) {
            0 => (CellKind::Live, sized(bytes, &mut at)),
            DEAD => (CellKind::Dead, [].as_slice()),
            _ => (CellKind::Cleared, [].as_slice()),
        };
        self.at = at;
        Some(Cell { column, path, kind, stamp, value })
    }
}

/// Writes a packed row front to back.
#[derive(Debug, Clone)]
pub(super) struct RowWriter {
    bytes: Vec<u8>,
    base: i64,
}

impl RowWriter {
    /// Starts a row; `base` should be the timestamp of most cells.
    pub(super) fn new(base: i64, tombstone: Option<Tombstone>, marker: Option<Stamp>, room: usize) -> Self {
        let mut bytes = Vec::with_capacity(room + 37);
        let mut flags = 0;
        bytes.push(0);
        bytes.extend_from_slice(&base.to_le_bytes());
        if let Some(tombstone) = tombstone {
            flags |= HAS_TOMBSTONE;
            bytes.extend_from_slice(&tombstone.timestamp.to_le_bytes());
            bytes.extend_from_slice(&tombstone.deleted_at.to_le_bytes());
        }
        if let Some(marker) = marker {
            flags |= HAS_MARKER;
            bytes.extend_from_slice(&marker.timestamp.to_le_bytes());
            if marker.ttl != 0 {
                flags |= MARKER_EXPIRES;
                bytes.extend_from_slice(&marker.ttl.to_le_bytes());
                bytes.extend_from_slice(&marker.expires.to_le_bytes());
            }
        }
        bytes[0] = flags;
        Self { bytes, base }
    }

    /// Appends a cell, which must sort after the one before.
    pub(super) fn push(&mut self, cell: &Cell<'_>) {
        let mut flags = match cell.kind {
            CellKind::Live => 0,
            CellKind::Dead => DEAD,
            CellKind::Cleared => CLEARED,
        };
        let live = cell.kind == CellKind::Live;
        if live && cell.stamp.ttl != 0 {
            flags |= EXPIRES;
        }
        if !cell.path.is_empty() {
            flags |= HAS_PATH;
        }
        if cell.stamp.timestamp != self.base {
            flags |= OWN_TIMESTAMP;
        }
        let bytes = &mut self.bytes;
        bytes.extend_from_slice(&cell.column.to_le_bytes());
        bytes.push(flags);
        if flags & OWN_TIMESTAMP != 0 {
            bytes.extend_from_slice(&cell.stamp.timestamp.to_le_bytes());
        }
        if flags & EXPIRES != 0 {
            bytes.extend_from_slice(&cell.stamp.ttl.to_le_bytes());
        }
        if flags & EXPIRES != 0 || !live {
            bytes.extend_from_slice(&cell.stamp.expires.to_le_bytes());
        }
        if flags & HAS_PATH != 0 {
            put_sized(bytes, cell.path);
        }
        if live {
            put_sized(bytes, cell.value);
        }
    }

    pub(super) fn row(&self) -> PackedRow<'_> {
        PackedRow(&self.bytes)
    }

    pub(super) fn into_bytes(self) -> Box<[u8]> {
        self.bytes.into_boxed_slice()
    }
}

fn put_sized(bytes: &mut Vec<u8>, value: &[u8]) {
    // Values come out of frames, which are limited far below 4 GiB.
    bytes.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(value);
}

fn sized<'a>(bytes: &'a [u8], at: &mut usize) -> &'a [u8] {
    let length = u32_at(bytes, *at) as usize;
    let start = *at + 4;
    *at = start + length;
    &bytes[start..*at]
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    let mut array = [0; 8];
    array.copy_from_slice(&bytes[at..at + 8]);
    i64::from_le_bytes(array)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut array = [0; 4];
    array.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(array)
}
