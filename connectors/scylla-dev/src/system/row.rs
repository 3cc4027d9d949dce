//! Writes rows of system tables from plain values.
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::mutation::{Mutation, RowPatch, Stamp};
use crate::schema::{ColumnKind, Schema, Table, TableId};
use crate::value::collection;

/// Collects rows by table. Tables it was asked about are written anew, also when they get no rows.
pub(super) struct Writer<'s> {
    pub(super) schema: &'s Schema,
    tables: BTreeMap<TableId, Vec<Mutation>>,
}

/// The values of one row by column; what is not given is null.
pub(super) type Values = Vec<(&'static str, Bytes)>;

impl<'s> Writer<'s> {
    pub(super) fn new(schema: &'s Schema) -> Self {
        Self { schema, tables: BTreeMap::new() }
    }

    /// The rows of a table.
    pub(super) fn rows(&mut self, keyspace: &str, table: &str, rows: impl IntoIterator<Item = Values>) {
        let Ok(table) = self.schema.table(keyspace, table) else {
            return;
        };
        let mutations = self.tables.entry(table.id).or_default();
        mutations.extend(rows.into_iter().filter_map(|values| mutation(table, values)));
    }

    pub(super) fn finish(self) -> BTreeMap<TableId, Vec<Mutation>> {
        self.tables
    }
}

fn mutation(table: &Arc<Table>, values: Values) -> Option<Mutation> {
    let mut values: BTreeMap<&str, Bytes> = values.into_iter().collect();
    let mut key = |kind| -> Option<Vec<Bytes>> {
        let columns = table.columns.iter().filter(|column| column.kind == kind);
        columns.map(|column| values.remove(&*column.name)).collect()
    };
    let partition = table.partition_key(&key(ColumnKind::PartitionKey)?).ok()?;
    let clustering = table.clustering_key(&key(ColumnKind::Clustering)?);
    // Rewritten as a whole each time, so the timestamp means nothing; it must only be there.
    let mut patch = RowPatch::insert(Stamp::new(0));
    for column in table.regular_columns() {
        if let Some(value) = values.get(&*column.name) {
            patch.set(column.id, value, Stamp::new(0));
        }
    }
    let mut mutation = Mutation::new(Arc::clone(table), partition);
    mutation.rows.push((clustering, patch));
    Some(mutation)
}

pub(super) fn text(value: impl AsRef<str>) -> Bytes {
    Bytes::copy_from_slice(value.as_ref().as_bytes())
}

pub(super) fn int(value: i32) -> Bytes {
    Bytes::copy_from_slice(&value.to_be_bytes())
}

pub(super) fn tinyint(value: i8) -> Bytes {
    Bytes::copy_from_slice(&value.to_be_bytes())
}

pub(super) fn bigint(value: i64) -> Bytes {
    Bytes::copy_from_slice(&value.to_be_bytes())
}

pub(super) fn double(value: f64) -> Bytes {
    Bytes::copy_from_slice(&value.to_be_bytes())
}

pub(super) fn boolean(value: bool) -> Bytes {
    Bytes::copy_from_slice(&[u8::from(value)])
}

pub(super) fn uuid(value: uuid::Uuid) -> Bytes {
    Bytes::copy_from_slice(value.as_bytes())
}

pub(super) fn inet(value: IpAddr) -> Bytes {
    match value {
        IpAddr::V4(address) => Bytes::copy_from_slice(&address.octets()),
        IpAddr::V6(address) => Bytes::copy_from_slice(&address.octets()),
    }
}

/// A set or list, in the order given.
pub(super) fn elements(values: impl IntoIterator<Item = Bytes>) -> Bytes {
    let values: Vec<Bytes> = values.into_iter().collect();
    let mut out = Vec::new();
    collection::write_elements(&mut out, values.iter().map(|value| &value[..]));
    out.into()
}

/// A map, in the order given.
pub(super) fn map(entries: impl IntoIterator<Item = (Bytes, Bytes)>) -> Bytes {
    let entries: Vec<(Bytes, Bytes)> = entries.into_iter().collect();
    let mut out = Vec::new();
    collection::write_entries(&mut out, entries.iter().map(|(key, value)| (&key[..], &value[..])));
    out.into()
}

/// A map of texts.
pub(super) fn text_map<K: AsRef<str>, V: AsRef<str>>(entries: impl IntoIterator<Item = (K, V)>) -> Bytes {
    map(entries.into_iter().map(|(key, value)| (text(key), text(value))))
}
