//! What one statement or batch does to one partition, split by write timestamp.
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::mutation::{Mutation, RowPatch};

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
    if mutation.rows.len() < 2 || mutation.table.cdc_log.is_none() {
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

/// The mutation cut by write timestamp, oldest first. A collection that is assigned is cleared one
/// microsecond earlier, and that counts as the statement's time.
pub(super) fn by_timestamp(mutation: &Mutation) -> Vec<(i64, std::borrow::Cow<'_, Mutation>)> {
    use std::borrow::Cow;
    let mut times = Times::default();
    times.see_mutation(mutation);
    match (times.first, times.several) {
        (None, _) => Vec::new(),
        (Some(timestamp), false) => vec![(timestamp, Cow::Borrowed(mutation))],
        (Some(_), true) => split(mutation).into_iter().map(|(time, part)| (time, Cow::Owned(part))).collect(),
    }
}

/// Whether there is more than one timestamp.
#[derive(Default)]
struct Times {
    first: Option<i64>,
    several: bool,
}

impl Times {
    fn see(&mut self, timestamp: i64) {
        self.several |= *self.first.get_or_insert(timestamp) != timestamp;
    }

    fn see_mutation(&mut self, mutation: &Mutation) {
        let tombstones =
            mutation.range_tombstones.iter().map(|(_, tombstone)| tombstone).chain(&mutation.tombstone);
        tombstones.for_each(|tombstone| self.see(tombstone.timestamp));
        for patch in mutation.rows.iter().map(|(_, patch)| patch).chain(&mutation.static_row) {
            self.see_row(patch);
        }
    }

    fn see_row(&mut self, patch: &RowPatch) {
        let row = patch.row();
        row.tombstone().into_iter().for_each(|tombstone| self.see(tombstone.timestamp));
        row.marker().into_iter().for_each(|marker| self.see(marker.timestamp));
        row.cells().for_each(|cell| self.see(patch.statement_time(&cell)));
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
        let time = patch.statement_time(&cell);
        parts.entry(time).or_insert_with(|| RowPatch::update(time)).push(&cell);
    }
    parts
}
