//! Batches: the mutations of all statements applied at once, those to one partition as one.
use std::collections::HashMap;
use std::sync::Arc;

use scylla_cql::frame::response::result::{ColumnSpec, ColumnType, NativeType, TableSpec};

use super::conditional::{Applied, OldRow, show_unread};
use super::modify;
use super::plan::{Batch, Modify, applied_columns};
use super::term::Env;
use crate::error::DbError;
use crate::mutation::merge::newer;
use crate::mutation::{Mutation, RowPatch};
use crate::outcome::{Outcome, Rows, RowsBody, Specs};
use crate::schema::{PartitionKey, Table, TableId};
use crate::storage::{Snapshot, Store};

/// One statement of a batch with its values.
pub(super) struct Part<'a> {
    pub(super) plan: &'a Modify,
    pub(super) env: Env<'a>,
}

/// Runs a batch that came as text.
pub(super) fn run_text(
    store: &Store,
    batch: &Batch,
    env: &Env<'_>,
    options: &crate::outcome::QueryOptions,
) -> Result<Outcome, DbError> {
    let own = modify::own_timestamp(batch.timestamp.as_ref(), env)?;
    let parts: Vec<_> = batch.statements.iter().map(|plan| Part { plan, env: *env }).collect();
    run(store, &parts, own.or(options.timestamp))
}

/// Runs the statements as one.
pub(super) fn run(store: &Store, parts: &[Part<'_>], timestamp: Option<i64>) -> Result<Outcome, DbError> {
    if parts.iter().any(|part| part.plan.condition.is_some()) {
        return conditional(store, parts);
    }
    let timestamp = timestamp.unwrap_or_else(|| store.timestamp());
    if parts.iter().any(|part| part.plan.reads_before_writing()) {
        store.write(|transaction| {
            let mutations = mutations(parts, timestamp, Some(transaction.snapshot()))?;
            transaction.apply(mutations)
        })?;
    } else {
        let mutations = mutations(parts, timestamp, None)?;
        store.write(|transaction| transaction.apply(mutations))?;
    }
    Ok(Outcome::Void)
}

/// Batches over several partitions are no larger than this, in bytes, as ScyllaDB's default has it.
const MAX_SIZE: usize = 1024 * 1024;

fn check_size(mutations: &[Mutation]) -> Result<(), DbError> {
    if mutations.len() < 2 {
        return Ok(());
    }
    let patch_size = |patch: &RowPatch| patch.row().cells().map(|cell| cell.value.len() + 16).sum::<usize>();
    let size_of = |mutation: &Mutation| {
        let rows = mutation.rows.iter().map(|(key, patch)| key.0.len() + patch_size(patch)).sum::<usize>();
        rows + mutation.static_row.as_ref().map_or(0, patch_size)
    };
    if mutations.iter().map(size_of).sum::<usize>() > MAX_SIZE {
        return Err(DbError::invalid("Batch too large"));
    }
    Ok(())
}

fn mutations(
    parts: &[Part<'_>],
    timestamp: i64,
    before: Option<Snapshot<'_>>,
) -> Result<Vec<Mutation>, DbError> {
    let mut merged = Merged::default();
    for part in parts {
        let own = modify::own_timestamp(part.plan.timestamp.as_ref(), &part.env)?;
        for mutation in modify::mutations(part.plan, &part.env, own.unwrap_or(timestamp), before)? {
            merged.add(mutation);
        }
    }
    check_size(&merged.mutations)?;
    Ok(merged.mutations)
}

/// All or nothing, by the conditions of all its statements against the rows as they were. The answer has a row for each
/// statement, also for those without a condition, whose rows are read only if a condition is about them, too.
fn conditional(store: &Store, parts: &[Part<'_>]) -> Result<Outcome, DbError> {
    check_one_partition(parts)?;
    let (columns, specs) = result_columns(parts.iter().map(|part| part.plan))?;
    store.write(|transaction| {
        let snapshot = transaction.snapshot();
        let mut olds = Vec::new();
        let mut applied = Applied::Yes;
        for part in parts.iter().filter(|part| part.plan.condition.is_some()) {
            let old = OldRow::find(part.plan, &part.env, snapshot)?;
            if applied == Applied::Yes {
                applied = old.passes(part.plan, &part.env)?;
            }
            olds.push(old);
        }
        let mut body = RowsBody::default();
        let mut of_conditions = olds.iter();
        for part in parts {
            let old = match part.plan.condition {
                Some(_) => of_conditions.next(),
                None => find(&olds, part)?,
            };
            match old {
                Some(old) => old.show(applied, &columns, &mut body),
                None => show_unread(applied, &columns, &mut body),
            }
        }
        drop(olds);
        if applied == Applied::Yes {
            let timestamp = transaction.timestamp();
            let mutations = mutations(parts, timestamp, Some(transaction.snapshot()))?;
            transaction.apply(mutations)?;
        }
        Ok(Outcome::Rows(Rows { specs, body, paging_state: None, looked_for: 0 }))
    })
}

fn find<'o, 'a>(olds: &'o [OldRow<'a>], part: &Part<'_>) -> Result<Option<&'o OldRow<'a>>, DbError> {
    for old in olds {
        if old.is_of(part.plan, &part.env)? {
            return Ok(Some(old));
        }
    }
    Ok(None)
}

fn check_one_partition(parts: &[Part<'_>]) -> Result<(), DbError> {
    let mut keys: Option<(TableId, Vec<PartitionKey>)> = None;
    for part in parts {
        let key = super::key::partition_keys(&part.plan.table, &part.plan.keys, &part.env)?;
        let (table, known) = keys.get_or_insert_with(|| (part.plan.table.id, key.clone()));
        if *table != part.plan.table.id {
            return Err(DbError::invalid("BATCH with conditions cannot span multiple tables"));
        }
        if *known != key || key.len() != 1 {
            return Err(DbError::invalid("BATCH with conditions cannot span multiple partitions"));
        }
    }
    Ok(())
}

/// Key columns and what any of the conditions needs, in the order of the table.
pub(crate) fn result_columns<'m>(
    statements: impl Iterator<Item = &'m Modify>,
) -> Result<(Vec<usize>, Specs), DbError> {
    let mut columns = Vec::new();
    let mut table = None;
    for statement in statements {
        if table.get_or_insert(&statement.table).id != statement.table.id {
            return Err(DbError::invalid("BATCH with conditions cannot span multiple tables"));
        }
        columns.extend(0..statement.table.partition_columns + statement.table.clustering_columns);
        if statement.condition.is_some() {
            columns.extend(applied_columns(statement)?);
        }
    }
    columns.sort_unstable();
    columns.dedup();
    let specs = table.map_or_else(|| Arc::from([]), |table| applied_specs(table, &columns));
    Ok((columns, specs))
}

/// `[applied]` and these columns as a client sees them.
pub(crate) fn applied_specs(table: &Table, columns: &[usize]) -> Specs {
    let owner = || TableSpec::owned(table.keyspace.to_string(), table.name.to_string());
    let boolean = ColumnType::Native(NativeType::Boolean);
    let mut specs = vec![ColumnSpec::owned("[applied]".to_owned(), boolean, owner())];
    for column in columns {
        let column = &table.columns[*column];
        specs.push(ColumnSpec::owned(column.name.to_string(), column.typ.clone(), owner()));
    }
    specs.into()
}

/// Mutations, one for each partition.
#[derive(Default)]
struct Merged {
    mutations: Vec<Mutation>,
    places: HashMap<(TableId, PartitionKey), usize>,
}

impl Merged {
    fn add(&mut self, mutation: Mutation) {
        let place = self.places.entry((mutation.table.id, mutation.key.clone()));
        let place = *place.or_insert(self.mutations.len());
        match self.mutations.get_mut(place) {
            Some(known) => join(known, mutation),
            None => self.mutations.push(mutation),
        }
    }
}

fn join(known: &mut Mutation, more: Mutation) {
    known.tombstone = newer(known.tombstone, more.tombstone);
    known.range_tombstones.extend(more.range_tombstones);
    known.rows.extend(more.rows);
    known.static_row = match (known.static_row.take(), more.static_row) {
        (Some(known), Some(more)) => Some(joined(known, &more)),
        (known, more) => known.or(more),
    };
}

fn joined(mut known: RowPatch, more: &RowPatch) -> RowPatch {
    more.row().cells().for_each(|cell| known.push(&cell));
    known
}
