//! Which column of an answer is what: the log's own ones, and of each column of the table its value and its marks.

use std::collections::{BTreeMap, HashMap};

use bytes::{Bytes, BytesMut};
use scylla::frame::response::result::{CollectionType, ColumnSpec, ColumnType};
use weir_sdk::{Error, ErrorKind};

use super::value::put_text;
use crate::reader::table::Table;

/// What the schema of the table knows and its log does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    partition_key: Vec<String>,
    clustering_key: Vec<String>,
    others: BTreeMap<String, Kind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    is_static: bool,
    is_list: bool,
}

/// Where everything is in the rows of an answer.
#[derive(Debug)]
pub struct Plan {
    /// `cdc$stream_id`, `cdc$time`, `cdc$batch_seq_no`, `cdc$operation`.
    pub id: [usize; 4],
    /// `cdc$end_of_batch`.
    pub last: usize,
    /// `cdc$ttl`.
    pub ttl: usize,
    /// The key of the partition.
    pub partition_key: Vec<Column>,
    /// The rest of the row's key.
    pub clustering_key: Vec<Column>,
    /// The other columns.
    pub values: Vec<Valued>,
}

/// A column of the table.
#[derive(Debug)]
pub struct Column {
    /// Where its value is.
    pub value: usize,
    /// Its name as JSON.
    pub name: Bytes,
}

/// A column that is no part of a key.
#[derive(Debug)]
pub struct Valued {
    /// The column.
    pub column: Column,
    /// Where it is marked as deleted, or as written anew as a whole.
    pub deleted: usize,
    /// Where it says which of its elements were taken out; only of those whose elements can be written one by one.
    pub removed: Option<usize>,
    /// All rows of a partition share it.
    pub is_static: bool,
    /// The log holds its cells, the table a list.
    pub is_list: bool,
}

impl Columns {
    /// Those of this table.
    pub fn of(table: &Table) -> Self {
        let is_key = |name: &&str| table.primary_key().any(|column| column == *name);
        let kind = |name: &str| {
            let is_list = table.column(name).is_some_and(|cql| cql.starts_with("list<"));
            (name.to_owned(), Kind { is_static: table.is_static(name), is_list })
        };
        Self {
            partition_key: table.partition_key().to_vec(),
            clustering_key: table.clustering_key().to_vec(),
            others: table.columns().filter(|name| !is_key(name)).map(kind).collect(),
        }
    }

    /// Has the table rows within its partitions?
    pub fn has_rows(&self) -> bool {
        !self.clustering_key.is_empty()
    }

    /// Finds them in an answer.
    ///
    /// # Errors
    /// `Config` when the table was altered since its schema was read.
    pub fn plan(&self, answer: &[ColumnSpec<'_>]) -> Result<Plan, Error> {
        let by_name: HashMap<&str, usize> =
            answer.iter().enumerate().map(|(index, column)| (column.name(), index)).collect();
        let at = |name: &str| by_name.get(name).copied().ok_or_else(|| altered(name));
        let column = |name: &str| Ok::<_, Error>(Column { value: at(name)?, name: quoted(name) });
        let key = |names: &[String]| names.iter().map(|name| column(name)).collect::<Result<_, _>>();
        let own = |name: &str| name.starts_with("cdc$");
        let in_key =
            |name: &str| self.partition_key.iter().chain(&self.clustering_key).any(|key| key == name);
        let values = answer.iter().map(ColumnSpec::name).filter(|name| !own(name) && !in_key(name));
        let values = values.map(|name| {
            let Kind { is_static, is_list } = *self.others.get(name).ok_or_else(|| altered(name))?;
            // The mark of a column `elements_x` has the name that the elements of `x` would have.
            let removed = by_name.get(format!("cdc$deleted_elements_{name}").as_str()).copied();
            let removed = removed.filter(|index| is_set(answer[*index].typ()));
            let deleted = at(&format!("cdc$deleted_{name}"))?;
            Ok(Valued {
                column: column(name)?,
                deleted,
                removed,
                is_static,
                is_list: is_list && removed.is_some(),
            })
        });
        Ok(Plan {
            id: [at("cdc$stream_id")?, at("cdc$time")?, at("cdc$batch_seq_no")?, at("cdc$operation")?],
            last: at("cdc$end_of_batch")?,
            ttl: at("cdc$ttl")?,
            partition_key: key(&self.partition_key)?,
            clustering_key: key(&self.clustering_key)?,
            values: values.collect::<Result<_, Error>>()?,
        })
    }
}

fn quoted(name: &str) -> Bytes {
    let mut out = BytesMut::with_capacity(name.len() + 2);
    put_text(&mut out, name);
    out.freeze()
}

fn is_set(of: &ColumnType<'_>) -> bool {
    matches!(of, ColumnType::Collection { typ: CollectionType::Set(_), .. })
}

/// The names of the fields of a user-defined type.
pub fn fields<'t>(of: &'t ColumnType<'t>) -> Option<Vec<&'t str>> {
    match of {
        ColumnType::UserDefinedType { definition, .. } => {
            Some(definition.field_types.iter().map(|(name, _)| name.as_ref()).collect())
        }
        _ => None,
    }
}

fn altered(name: &str) -> Error {
    Error::new(ErrorKind::Config, format!("the log's column `{name}` is not what the table's schema was"))
}
