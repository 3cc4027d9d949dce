//! The rows of a partition: a B-tree, or nothing but the row itself while there is only one.
//!
//! Tables without clustering columns have a million partitions of one row; a B-tree node for each would cost more than
//! the rows.
use std::collections::{BTreeMap, btree_map};
use std::ops::Bound;

/// A row's place, and the row.
type Entry = (Box<[u8]>, Box<[u8]>);

/// Packed rows by place.
#[derive(Debug)]
pub(super) enum Rows {
    Few(Option<Entry>),
    Many(BTreeMap<Box<[u8]>, Box<[u8]>>),
}

/// About what a row takes of memory, bytes: itself, its place, two allocations, and its part of a B-tree whose nodes are
/// half full, as they are when rows come in order. Measured against what a process takes.
pub(super) fn size(place: &[u8], row: &[u8]) -> isize {
    const HELD: usize = 112;
    (place.len() + row.len() + HELD).cast_signed()
}

/// A half-open range of places.
pub(super) type Bounds<'b> = (Bound<&'b [u8]>, Bound<&'b [u8]>);

impl Default for Rows {
    fn default() -> Self {
        Self::Few(None)
    }
}

impl Rows {
    pub(super) fn get(&self, place: &[u8]) -> Option<(&[u8], &[u8])> {
        match self {
            Self::Few(entry) => {
                entry.as_ref().filter(|(only, _)| **only == *place).map(|(only, row)| (&**only, &**row))
            }
            Self::Many(rows) => rows.get_key_value(place).map(|(place, row)| (&**place, &**row)),
        }
    }

    pub(super) fn get_mut(&mut self, place: &[u8]) -> Option<&mut Box<[u8]>> {
        match self {
            Self::Few(entry) => entry.as_mut().filter(|(only, _)| **only == *place).map(|(_, row)| row),
            Self::Many(rows) => rows.get_mut(place),
        }
    }

    /// Adds a row where there is none. Gives the bytes it takes.
    pub(super) fn insert(&mut self, place: Box<[u8]>, row: Box<[u8]>) -> isize {
        let grown = size(&place, &row);
        match self {
            Self::Few(entry @ None) => *entry = Some((place, row)),
            Self::Few(entry) => {
                *self = Self::Many(entry.take().into_iter().chain([(place, row)]).collect());
            }
            Self::Many(rows) => drop(rows.insert(place, row)),
        }
        grown
    }

    /// Gives the bytes it took, as a negative number.
    pub(super) fn remove(&mut self, place: &[u8]) -> isize {
        let gone = match self {
            Self::Few(entry) => entry.take_if(|(only, _)| **only == *place).map(|(_, row)| row),
            Self::Many(rows) => rows.remove(place),
        };
        gone.map_or(0, |row| -size(place, &row))
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Few(entry) => entry.is_none(),
            Self::Many(rows) => rows.is_empty(),
        }
    }

    pub(super) fn range(&self, bounds: Bounds<'_>) -> Range<'_> {
        match self {
            Self::Few(entry) => Range::Few(entry.as_ref().filter(|(place, _)| contains(bounds, place))),
            Self::Many(rows) => Range::Many(rows.range::<[u8], _>(bounds)),
        }
    }

    /// Goes over the rows of a range in order; what `visit` answers is what becomes of the row. Gives the bytes that the
    /// rows take more than before.
    pub(super) fn update(
        &mut self,
        bounds: Bounds<'_>,
        mut visit: impl FnMut(&[u8], &[u8]) -> Verdict,
    ) -> isize {
        let mut grown = 0;
        let mut gone: Vec<Box<[u8]>> = Vec::new();
        let mut goes_on = |place: &[u8], row: &mut Box<[u8]>| {
            match visit(place, row) {
                Verdict::Keep => {}
                Verdict::Replace(Some(rest)) => {
                    grown += size(place, &rest) - size(place, row);
                    *row = rest;
                }
                Verdict::Replace(None) => gone.push(Box::from(place)),
                Verdict::Stop => return false,
            }
            true
        };
        match self {
            Self::Few(entry) => {
                if let Some((place, row)) = entry.as_mut().filter(|(place, _)| contains(bounds, place)) {
                    goes_on(place, row);
                }
            }
            Self::Many(rows) => {
                for (place, row) in rows.range_mut::<[u8], _>(bounds) {
                    if !goes_on(place, row) {
                        break;
                    }
                }
            }
        }
        for place in gone {
            grown += self.remove(&place);
        }
        grown
    }
}

/// What becomes of a row.
pub(super) enum Verdict {
    Keep,
    /// `None` removes it.
    Replace(Option<Box<[u8]>>),
    /// Stays as it is, as do all behind it.
    Stop,
}

fn contains((start, end): Bounds<'_>, place: &[u8]) -> bool {
    use std::ops::RangeBounds;
    RangeBounds::<[u8]>::contains(&(start, end), place)
}

/// Rows of a range, from either end.
pub(super) enum Range<'r> {
    Few(Option<&'r Entry>),
    Many(btree_map::Range<'r, Box<[u8]>, Box<[u8]>>),
}

impl<'r> Iterator for Range<'r> {
    type Item = (&'r [u8], &'r [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Few(entry) => entry.take().map(|(place, row)| (&**place, &**row)),
            Self::Many(range) => range.next().map(|(place, row)| (&**place, &**row)),
        }
    }
}

impl DoubleEndedIterator for Range<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        match self {
            Self::Few(_) => self.next(),
            Self::Many(range) => range.next_back().map(|(place, row)| (&**place, &**row)),
        }
    }
}
