//! Lightweight transactions: read, decide and write under one lock, and show the old row.
use super::filter::{self, Nulls};
use super::key;
use super::modify;
use super::plan::{Condition, FilterLeft, Modify, Rows, applied_columns, in_of_condition};
use super::row::{RowContext, key_values};
use super::term::Env;
use crate::error::DbError;
use crate::outcome::{self, Outcome, RowsBody, Specs};
use crate::schema::{ClusteringKey, ColumnKind};
use crate::storage::{LiveRow, PartitionView, Snapshot, Store};

pub(super) fn run(store: &Store, plan: &Modify, specs: &Specs, env: &Env<'_>) -> Result<Outcome, DbError> {
    let columns = applied_columns(plan)?;
    store.write(|transaction| {
        let snapshot = transaction.snapshot();
        let old = OldRow::find(plan, env, snapshot)?;
        let applied = old.passes(plan, env)?;
        let mut body = RowsBody::default();
        old.show(applied, &columns, &mut body);
        drop(old);
        if applied == Applied::Yes {
            let timestamp = transaction.timestamp();
            let mutations = modify::mutations(plan, env, timestamp, Some(transaction.snapshot()))?;
            transaction.apply(mutations)?;
        }
        Ok(Outcome::Rows(outcome::Rows {
            specs: Specs::clone(specs),
            body,
            paging_state: None,
            looked_for: 0,
        }))
    })
}

/// Whether a conditional statement or batch takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Applied {
    Yes,
    No,
}

/// Writes the row of a statement whose old row nobody read.
pub(super) fn show_unread(applied: Applied, columns: &[usize], body: &mut RowsBody) {
    body.put(Some(&[u8::from(applied == Applied::Yes)]));
    columns.iter().for_each(|_| body.put(None));
    body.end_row();
}

/// The row that a condition is about, as it was before.
pub(super) struct OldRow<'a> {
    plan: &'a Modify,
    place: Option<ClusteringKey>,
    view: Option<PartitionView<'a>>,
    statics: Option<LiveRow<'a>>,
    row: Option<LiveRow<'a>>,
}

impl<'a> OldRow<'a> {
    pub(super) fn find(plan: &'a Modify, env: &Env<'_>, snapshot: Snapshot<'a>) -> Result<Self, DbError> {
        let keys = key::partition_keys(&plan.table, &plan.keys, env)?;
        let [key] = keys.as_slice() else {
            return Err(in_of_condition("partition key", plan.kind));
        };
        let place = match &plan.rows {
            Rows::Keys(clustering) => {
                let keys = key::clustering_keys(&plan.table, clustering, env)?;
                let [key] = <[ClusteringKey; 1]>::try_from(keys)
                    .map_err(|_| in_of_condition("clustering key columns", plan.kind))?;
                Some(key)
            }
            Rows::Partition if plan.table.clustering_columns == 0 => Some(ClusteringKey::default()),
            Rows::Partition => None,
            Rows::Ranges(_) => {
                return Err(DbError::invalid(
                    "DELETE statements must restrict all PRIMARY KEY columns with equality relations in order to \
                     delete non static columns",
                ));
            }
        };
        let view = snapshot.partition(&plan.table, key);
        let statics = view.as_ref().and_then(PartitionView::static_row);
        let row = view.as_ref().zip(place.as_ref()).and_then(|(view, place)| view.row(place));
        Ok(Self { plan, place, view, statics, row })
    }

    /// Whether the statement's condition holds.
    pub(super) fn passes(&self, plan: &Modify, env: &Env<'_>) -> Result<Applied, DbError> {
        let by_statics = matches!(plan.rows, Rows::Partition) && self.statics.is_some();
        let exists = self.row.is_some() || by_statics;
        let holds = match &plan.condition {
            None => true,
            Some(Condition::Exists) => exists,
            Some(Condition::NotExists) => !exists,
            Some(Condition::Holds(filters)) => {
                let bound = filter::bind(filters, Nulls::Compare, env)?;
                let key = self.key();
                let context = self.context(&key);
                let mut all = true;
                for filter in &bound {
                    all &= filter.holds(&context)?;
                }
                all
            }
        };
        Ok(if holds { Applied::Yes } else { Applied::No })
    }

    /// Writes `[applied]` and the old values of the columns; all null if the row was not there.
    pub(super) fn show(&self, applied: Applied, columns: &[usize], body: &mut RowsBody) {
        body.put(Some(&[u8::from(applied == Applied::Yes)]));
        let there = self.row.is_some()
            || (self.statics.is_some()
                && (matches!(self.plan.rows, Rows::Partition) || self.tests_statics()));
        let key = if there { self.key() } else { Vec::new() };
        let context = self.context(&key);
        let mut scratch = Vec::new();
        for column in columns {
            if there { context.put(*column, &mut scratch, body) } else { body.put(None) }
        }
        body.end_row();
    }

    /// Whether another statement is about this row: then both show it.
    pub(super) fn is_of(&self, plan: &Modify, env: &Env<'_>) -> Result<bool, DbError> {
        let (Rows::Keys(clustering), Some(place)) = (&plan.rows, &self.place) else { return Ok(false) };
        Ok(key::clustering_keys(&plan.table, clustering, env)? == [place.clone()])
    }

    fn key(&self) -> Vec<&'a [u8]> {
        self.view.as_ref().map(|view| key_values(&self.plan.table, view)).unwrap_or_default()
    }

    fn context<'c>(&'c self, key: &'c [&'c [u8]]) -> RowContext<'c> {
        RowContext {
            table: &self.plan.table,
            key,
            token: 0,
            statics: self.statics.as_ref(),
            row: self.row.as_ref(),
        }
    }

    fn tests_statics(&self) -> bool {
        let Some(Condition::Holds(filters)) = &self.plan.condition else { return false };
        filters.iter().any(|filter| match &filter.left {
            FilterLeft::Column(column) | FilterLeft::Element(column, _) | FilterLeft::Field(column, _) => {
                self.plan.table.columns[*column].kind == ColumnKind::Static
            }
            FilterLeft::Columns(_) => false,
        })
    }
}
