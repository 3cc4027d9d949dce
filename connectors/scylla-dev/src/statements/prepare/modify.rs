//! INSERT, UPDATE, DELETE and batches of them.
use std::sync::Arc;

use scylla_cql::frame::response::result::NativeType;

use super::ast::{self, Statement};
use super::condition::known_column;
use super::relation::{Restrictions, unrestricted};
use super::select::key_markers;
use super::{Context, Receiver, refuse_system, without_rows};
use crate::error::DbError;
use crate::execute::plan::{
    Action, Batch, Change, Choice, Clustering, Condition, Kind, Modify, Partitions, Plan, Prefix, Prepared,
    Rows, applied_columns, in_of_condition,
};
use crate::execute::{applied_specs, result_columns};
use crate::schema::{ColumnKind, Table};

impl Context<'_> {
    pub(super) fn modification(&mut self, statement: &Statement) -> Result<Prepared, DbError> {
        let modify = self.modify(statement)?;
        let partition_key = key_markers(&Partitions::Keys(modify.keys.clone()));
        let result = if modify.condition.is_some() {
            applied_specs(&modify.table, &applied_columns(&modify)?)
        } else {
            Arc::from([])
        };
        let plan = Plan::Modify(Box::new(modify));
        Ok(Prepared { partition_key, result, ..without_rows(plan) })
    }

    pub(super) fn batch(&mut self, batch: &ast::Batch) -> Result<Prepared, DbError> {
        let statements = batch.statements.iter().map(|statement| self.modify(statement));
        let statements = statements.collect::<Result<Vec<Modify>, _>>()?;
        if batch.using.ttl.is_some() {
            return Err(DbError::invalid("Global TTL on the BATCH statement is not supported."));
        }
        let timestamp = match (&batch.using.timestamp, statements.first()) {
            (None, _) | (Some(_), None) => None,
            (Some(_), Some(_)) if statements.iter().any(|statement| statement.timestamp.is_some()) => {
                return Err(DbError::invalid(
                    "Timestamp must be set either on BATCH or individual statements",
                ));
            }
            (Some(_), Some(_)) if statements.iter().any(|statement| statement.condition.is_some()) => {
                return Err(DbError::invalid("Cannot provide custom timestamp for conditional BATCH"));
            }
            (Some(term), Some(first)) => Some(self.timestamp(&first.table, term)?),
        };
        if let Some(first) = statements.first() {
            self.using_timeout(&first.table, &batch.using)?;
        }
        let one_table = statements.windows(2).all(|pair| pair[0].table.id == pair[1].table.id);
        let first = statements.first().filter(|_| one_table);
        let first_keys = first.map(|first| Partitions::Keys(first.keys.clone()));
        let partition_key = first_keys.as_ref().map(key_markers).unwrap_or_default();
        let conditional = statements.iter().any(|statement| statement.condition.is_some());
        let result = if conditional { result_columns(statements.iter())?.1 } else { Arc::from([]) };
        let plan = Plan::Batch(Box::new(Batch { timestamp, statements }));
        Ok(Prepared { partition_key, result, ..without_rows(plan) })
    }

    fn timestamp(&mut self, table: &Table, term: &ast::Term) -> Result<crate::execute::term::Term, DbError> {
        self.term(term, &Receiver::native(table, "[timestamp]", NativeType::BigInt))
    }

    fn modify(&mut self, statement: &Statement) -> Result<Modify, DbError> {
        let modify = match statement {
            Statement::Insert(insert) => self.insert(insert)?,
            Statement::Update(update) => self.update(update)?,
            Statement::Delete(delete) => self.delete(delete)?,
            _ => return Err(DbError::invalid("Only UPDATE, INSERT and DELETE statements are allowed here")),
        };
        refuse_system(&modify.table.keyspace)?;
        if modify.condition.is_some() && modify.timestamp.is_some() {
            return Err(DbError::invalid("Cannot provide custom timestamp for conditional updates"));
        }
        Ok(modify)
    }

    /// A modification of the table that changes nothing yet.
    fn start(&mut self, table: Arc<Table>, kind: Kind, using: &ast::Using) -> Result<Modify, DbError> {
        let timestamp = using.timestamp.as_ref().map(|term| self.timestamp(&table, term)).transpose()?;
        let ttl = using.ttl.as_ref();
        let ttl = ttl.map(|term| self.term(term, &Receiver::native(&table, "[ttl]", NativeType::Int)));
        let ttl = ttl.transpose()?;
        self.using_timeout(&table, using)?;
        Ok(Modify {
            table,
            keys: Vec::new(),
            rows: Rows::Partition,
            kind,
            timestamp,
            ttl,
            static_changes: Vec::new(),
            changes: Vec::new(),
            condition: None,
        })
    }

    fn insert(&mut self, insert: &ast::Insert) -> Result<Modify, DbError> {
        let table = self.table(&insert.table)?;
        if insert.columns.len() != insert.values.len() {
            return Err(DbError::invalid("Unmatched column names/values"));
        }
        let mut keys = vec![None; table.partition_columns];
        let mut clustering = vec![None; table.clustering_columns];
        let mut changes = Vec::new();
        for (at, (name, value)) in insert.columns.iter().zip(&insert.values).enumerate() {
            if insert.columns[..at].contains(name) {
                return Err(DbError::invalid(format!("Multiple definitions found for column {name}")));
            }
            let index = known_column(&table, name)?;
            let term = self.term(value, &Receiver::new(&table, name, table.columns[index].typ.clone()))?;
            if index < keys.len() {
                keys[index] = Some(Choice::One(term));
            } else if index < keys.len() + clustering.len() {
                clustering[index - keys.len()] = Some(Prefix::Column(Choice::One(term)));
            } else {
                let replaces = table.columns[index].is_multi_cell();
                let action = if replaces { Action::Replace(term) } else { Action::Set(term) };
                changes.push(Change { column: index, action });
            }
        }
        let mut modify = self.start(table, Kind::Insert, &insert.using)?;
        let table = Arc::clone(&modify.table);
        modify.keys = all_of(keys, table.partition_key_columns())?;
        (modify.static_changes, modify.changes) = split(&table, changes);
        let given = clustering.iter().rposition(Option::is_some);
        if let (Some(missing), Some(given)) = (clustering.iter().position(Option::is_none), given)
            && missing < given
        {
            let name = |at: usize| &*table.clustering_key_columns()[at].name;
            return Err(unrestricted(name(given), name(missing)));
        }
        let only_statics = !modify.static_changes.is_empty() && modify.changes.is_empty();
        let without_row = table.clustering_columns > 0 && clustering.iter().all(Option::is_none);
        if !(only_statics && without_row) {
            let prefix = all_of(clustering, table.clustering_key_columns())?;
            modify.rows = Rows::Keys(Clustering { prefix, ..Clustering::default() });
        }
        modify.condition = insert.if_not_exists.then_some(Condition::NotExists);
        Ok(modify)
    }

    fn update(&mut self, update: &ast::Update) -> Result<Modify, DbError> {
        let table = self.table(&update.table)?;
        let mut modify = self.start(Arc::clone(&table), Kind::Update, &update.using)?;
        let mut changes = Vec::with_capacity(update.assignments.len());
        for assignment in &update.assignments {
            changes.push(self.assignment(&table, assignment)?);
        }
        check_conflicts(&table, &changes)?;
        (modify.static_changes, modify.changes) = split(&table, changes);
        let restrictions = self.restrictions(&table, &update.filter)?;
        modify.condition = self.condition(&table, &update.condition)?;
        self.locate(&mut modify, restrictions, "UPDATE")?;
        Ok(modify)
    }

    fn delete(&mut self, delete: &ast::Delete) -> Result<Modify, DbError> {
        let table = self.table(&delete.table)?;
        let mut modify = self.start(Arc::clone(&table), Kind::Delete, &delete.using)?;
        let mut changes = Vec::with_capacity(delete.targets.len());
        for target in &delete.targets {
            changes.push(self.delete_target(&table, target)?);
        }
        (modify.static_changes, modify.changes) = split(&table, changes);
        let restrictions = self.restrictions(&table, &delete.filter)?;
        modify.condition = self.condition(&table, &delete.condition)?;
        self.locate(&mut modify, restrictions, "DELETE")?;
        Ok(modify)
    }

    /// Takes over which partitions and rows a WHERE names, if a modification may name them so.
    fn locate(&self, modify: &mut Modify, found: Restrictions, verb: &str) -> Result<(), DbError> {
        let table = Arc::clone(&modify.table);
        let values: Vec<&str> =
            found.filtered.iter().map(String::as_str).filter(|name| !is_key(&table, name)).collect();
        if !values.is_empty() {
            let names = values.join(", ");
            return Err(DbError::invalid(format!(
                "Invalid where clause contains non PRIMARY KEY columns: {names}"
            )));
        }
        modify.keys = match found.partitions {
            Partitions::Keys(keys) => keys,
            Partitions::Tokens { lower: None, upper: None } => {
                let missing = table
                    .partition_key_columns()
                    .iter()
                    .find(|column| !found.filtered.iter().any(|name| **name == *column.name));
                let name = missing.map_or_else(String::new, |column| column.name.to_string());
                return Err(found.filtering.filter(|_| missing.is_none()).unwrap_or_else(|| {
                    DbError::invalid(format!("Missing mandatory PRIMARY KEY part {name}"))
                }));
            }
            Partitions::Tokens { .. } => {
                return Err(DbError::invalid(format!(
                    "The token function cannot be used in WHERE clauses for {verb} statements"
                )));
            }
        };
        if let Some(reason) = found.filtering {
            return Err(reason);
        }
        if let Some(name) = found.filtered.first() {
            return Err(DbError::invalid(format!(
                "{name} cannot be restricted by more than one relation if it includes an Equal"
            )));
        }
        let ranged = found.clustering.lower.is_some() || found.clustering.upper.is_some();
        let whole_key = found.fixed == table.clustering_columns && !ranged;
        let unrestricted = found.fixed == 0 && !ranged;
        let only_statics = modify.changes.is_empty() && !modify.static_changes.is_empty();
        modify.rows = if table.clustering_columns == 0 {
            let whole = modify.kind == Kind::Delete && modify.changes.is_empty();
            if whole { Rows::Partition } else { Rows::Keys(found.clustering) }
        } else if only_statics && unrestricted {
            Rows::Partition
        } else if only_statics && modify.condition.is_none() {
            return Err(DbError::invalid(format!(
                "Invalid restrictions on clustering columns since the {verb} statement modifies only static columns"
            )));
        } else if whole_key {
            Rows::Keys(found.clustering)
        } else if modify.kind == Kind::Delete && modify.changes.is_empty() && modify.static_changes.is_empty()
        {
            if unrestricted { Rows::Partition } else { Rows::Ranges(found.clustering) }
        } else {
            let missing = table.clustering_key_columns().get(found.fixed);
            let name = missing.map_or("", |column| &*column.name);
            let message = match modify.changes.first().filter(|_| modify.kind == Kind::Delete) {
                _ if ranged => {
                    format!("Invalid operator in where clause: {name} is not restricted by EQ or IN")
                }
                Some(change) => format!(
                    "Primary key column '{name}' must be specified in order to modify column '{}'",
                    table.columns[change.column].name
                ),
                None => format!("Missing mandatory PRIMARY KEY part {name}"),
            };
            return Err(DbError::invalid(message));
        };
        check_condition(modify, verb)
    }
}

pub(super) fn is_key(table: &Table, name: &str) -> bool {
    let keys = table.partition_columns + table.clustering_columns;
    table.column(name).is_some_and(|(index, _)| index < keys)
}

fn all_of<T>(parts: Vec<Option<T>>, columns: &[crate::schema::Column]) -> Result<Vec<T>, DbError> {
    let missing = parts.iter().zip(columns).find(|(part, _)| part.is_none());
    if let Some((_, column)) = missing {
        return Err(DbError::invalid(format!("Missing mandatory PRIMARY KEY part {}", column.name)));
    }
    Ok(parts.into_iter().flatten().collect())
}

/// Changes of static and of regular columns, each in the order in which cells are stored.
fn split(table: &Table, mut changes: Vec<Change>) -> (Vec<Change>, Vec<Change>) {
    changes.sort_by_key(|change| table.columns[change.column].id);
    changes.into_iter().partition(|change| table.columns[change.column].kind == ColumnKind::Static)
}

/// A column may be changed in several places only where each changes elements.
fn check_conflicts(table: &Table, changes: &[Change]) -> Result<(), DbError> {
    let is_whole = |change: &Change| matches!(change.action, Action::Set(_) | Action::Replace(_));
    for (at, change) in changes.iter().enumerate() {
        let others = &changes[..at];
        if others.iter().any(|other| other.column == change.column && (is_whole(other) || is_whole(change))) {
            let name = &table.columns[change.column].name;
            return Err(DbError::invalid(format!("Multiple incompatible setting of column {name}")));
        }
    }
    Ok(())
}

/// A condition needs one row, or static columns only.
fn check_condition(modify: &Modify, verb: &str) -> Result<(), DbError> {
    let Some(condition) = &modify.condition else { return Ok(()) };
    let several = |choice: &Choice| !matches!(choice, Choice::One(_));
    if modify.keys.iter().any(several) {
        return Err(in_of_condition("partition key", modify.kind));
    }
    let table = &modify.table;
    let statics_only = match condition {
        Condition::Holds(_) => {
            applied_columns(modify)?.iter().all(|column| table.columns[*column].kind == ColumnKind::Static)
        }
        Condition::Exists | Condition::NotExists => !modify.static_changes.is_empty(),
    };
    let row_known = match &modify.rows {
        Rows::Keys(_) => true,
        Rows::Partition if table.clustering_columns == 0 => true,
        Rows::Partition => statics_only,
        Rows::Ranges(_) => false,
    };
    if row_known || verb == "INSERT" {
        return Ok(());
    }
    if let (Rows::Partition, Kind::Update, Some(missing)) =
        (&modify.rows, modify.kind, table.clustering_key_columns().first())
    {
        return Err(DbError::invalid(format!("Missing mandatory PRIMARY KEY part {}", missing.name)));
    }
    Err(DbError::invalid(format!(
        "{verb} statements must restrict all PRIMARY KEY columns with equality relations in order to delete non \
         static columns"
    )))
}
