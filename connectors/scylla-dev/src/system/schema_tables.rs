//! `system_schema`: the schema as tables, for drivers and for DESCRIBE.
use bytes::Bytes;

use super::row::{Values, Writer, boolean, double, elements, int, map, text, text_map, uuid};
use crate::schema::{CdcOptions, Column, ColumnKind, Partitioner, Table, TableOptions};
use crate::value::order::Direction;
use crate::value::types;

pub(super) fn write(writer: &mut Writer<'_>) {
    let schema = writer.schema;
    let keyspaces = schema.keyspaces().map(|keyspace| {
        vec![
            ("keyspace_name", text(&keyspace.name)),
            ("durable_writes", boolean(keyspace.durable_writes)),
            ("replication", text_map(&keyspace.replication)),
        ]
    });
    writer.rows("system_schema", "keyspaces", keyspaces);
    let with_tablets = schema.keyspaces().filter_map(|keyspace| {
        let tablets = int(keyspace.tablets? as i32);
        Some(vec![("keyspace_name", text(&keyspace.name)), ("initial_tablets", tablets)])
    });
    writer.rows("system_schema", "scylla_keyspaces", with_tablets);
    writer.rows("system_schema", "tables", schema.tables().map(|table| table_row(table)));
    writer.rows("system_schema", "scylla_tables", schema.tables().map(|table| scylla_row(table)));
    let columns = schema.tables().flat_map(|table| {
        table.columns.iter().enumerate().map(|(index, column)| column_row(table, index, column))
    });
    writer.rows("system_schema", "columns", columns);
    let user_types = schema.keyspaces().flat_map(|keyspace| {
        keyspace.types.values().map(|definition| {
            let fields = &definition.field_types;
            vec![
                ("keyspace_name", text(&keyspace.name)),
                ("type_name", text(&definition.name)),
                ("field_names", elements(fields.iter().map(|(name, _)| text(name)))),
                ("field_types", elements(fields.iter().map(|(_, typ)| text(types::name(typ))))),
            ]
        })
    });
    writer.rows("system_schema", "types", user_types);
}

fn table_row(table: &Table) -> Values {
    let options = &table.options;
    let number =
        |name: &str| options.texts.get(name).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    let whole = |name: &str| int(number(name) as i32);
    let texts = |name: &str| text_map(options.maps.get(name).into_iter().flatten());
    vec![
        ("keyspace_name", text(&table.keyspace)),
        ("table_name", text(&table.name)),
        ("bloom_filter_fp_chance", double(number("bloom_filter_fp_chance"))),
        ("caching", texts("caching")),
        ("comment", text(&options.comment)),
        ("compaction", texts("compaction")),
        ("compression", texts("compression")),
        ("crc_check_chance", double(number("crc_check_chance"))),
        ("dclocal_read_repair_chance", double(number("dclocal_read_repair_chance"))),
        ("default_time_to_live", int(options.default_time_to_live as i32)),
        ("extensions", extensions(options)),
        ("flags", elements([text("compound")])),
        ("gc_grace_seconds", int(options.gc_grace_seconds as i32)),
        ("id", uuid(table.uuid)),
        ("max_index_interval", whole("max_index_interval")),
        ("memtable_flush_period_in_ms", whole("memtable_flush_period_in_ms")),
        ("min_index_interval", whole("min_index_interval")),
        ("read_repair_chance", double(number("read_repair_chance"))),
        ("speculative_retry", text(options.texts.get("speculative_retry").map_or("", String::as_str))),
    ]
}

fn scylla_row(table: &Table) -> Values {
    let mut values = vec![
        ("keyspace_name", text(&table.keyspace)),
        ("table_name", text(&table.name)),
        ("version", uuid(table.uuid)),
    ];
    if table.options.cdc != CdcOptions::default() {
        values.push(("cdc", text_map(table.options.cdc.to_map())));
    }
    if let Some(tablets) = table.options.maps.get("tablets").filter(|hints| !hints.is_empty()) {
        values.push(("tablets", text_map(tablets)));
    }
    if table.partitioner == Partitioner::Cdc {
        values.push(("partitioner", text("com.scylladb.dht.CDCPartitioner")));
    }
    values
}

fn column_row(table: &Table, index: usize, column: &Column) -> Values {
    let kind = match column.kind {
        ColumnKind::PartitionKey => "partition_key",
        ColumnKind::Clustering => "clustering",
        ColumnKind::Static => "static",
        ColumnKind::Regular => "regular",
    };
    let order = match (column.kind, column.direction) {
        (ColumnKind::Clustering, Direction::Ascending) => "asc",
        (ColumnKind::Clustering, Direction::Descending) => "desc",
        _ => "none",
    };
    vec![
        ("keyspace_name", text(&table.keyspace)),
        ("table_name", text(&table.name)),
        ("column_name", text(&column.name)),
        ("clustering_order", text(order)),
        ("column_name_bytes", text(&column.name)),
        ("kind", text(kind)),
        ("position", int(table.position(index).map_or(-1, |position| position as i32))),
        ("type", text(types::name(&column.typ))),
    ]
}

/// How Java clients see CDC options: a map serialized as ScyllaDB's own, little endian.
fn extensions(options: &TableOptions) -> Bytes {
    if options.cdc == CdcOptions::default() {
        return map([]);
    }
    let entries = options.cdc.to_map();
    let mut blob = (entries.len() as u32).to_le_bytes().to_vec();
    for (key, value) in &entries {
        for text in [*key, value.as_str()] {
            blob.extend_from_slice(&(text.len() as u32).to_le_bytes());
            blob.extend_from_slice(text.as_bytes());
        }
    }
    map([(text("cdc"), Bytes::from(blob))])
}
