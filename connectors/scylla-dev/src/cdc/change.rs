//! What one statement or batch does to one partition, split by write timestamp.
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::mutation::{CellKind, Mutation, RowPatch};

/// Joins mutations of the same partition, as one statement or batch is logged as a whole.
pub(crate) fn gather(mutations: Vec<Mutation>) -> Vec<Mutation> {
    let logged = |mutation: &Mutation| mutation.table.cdc_log.is_some();
    if mutations.len() < 2 || !mutations.iter().any(logged) {
        return mutations.into_iter().map(tidy).collect();
    }
    let mut places = HashMap::new();
    let mut gathered: Vec<Mutation> = Vec::with_capacity(mutations.len());
    for mutation in mutations {
        let place = *places.entry((mutation.table.id, mutation.key.clone())).or_insert(gathered.len());
        match gathered.get_mut(place) {
            Some(known) => join(known, mutation),
            None => gathered.push(mutation),
        }
    }
    gathered.into_iter().map(tidy).collect()
}

fn join(known: &mut Mutation, other: Mutation) {
    known.tombstone = crate::mutation::merge::newer(known.tombstone, other.tombstone);
    known.range_tombstones.extend(other.range_tombstones);
    known.static_row = match (known.static_row.take(), other.static_row) {
        (Some(left), Some(right)) => Some(left.join(right)),
        (left, right) => left.or(right),
    };
    known.rows.extend(other.rows);
}

/// Sorts the cells and rows and joins writes to the same row. A row's deletion stays beside what is written to it: the
/// log records both.
fn tidy(mut mutation: Mutation) -> Mutation {
    if let Some(row) = &mut mutation.static_row {
        row.sort();
    }
    mutation.rows.iter_mut().for_each(|(_, patch)| patch.sort());
    if mutation.table.cdc_log.is_none() {
        return mutation;
    }
    mutation.static_row.take_if(|patch| patch.row().is_empty());
    mutation.rows.retain(|(_, patch)| !patch.row().is_empty());
    mutation.range_tombstones.sort_by(|(left, _), (right, _)| left.start.cmp(&right.start));
    if mutation.rows.len() < 2 {
        return mutation;
    }
    let deletes = |patch: &RowPatch| patch.row().tombstone().is_some();
    mutation.rows.sort_by(|(l, left), (r, right)| (l, deletes(left)).cmp(&(r, deletes(right))));
    let mut rows: Vec<(_, RowPatch)> = Vec::with_capacity(mutation.rows.len());
    for (key, patch) in mutation.rows.drain(..) {
        match rows.pop() {
            Some((last, known)) if last == key && deletes(&known) == deletes(&patch) => {
                rows.push((last, known.join(patch)));
            }
            Some(last) => rows.extend([last, (key, patch)]),
            None => rows.push((key, patch)),
        }
    }
    mutation.rows = rows;
    mutation
}

/// The order in which the log records the rows of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// As they stand in the table: everything has one TTL and can be told row by row.
    AsInTable,
    /// By kind: inserts, updates, deletions.
    ByKind,
}

/// The mutation cut by write timestamp, oldest first.
pub(super) fn by_timestamp(mutation: &Mutation) -> Vec<(i64, Order, Cow<'_, Mutation>)> {
    let mut seen = Seen::default();
    seen.see_mutation(mutation);
    let order = if seen.mixed { Order::ByKind } else { Order::AsInTable };
    match (seen.time, seen.several) {
        (None, _) => Vec::new(),
        (Some(timestamp), false) => vec![(timestamp, order, Cow::Borrowed(mutation))],
        (Some(_), true) => {
            let parts = split(mutation).into_iter();
            parts.map(|(time, part)| (time, Order::ByKind, Cow::Owned(part))).collect()
        }
    }
}

/// What a mutation is made of, looked at in the order of the table.
#[derive(Default)]
struct Seen {
    time: Option<i64>,
    /// More than one time.
    several: bool,
    ttl: Option<u32>,
    marker: bool,
    /// More than one TTL, or changes that no single statement makes.
    mixed: bool,
}

impl Seen {
    fn see(&mut self, timestamp: i64, ttl: u32) {
        self.several |= *self.time.get_or_insert(timestamp) != timestamp;
        self.mixed |= *self.ttl.get_or_insert(ttl) != ttl;
    }

    fn see_mutation(&mut self, mutation: &Mutation) {
        let with_static = mutation.static_row.is_some();
        mutation.static_row.iter().for_each(|patch| self.see_row(patch));
        let mut written = with_static;
        for (_, patch) in &mutation.rows {
            let deleted = patch.row().tombstone();
            self.mixed |= with_static || (deleted.is_some() && written);
            written |= deleted.is_none();
            deleted.into_iter().for_each(|tombstone| self.see(tombstone.timestamp, 0));
            self.see_row(patch);
        }
        let rows = with_static || !mutation.rows.is_empty();
        for (_, tombstone) in &mutation.range_tombstones {
            self.mixed |= rows;
            self.see(tombstone.timestamp, 0);
        }
        if let Some(tombstone) = mutation.tombstone {
            self.mixed |= rows || !mutation.range_tombstones.is_empty();
            self.see(tombstone.timestamp, 0);
        }
    }

    fn see_row(&mut self, patch: &RowPatch) {
        let row = patch.row();
        if let Some(marker) = row.marker() {
            self.marker = true;
            self.see(marker.timestamp, marker.ttl);
        }
        for cell in row.cells() {
            let live = cell.kind == CellKind::Live;
            self.mixed |= self.marker && live && !cell.path.is_empty();
            self.see(cell.logged_at(), if live { cell.stamp.ttl } else { 0 });
        }
    }
}

fn split(mutation: &Mutation) -> BTreeMap<i64, Mutation> {
    let mut parts: BTreeMap<i64, Mutation> = BTreeMap::new();
    let empty = || Mutation::new(Arc::clone(&mutation.table), mutation.key.clone());
    if let Some(tombstone) = mutation.tombstone {
        parts.entry(tombstone.timestamp).or_insert_with(empty).tombstone = Some(tombstone);
    }
    for (range, tombstone) in &mutation.range_tombstones {
        let part = parts.entry(tombstone.timestamp).or_insert_with(empty);
        part.range_tombstones.push((range.clone(), *tombstone));
    }
    if let Some(row) = &mutation.static_row {
        for (time, patch) in split_row(row) {
            parts.entry(time).or_insert_with(empty).static_row = Some(patch);
        }
    }
    for (key, row) in &mutation.rows {
        for (time, patch) in split_row(row) {
            parts.entry(time).or_insert_with(empty).rows.push((key.clone(), patch));
        }
    }
    parts
}

fn split_row(patch: &RowPatch) -> BTreeMap<i64, RowPatch> {
    let row = patch.row();
    let mut parts = BTreeMap::new();
    if let Some(tombstone) = row.tombstone() {
        parts.insert(tombstone.timestamp, RowPatch::delete(tombstone));
    }
    if let Some(marker) = row.marker() {
        parts.insert(marker.timestamp, RowPatch::insert(marker));
    }
    for cell in row.cells() {
        let time = cell.logged_at();
        parts.entry(time).or_insert_with(|| RowPatch::update(time)).push(&cell);
    }
    parts
}
