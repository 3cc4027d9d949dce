//! What `prepare` makes of a statement and `run` works from: every name, column and type already looked up.
use std::sync::Arc;

use super::functions::Function;
use super::term::Term;
use crate::error::DbError;
use crate::outcome::Specs;
use crate::schema::describe::Internals;
use crate::schema::{ColumnDefinition, KeyspaceDefinition, OptionValue, Schema, Table, TableDefinition};
use crate::value::CqlType;

/// A statement ready to run, and what a client must know about it.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub(crate) bind: Specs,
    pub(crate) partition_key: Vec<u16>,
    pub(crate) result: Specs,
    /// Which variables are lists after IN.
    pub(crate) choices: Vec<usize>,
    /// What USING TIMEOUT says.
    pub(crate) timeout: Option<Term>,
    pub(crate) plan: Plan,
}

/// What to do.
#[derive(Debug, Clone)]
pub(crate) enum Plan {
    Select(Box<Select>),
    Modify(Box<Modify>),
    Batch(Box<Batch>),
    Schema(Box<SchemaChange>),
    Truncate(Arc<Table>),
    Use(Arc<str>),
    Describe(Box<Description>, Internals),
}

/// What is described; an empty name is that of no keyspace.
#[derive(Debug, Clone)]
pub(crate) enum Description {
    /// With the owners of the ranges of this keyspace.
    Cluster {
        keyspace: Option<String>,
    },
    Schema,
    FullSchema,
    /// A list: of this keyspace or of all.
    Keyspaces(Option<String>),
    Tables(Option<String>),
    Types(Option<String>),
    /// A list of what this server never has.
    Nothing,
    Keyspace(String),
    OnlyKeyspace(String),
    Table(String, String),
    Type(String, String),
    /// The keyspace of this name or, in the keyspace it is qualified with or in the session's, the table or type.
    Any {
        qualified: Option<String>,
        here: Option<String>,
        name: String,
    },
}

impl Prepared {
    /// The bind variables.
    pub fn bind_specs(&self) -> &Specs {
        &self.bind
    }

    /// Which variables make the partition key, if they alone do: a driver routes by them.
    pub fn partition_key_markers(&self) -> &[u16] {
        &self.partition_key
    }

    /// The columns of the result; `None` for statements without rows.
    pub fn result_specs(&self) -> Option<&Specs> {
        (!self.result.is_empty()).then_some(&self.result)
    }

    /// Whether it is a lightweight transaction.
    pub fn is_conditional(&self) -> bool {
        match &self.plan {
            Plan::Modify(modify) => modify.condition.is_some(),
            Plan::Batch(batch) => batch.statements.iter().any(|modify| modify.condition.is_some()),
            Plan::Select(_) | Plan::Schema(_) | Plan::Truncate(_) | Plan::Use(_) | Plan::Describe(..) => {
                false
            }
        }
    }

    /// The one table it reads or writes.
    pub(crate) fn table(&self) -> Option<&Arc<Table>> {
        match &self.plan {
            Plan::Select(select) => Some(&select.table),
            Plan::Modify(modify) => Some(&modify.table),
            _ => None,
        }
    }

    /// Whether all its tables are still what they were; if not, it must be prepared again.
    pub fn is_current(&self, schema: &Schema) -> bool {
        match &self.plan {
            Plan::Select(select) => schema.is_current(&select.table),
            Plan::Modify(modify) => schema.is_current(&modify.table),
            Plan::Batch(batch) => batch.statements.iter().all(|modify| schema.is_current(&modify.table)),
            Plan::Truncate(table) => schema.is_current(table),
            Plan::Schema(_) | Plan::Use(_) | Plan::Describe(..) => true,
        }
    }
}

/// Which values an `=` or IN allows.
#[derive(Debug, Clone)]
pub(crate) enum Choice {
    One(Term),
    Several(Vec<Term>),
    /// `IN ?`: the value is a list.
    List(Term),
}

/// Which partitions.
#[derive(Debug, Clone)]
pub(crate) enum Partitions {
    /// One choice for each partition key column.
    Keys(Vec<Choice>),
    /// By token; both ends open for a full scan.
    Tokens { lower: Option<(Term, Edge)>, upper: Option<(Term, Edge)> },
}

/// Whether a bound belongs to its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edge {
    Included,
    Excluded,
}

/// Which rows of a partition.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clustering {
    /// For the first clustering columns.
    pub(crate) prefix: Vec<Prefix>,
    /// For the columns behind the prefix.
    pub(crate) lower: Option<(BoundValues, Edge)>,
    pub(crate) upper: Option<(BoundValues, Edge)>,
}

/// What one relation says about the next clustering columns.
#[derive(Debug, Clone)]
pub(crate) enum Prefix {
    Column(Choice),
    /// Tuples of so many columns.
    Columns(usize, Choice),
}

/// One end of a range.
#[derive(Debug, Clone)]
pub(crate) enum BoundValues {
    Column(Term),
    /// A tuple.
    Columns(Term),
}

/// A test of a row, for ALLOW FILTERING and IF.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    pub(crate) left: FilterLeft,
    pub(crate) operator: crate::execute::filter::Test,
    pub(crate) right: Choice,
}

/// What a test looks at; columns are places in [`Table::columns`].
#[derive(Debug, Clone)]
pub(crate) enum FilterLeft {
    Column(usize),
    Element(usize, Term),
    Field(usize, usize),
    Columns(Vec<usize>),
}

/// SELECT.
#[derive(Debug, Clone)]
pub(crate) struct Select {
    pub(crate) table: Arc<Table>,
    pub(crate) partitions: Partitions,
    pub(crate) clustering: Clustering,
    pub(crate) filters: Vec<Filter>,
    pub(crate) reverse: bool,
    pub(crate) distinct: bool,
    pub(crate) limit: Option<Term>,
    pub(crate) per_partition_limit: Option<Term>,
    pub(crate) selectors: Vec<Selector>,
    /// Not empty when the rows are folded into one.
    pub(crate) aggregates: Vec<Aggregate>,
    /// Whether rows of several partitions are put in one clustering order.
    pub(crate) sort: bool,
}

/// One column of a result.
#[derive(Debug, Clone)]
pub(crate) enum Selector {
    Column(usize),
    /// Of a column, or of one element of it.
    Writetime(usize, Option<Term>),
    Ttl(usize, Option<Term>),
    Token,
    Term(Term),
    Call(Box<Function>, Vec<Selector>),
    Cast(Box<Selector>, CqlType, CqlType),
    Field(Box<Selector>, usize),
    /// Of a collection of this type.
    Element(Box<Selector>, CqlType, Term),
    /// The result of an aggregate.
    Aggregate(usize),
}

/// What all rows are folded into.
#[derive(Debug, Clone)]
pub(crate) enum Aggregate {
    CountRows,
    Count(Selector),
    /// The value of the first row: what a plain column is beside aggregates.
    First(Selector),
    Min(Selector, CqlType),
    Max(Selector, CqlType),
    Sum(Selector, CqlType),
    Avg(Selector, CqlType),
}

/// INSERT, UPDATE or DELETE.
#[derive(Debug, Clone)]
pub(crate) struct Modify {
    pub(crate) table: Arc<Table>,
    pub(crate) keys: Vec<Choice>,
    pub(crate) rows: Rows,
    pub(crate) kind: Kind,
    pub(crate) timestamp: Option<Term>,
    pub(crate) ttl: Option<Term>,
    /// Changes of static and of regular columns, each in the order of column ids.
    pub(crate) static_changes: Vec<Change>,
    pub(crate) changes: Vec<Change>,
    pub(crate) condition: Option<Condition>,
}

/// What a modification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Writes a row marker.
    Insert,
    /// Changes columns only.
    Update,
    /// Deletes rows or the partition.
    Delete,
}

/// Which rows of the partition a modification is about.
#[derive(Debug, Clone)]
pub(crate) enum Rows {
    /// Static columns or the whole partition.
    Partition,
    /// Rows whose whole clustering key is given.
    Keys(Clustering),
    /// DELETE of ranges.
    Ranges(Clustering),
}

/// A change of one column.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// The place in [`Table::columns`].
    pub(crate) column: usize,
    pub(crate) action: Action,
}

/// What is done to a column.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// A plain or frozen value.
    Set(Term),
    /// All elements of a collection or all fields of a user-defined type.
    Replace(Term),
    /// Elements of a set, entries of a map, or the end of a list.
    Append(Term),
    Prepend(Term),
    /// Elements of a set, keys of a map, or all equal elements of a list.
    Remove(Term),
    /// A map entry by key or a list element by its place.
    SetElement(Term, Term),
    /// A list element by its id.
    SetListCell(Term, Term),
    SetField(usize, Term),
    Delete,
    /// A map key, a set element, or a place in a list.
    DeleteElement(Term),
    DeleteField(usize),
}

/// What must hold for a lightweight transaction to be applied.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    NotExists,
    Exists,
    Holds(Vec<Filter>),
}

/// The error of IN where a condition needs one row.
pub(crate) fn in_of_condition(columns: &str, kind: Kind) -> DbError {
    let what = if kind == Kind::Delete { "deletions" } else { "updates" };
    DbError::invalid(format!("IN on the {columns} is not supported with conditional {what}"))
}

/// A batch in text form.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) timestamp: Option<Term>,
    pub(crate) statements: Vec<Modify>,
}

/// A change of the schema.
#[derive(Debug, Clone)]
pub(crate) enum SchemaChange {
    CreateKeyspace { definition: KeyspaceDefinition, if_not_exists: bool },
    AlterKeyspace(KeyspaceDefinition),
    DropKeyspace { name: String, if_exists: bool },
    CreateTable { definition: TableDefinition, if_not_exists: bool },
    AlterTable { keyspace: String, table: String, change: TableChange },
    DropTable { keyspace: String, table: String, if_exists: bool },
    CreateType { keyspace: String, name: String, fields: Vec<(String, CqlType)>, if_not_exists: bool },
    DropType { keyspace: String, name: String, if_exists: bool },
}

/// What ALTER TABLE changes.
#[derive(Debug, Clone)]
pub(crate) enum TableChange {
    Add(Vec<ColumnDefinition>),
    Drop(Vec<String>),
    Rename(Vec<(String, String)>),
    Options(Vec<(String, OptionValue)>),
}

/// The columns of `[applied]` and the old row: places in [`Table::columns`].
pub(crate) fn applied_columns(modify: &Modify) -> Result<Vec<usize>, DbError> {
    let Some(Condition::Holds(filters)) = &modify.condition else {
        return Ok((0..modify.table.columns.len()).collect());
    };
    let mut columns = Vec::new();
    for filter in filters {
        match &filter.left {
            FilterLeft::Column(column) | FilterLeft::Element(column, _) | FilterLeft::Field(column, _) => {
                columns.push(*column);
            }
            FilterLeft::Columns(_) => {
                return Err(DbError::invalid("Multi-column relations are not allowed in conditions"));
            }
        }
    }
    columns.sort_unstable();
    columns.dedup();
    Ok(columns)
}
