//! The rows before and after a change.
use std::collections::{BTreeMap, BTreeSet};

use super::encode::Operation;
use super::record::{Before, Group};
use crate::mutation::{Lists, LiveRow, Mutation, PackedRow, RowPatch, assemble, merge};
use crate::schema::{Column, ColumnKind, PreimageMode};

/// The rows that a mutation touches, as they are between its parts.
pub(super) struct Images(BTreeMap<Place, State>);

struct State {
    /// There is a row, be it one of nulls.
    exists: bool,
    packed: Option<Box<[u8]>>,
}

/// A row's place in its partition, `None` for the static row.
type Place = Option<Vec<u8>>;

impl Images {
    /// Reads the rows that the mutation touches; `now` is in seconds since 1970.
    pub(super) fn load(mutation: &Mutation, before: &Before<'_>, now: u32) -> Self {
        let state = |place: &Place| {
            let packed = before(place.as_deref());
            let lives = |packed| LiveRow::new(&mutation.table, now).look_at(&[], packed);
            State { exists: packed.is_some_and(lives), packed: packed.map(Box::from) }
        };
        Self(touched(mutation).into_iter().map(|place| (place.clone(), state(&place))).collect())
    }

    /// Appends a log row for each row that exists and is about to change.
    pub(super) fn preimages(&self, group: &Group<'_>, out: &mut Vec<RowPatch>) {
        let mode = group.base.options.cdc.preimage;
        if mode == PreimageMode::Off {
            return;
        }
        for place in touched(group.part) {
            let changed = match mode {
                PreimageMode::Changed => changed_columns(group.part, &place),
                _ => None,
            };
            let wanted = |column: &Column| changed.as_ref().is_none_or(|ids| ids.contains(&column.id));
            self.image(group, Operation::Preimage, (&place, &wanted), out);
        }
    }

    /// Appends a log row for each row that was written and not deleted after.
    pub(super) fn postimages(&self, group: &Group<'_>, out: &mut Vec<RowPatch>) {
        if !group.base.options.cdc.postimage {
            return;
        }
        for place in touched(group.part).iter().filter(|place| is_written(group.part, place)) {
            self.image(group, Operation::Postimage, (place, &|_| true), out);
        }
    }

    /// Applies a part of the mutation.
    pub(super) fn apply(&mut self, part: &Mutation) {
        for (place, state) in &mut self.0 {
            let key = place.as_deref().unwrap_or_default();
            let ranges =
                part.range_tombstones.iter().filter(|(range, _)| place.is_some() && range.contains(key));
            let deletions = ranges.map(|(_, tombstone)| tombstone).chain(&part.tombstone);
            let shadow = deletions.map(|tombstone| tombstone.timestamp).max().unwrap_or(i64::MIN);
            let packed = &mut state.packed;
            *packed = packed.take().and_then(|row| merge::purge(PackedRow::new(&row), shadow));
            let mut deleted = shadow > i64::MIN && place.is_some();
            for patch in patches(part, place) {
                let stored = packed.as_deref().unwrap_or(PackedRow::EMPTY.bytes());
                *packed = merge::apply(stored, patch.row().bytes(), shadow);
                deleted |= patch.row().tombstone().is_some();
            }
            state.exists = (state.exists || is_written(part, place)) && !deleted;
        }
    }

    fn image(
        &self,
        group: &Group<'_>,
        operation: Operation,
        (place, wanted): (&Place, &dyn Fn(&Column) -> bool),
        out: &mut Vec<RowPatch>,
    ) {
        let mut live = LiveRow::new(group.base, group.now);
        let key = place.as_deref().unwrap_or_default();
        let Some(state) = self.0.get(place).filter(|state| state.exists) else {
            return;
        };
        live.look_at(key, state.packed.as_deref().unwrap_or(PackedRow::EMPTY.bytes()));
        let mut row = group.row(operation, 0, place.as_deref());
        let kind = if place.is_none() { ColumnKind::Static } else { ColumnKind::Regular };
        let mut value = Vec::new();
        for column in group.base.value_columns().iter().filter(|column| column.kind == kind && wanted(column))
        {
            value.clear();
            let present = if column.is_multi_cell() {
                assemble(column, Lists::AsMaps, live.elements(column), &mut value)
            } else {
                live.read(column, &mut value)
            };
            if present {
                row.value(column, &value);
            } else if operation == Operation::Preimage {
                row.deleted(column);
            }
        }
        out.push(row.finish());
    }
}

/// The rows that a mutation names; of a deleted partition only the one it has without clustering columns.
fn touched(mutation: &Mutation) -> BTreeSet<Place> {
    let mut places: BTreeSet<Place> = mutation.rows.iter().map(|(key, _)| Some(key.0.clone())).collect();
    if mutation.static_row.is_some() {
        places.insert(None);
    }
    if mutation.tombstone.is_some() && mutation.table.clustering_columns == 0 {
        places.insert(Some(Vec::new()));
    }
    places
}

fn patches<'m>(part: &'m Mutation, place: &'m Place) -> impl Iterator<Item = &'m RowPatch> {
    let key = place.as_deref().unwrap_or_default();
    // Rows of a gathered mutation are sorted.
    let first = part.rows.partition_point(|(other, _)| other.0.as_slice() < key);
    let rows = part.rows[first..].iter().take_while(move |(other, _)| place.is_some() && other.0 == key);
    let rows = rows.map(|(_, patch)| patch);
    rows.chain(part.static_row.as_ref().filter(|_| place.is_none()))
}

/// The columns that a part writes in a row; `None` for all, when it deletes the row.
fn changed_columns(part: &Mutation, place: &Place) -> Option<BTreeSet<u16>> {
    let mut columns = BTreeSet::new();
    for patch in patches(part, place) {
        if patch.row().tombstone().is_some() {
            return None;
        }
        columns.extend(patch.row().cells().map(|cell| cell.column));
    }
    let deleted = part.tombstone.is_some() && place.is_some();
    (!deleted).then_some(columns)
}

fn is_written(part: &Mutation, place: &Place) -> bool {
    patches(part, place).any(|patch| patch.row().marker().is_some() || patch.row().cells().next().is_some())
}
