//! The statements that make a schema again, written as ScyllaDB's DESCRIBE writes them.
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use scylla_cql::frame::response::result::UserDefinedType;

use super::checks::mentions;
use super::table::log_name;
use super::{CdcOptions, Column, ColumnKind, Keyspace, Schema, Table, TableOptions};
use crate::value::identifier::quoted;
use crate::value::order::Direction;
use crate::value::types;

/// Whether a statement also says what only restoring a schema needs: the table's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Internals {
    Shown,
    Hidden,
}

impl Keyspace {
    /// `CREATE KEYSPACE …`
    pub(crate) fn create_statement(&self) -> String {
        let replication = map(&self.replication);
        let (name, durable) = (quoted(&self.name), self.durable_writes);
        let tablets = match self.tablets {
            None => "'enabled': false".to_owned(),
            Some(0) => "'enabled': true".to_owned(),
            Some(initial) => format!("'initial': {initial}"),
        };
        format!(
            "CREATE KEYSPACE {name} WITH replication = {replication} AND durable_writes = {durable} \
             AND tablets = {{{tablets}}};"
        )
    }

    /// Its types, each behind those it is made of.
    pub(crate) fn sorted_types(&self) -> Vec<&Arc<UserDefinedType<'static>>> {
        let mut left: Vec<_> = self.types.values().collect();
        let mut sorted = Vec::with_capacity(left.len());
        while !left.is_empty() {
            let needs = |one: &UserDefinedType<'static>, other: &UserDefinedType<'static>| {
                one.name != other.name
                    && one.field_types.iter().any(|(_, typ)| mentions(typ, &self.name, &other.name))
            };
            let ready = left.iter().position(|one| !left.iter().any(|other| needs(one, other)));
            // A type is made of types that were there before it, so one is always ready.
            sorted.push(left.remove(ready.unwrap_or(0)));
        }
        sorted
    }
}

/// `CREATE TYPE …`
pub(crate) fn create_type(definition: &UserDefinedType<'_>) -> String {
    let fields = definition.field_types.iter();
    let fields: Vec<String> =
        fields.map(|(name, typ)| format!("    {} {}", quoted(name), types::name(typ))).collect();
    let (keyspace, name) = (quoted(&definition.keyspace), quoted(&definition.name));
    format!("CREATE TYPE {keyspace}.{name} (\n{}\n);", fields.join(",\n"))
}

impl Table {
    /// `CREATE TABLE …`
    pub(crate) fn create_statement(&self, internals: Internals) -> String {
        let mut text = format!("CREATE TABLE {}.{} (", quoted(&self.keyspace), quoted(&self.name));
        for column in &self.columns {
            let fixed = if column.kind == ColumnKind::Static { " static" } else { "" };
            put(
                &mut text,
                format_args!("\n    {} {}{fixed},", quoted(&column.name), types::name(&column.typ)),
            );
        }
        put(&mut text, format_args!("\n    PRIMARY KEY ({})\n) WITH ", self.primary_key()));
        if internals == Internals::Shown {
            put(&mut text, format_args!("ID = {}\nAND ", self.uuid));
        }
        if self.clustering_columns > 0 {
            let order = |column: &Column| match column.direction {
                Direction::Ascending => format!("{} ASC", quoted(&column.name)),
                Direction::Descending => format!("{} DESC", quoted(&column.name)),
            };
            let orders: Vec<String> = self.clustering_key_columns().iter().map(order).collect();
            put(&mut text, format_args!("CLUSTERING ORDER BY ({})\n    AND ", orders.join(", ")));
        }
        text + &self.options.properties() + ";\n"
    }

    /// `ALTER TABLE … WITH …`, for a CDC log, which is created along with its table.
    pub(crate) fn alter_statement(&self) -> String {
        let (keyspace, name) = (quoted(&self.keyspace), quoted(&self.name));
        format!("ALTER TABLE {keyspace}.{name} WITH {};\n", self.options.properties())
    }

    fn primary_key(&self) -> String {
        let names = |columns: &[Column]| {
            columns.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ")
        };
        let mut key = names(self.partition_key_columns());
        if self.partition_columns > 1 {
            key = format!("({key})");
        }
        if self.clustering_columns > 0 {
            key = format!("{key}, {}", names(self.clustering_key_columns()));
        }
        key
    }
}

impl Schema {
    /// Whether the table is the CDC log that a table's writes are recorded in.
    pub(crate) fn is_log_in_use(&self, table: &Table) -> bool {
        let tables = self.keyspace(&table.keyspace).map(|keyspace| &keyspace.tables);
        let base = table.name.strip_suffix(&log_name("")).and_then(|base| tables.ok()?.get(base));
        base.and_then(|base| base.cdc_log.as_ref()).is_some_and(|log| log.table.id == table.id)
    }
}

impl TableOptions {
    /// Everything behind WITH. What ScyllaDB keeps in extensions comes last, and only if it was set.
    fn properties(&self) -> String {
        let common = Self::default();
        let mut all: BTreeMap<&str, String> = BTreeMap::new();
        for (name, text) in &self.texts {
            let number = text.parse::<f64>().is_ok();
            all.insert(name, if number { text.clone() } else { literal(text) });
        }
        all.extend(self.maps.iter().map(|(name, entries)| (*name, map(entries))));
        all.insert("comment", literal(&self.comment));
        all.insert("default_time_to_live", self.default_time_to_live.to_string());
        all.insert("gc_grace_seconds", self.gc_grace_seconds.to_string());
        for name in ["dclocal_read_repair_chance", "read_repair_chance", "paxos_grace_seconds"] {
            if self.texts.get(name) == common.texts.get(name) {
                all.remove(name);
            }
        }
        for name in ["tablets", "tombstone_gc", "per_partition_rate_limit"] {
            if self.maps.get(name) == common.maps.get(name) {
                all.remove(name);
            }
        }
        let mut lines: Vec<String> = all.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        if self.cdc != CdcOptions::default() {
            let entries = self.cdc.to_map().map(|(name, value)| (name.to_owned(), value));
            lines.push(format!("cdc = {}", map(&entries.into())));
        }
        lines.join("\n    AND ")
    }
}

/// A map literal; `class` comes first.
fn map(entries: &BTreeMap<String, String>) -> String {
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by_key(|(name, _)| *name != "class");
    let entry = |(name, value): &(&String, &String)| format!("{}: {}", literal(name), literal(value));
    format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("writing into memory does not fail");
}
