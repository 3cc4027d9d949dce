//! INSERT, UPDATE and DELETE: mutations from a plan and its values.
use super::change::{self, Writer};
use super::key;
use super::plan::{Action, Change, Kind, Modify, Rows};
use super::term::{Env, Term};
use crate::error::DbError;
use crate::mutation::{Mutation, RowPatch};
use crate::outcome::{BoundValue, Outcome, QueryOptions};
use crate::schema::{ClusteringKey, PartitionKey};
use crate::storage::{LiveRow, PartitionView, Snapshot, Store};

/// TTLs are at most 20 years.
const MAX_TTL: i32 = 20 * 365 * 24 * 60 * 60;
/// Write timestamps lie at most so many microseconds ahead of the clock.
const MAX_AHEAD: i64 = 3 * 24 * 60 * 60 * 1_000_000;

pub(super) fn run(
    store: &Store,
    plan: &Modify,
    env: &Env<'_>,
    options: &QueryOptions,
) -> Result<Outcome, DbError> {
    let timestamp = match own_timestamp(plan.timestamp.as_ref(), env)?.or(options.timestamp) {
        Some(timestamp) => timestamp,
        None => store.timestamp(),
    };
    if plan.reads_before_writing() {
        store.write(|transaction| {
            let mutations = mutations(plan, env, timestamp, Some(transaction.snapshot()))?;
            transaction.apply(mutations)
        })?;
    } else {
        let mutations = mutations(plan, env, timestamp, None)?;
        store.write(|transaction| transaction.apply(mutations))?;
    }
    Ok(Outcome::Void)
}

/// What USING TIMESTAMP says.
pub(super) fn own_timestamp(term: Option<&Term>, env: &Env<'_>) -> Result<Option<i64>, DbError> {
    let Some(term) = term else { return Ok(None) };
    let timestamp = match env.value(term)? {
        BoundValue::Unset => return Ok(None),
        BoundValue::Null => return Err(DbError::invalid("Invalid null value of timestamp")),
        BoundValue::Set(bytes) => bytes.as_ref().try_into().map(i64::from_be_bytes),
    };
    let timestamp = timestamp.map_err(|_| DbError::invalid("Invalid timestamp value"))?;
    if timestamp == i64::MIN {
        return Err(DbError::invalid(format!("Timestamp {timestamp} is out of bounds")));
    }
    if timestamp > env.now.saturating_add(MAX_AHEAD) {
        return Err(DbError::invalid(
            "Cannot provide a timestamp more than 3 days into the future. If this was not intended, make sure the \
             timestamp is in microseconds.",
        ));
    }
    Ok(Some(timestamp))
}

/// The mutations, one for each partition. `before` is needed only if the plan reads before it writes.
pub(super) fn mutations(
    plan: &Modify,
    env: &Env<'_>,
    timestamp: i64,
    before: Option<Snapshot<'_>>,
) -> Result<Vec<Mutation>, DbError> {
    let writer = Writer { env, timestamp, ttl: ttl(plan, env)?, table: &plan.table };
    let keys = key::partition_keys(&plan.table, &plan.keys, env)?;
    keys.into_iter().map(|key| mutation(plan, key, &writer, before)).collect()
}

fn ttl(plan: &Modify, env: &Env<'_>) -> Result<u32, DbError> {
    let default = plan.table.options.default_time_to_live;
    let Some(term) = &plan.ttl else { return Ok(default) };
    let ttl = match env.value(term)? {
        BoundValue::Unset => return Ok(default),
        BoundValue::Null => return Err(DbError::invalid("Invalid null value of TTL")),
        BoundValue::Set(bytes) => bytes.as_ref().try_into().map_or(0, i32::from_be_bytes),
    };
    match u32::try_from(ttl) {
        Err(_) => Err(DbError::invalid("A TTL must be greater or equal to 0")),
        Ok(_) if ttl > MAX_TTL => {
            Err(DbError::invalid(format!("ttl is too large. requested ({ttl}) maximum ({MAX_TTL})")))
        }
        Ok(ttl) => Ok(ttl),
    }
}

fn mutation(
    plan: &Modify,
    key: PartitionKey,
    writer: &Writer<'_>,
    before: Option<Snapshot<'_>>,
) -> Result<Mutation, DbError> {
    let view = before.and_then(|before| before.partition(&plan.table, &key));
    let mut mutation = Mutation::new(plan.table.clone(), key);
    if !plan.static_changes.is_empty() {
        let existing = view.as_ref().and_then(PartitionView::static_row);
        let mut patch = RowPatch::update(writer.timestamp);
        change::apply(&plan.static_changes, writer, existing.as_ref(), &mut patch)?;
        mutation.static_row = Some(patch);
    }
    match &plan.rows {
        Rows::Partition => {
            if plan.kind == Kind::Delete && !changes_only_statics(plan) {
                mutation.tombstone = Some(writer.tombstone());
            }
        }
        Rows::Ranges(clustering) => {
            let ranges = key::clustering_ranges(&plan.table, clustering, writer.env)?;
            mutation.range_tombstones = ranges.into_iter().map(|range| (range, writer.tombstone())).collect();
        }
        // Only static columns change: the row was named for the condition.
        Rows::Keys(_) if plan.kind != Kind::Insert && changes_only_statics(plan) => {}
        Rows::Keys(clustering) => {
            for key in key::clustering_keys(&plan.table, clustering, writer.env)? {
                let patch = row_patch(plan, writer, &key, view.as_ref())?;
                mutation.rows.push((key, patch));
            }
        }
    }
    Ok(mutation)
}

fn changes_only_statics(plan: &Modify) -> bool {
    plan.changes.is_empty() && !plan.static_changes.is_empty()
}

fn row_patch(
    plan: &Modify,
    writer: &Writer<'_>,
    key: &ClusteringKey,
    view: Option<&PartitionView<'_>>,
) -> Result<RowPatch, DbError> {
    let mut patch = match plan.kind {
        Kind::Insert => RowPatch::insert(writer.stamp()),
        Kind::Delete if plan.changes.is_empty() => RowPatch::delete(writer.tombstone()),
        Kind::Update | Kind::Delete => RowPatch::update(writer.timestamp),
    };
    let existing: Option<LiveRow<'_>> = view.and_then(|view| view.row(key));
    change::apply(&plan.changes, writer, existing.as_ref(), &mut patch)?;
    Ok(patch)
}

impl Modify {
    /// Whether the present rows must be known: lists are changed by place or by value.
    pub(super) fn reads_before_writing(&self) -> bool {
        let reads = |change: &Change| match &change.action {
            Action::SetElement(..) | Action::Remove(_) | Action::DeleteElement(_) => {
                change::is_list(&self.table.columns[change.column].typ)
            }
            _ => false,
        };
        self.changes.iter().chain(&self.static_changes).any(reads)
    }
}
