//! The bodies of answers.
use bytes::{BufMut, BytesMut};
use scylla_cql::frame::response::result::ColumnSpec;

use super::prepared::Statement;
use super::shards;
use crate::error::DbError;
use crate::outcome::{ChangeKind, ChangeTarget, Rows, SchemaChange};
use crate::value::types::{put_name, write_option};

const VOID: i32 = 1;
const ROWS: i32 = 2;
const SET_KEYSPACE: i32 = 3;
const PREPARED: i32 = 4;
const SCHEMA_CHANGE: i32 = 5;

const GLOBAL_SPEC: i32 = 0x01;
const MORE_PAGES: i32 = 0x02;
const NO_METADATA: i32 = 0x04;
/// ScyllaDB's mark for statements that need a round of agreement.
const CONDITIONAL: i32 = i32::MIN;

/// What clients can choose from, with ScyllaDB's own keys, by which its drivers know it.
const SUPPORTED: [(&str, &[&str]); 8] = [
    ("CQL_VERSION", &["3.3.1"]),
    ("COMPRESSION", &["lz4", "snappy"]),
    ("CLIENT_OPTIONS", &[""]),
    ("SCYLLA_SHARDING_ALGORITHM", &["biased-token-round-robin"]),
    ("SCYLLA_SHARDING_IGNORE_MSB", &["12"]),
    ("SCYLLA_PARTITIONER", &["org.apache.cassandra.dht.Murmur3Partitioner"]),
    (LWT_MARK, &["LWT_OPTIMIZATION_META_BIT_MASK=2147483648"]),
    (shards::EXTENSION, &[""]),
];

/// The STARTUP option by which a client asks for the mark on conditional statements.
pub(super) const LWT_MARK: &str = "SCYLLA_LWT_ADD_METADATA_MARK";

/// To a connection on this shard of so many.
pub(super) fn supported(out: &mut BytesMut, shard: u16, shards: u16) {
    let numbers = [("SCYLLA_SHARD", shard), ("SCYLLA_NR_SHARDS", shards)];
    out.put_u16((SUPPORTED.len() + numbers.len()) as u16);
    for (name, number) in numbers {
        put_name(name, out);
        out.put_u16(1);
        put_name(&number.to_string(), out);
    }
    for (name, values) in SUPPORTED {
        put_name(name, out);
        out.put_u16(values.len() as u16);
        values.iter().for_each(|value| put_name(value, out));
    }
}

pub(super) fn error(out: &mut BytesMut, error: &DbError) {
    out.put_i32(error.code.number());
    put_name(&error.message, out);
    error.code.write_details(out);
}

pub(super) fn void(out: &mut BytesMut) {
    out.put_i32(VOID);
}

pub(super) fn set_keyspace(out: &mut BytesMut, keyspace: &str) {
    out.put_i32(SET_KEYSPACE);
    put_name(keyspace, out);
}

pub(super) fn schema_change(out: &mut BytesMut, change: &SchemaChange) {
    out.put_i32(SCHEMA_CHANGE);
    put_change(out, change);
}

/// The body of an EVENT frame.
pub(super) fn schema_event(out: &mut BytesMut, change: &SchemaChange) {
    put_name("SCHEMA_CHANGE", out);
    put_change(out, change);
}

fn put_change(out: &mut BytesMut, change: &SchemaChange) {
    let kind = match change.kind {
        ChangeKind::Created => "CREATED",
        ChangeKind::Updated => "UPDATED",
        ChangeKind::Dropped => "DROPPED",
    };
    put_name(kind, out);
    let (target, name) = match &change.target {
        ChangeTarget::Keyspace => ("KEYSPACE", None),
        ChangeTarget::Table(name) => ("TABLE", Some(name)),
        ChangeTarget::Type(name) => ("TYPE", Some(name)),
    };
    put_name(target, out);
    put_name(&change.keyspace, out);
    if let Some(name) = name {
        put_name(name, out);
    }
}

pub(super) fn rows(out: &mut BytesMut, rows: &Rows, skip_metadata: bool) {
    out.put_i32(ROWS);
    let mut flags = 0;
    if rows.paging_state.is_some() {
        flags |= MORE_PAGES;
    }
    if skip_metadata {
        flags |= NO_METADATA;
    }
    put_metadata(out, flags, &rows.specs, rows.paging_state.as_deref());
    out.put_u32(rows.body.count);
    out.put_slice(&rows.body.bytes);
}

pub(super) fn prepared(out: &mut BytesMut, version: u8, statement: &Statement, mark_conditional: Mark) {
    let prepared = &statement.prepared;
    out.put_i32(PREPARED);
    out.put_u16(statement.id.len() as u16);
    out.put_slice(&statement.id);
    let marked = prepared.is_conditional() && mark_conditional == Mark::Wanted;
    let flags = if marked { CONDITIONAL } else { 0 };
    let specs = prepared.bind_specs();
    let global = global_spec(specs);
    out.put_i32(flags | if global { GLOBAL_SPEC } else { 0 });
    out.put_i32(specs.len() as i32);
    if version >= 4 {
        let key = prepared.partition_key_markers();
        out.put_i32(key.len() as i32);
        key.iter().for_each(|index| out.put_u16(*index));
    }
    put_specs(out, specs, global);
    match prepared.result_specs() {
        Some(specs) => put_metadata(out, flags, specs, None),
        None => {
            out.put_i32(flags | NO_METADATA);
            out.put_i32(0);
        }
    }
}

/// Whether a client asked for the mark on conditional statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Mark {
    #[default]
    NotWanted,
    Wanted,
}

fn put_metadata(out: &mut BytesMut, flags: i32, specs: &[ColumnSpec<'static>], paging: Option<&[u8]>) {
    let global = flags & NO_METADATA == 0 && global_spec(specs);
    out.put_i32(flags | if global { GLOBAL_SPEC } else { 0 });
    out.put_i32(specs.len() as i32);
    if let Some(state) = paging {
        out.put_i32(state.len() as i32);
        out.put_slice(state);
    }
    if flags & NO_METADATA == 0 {
        put_specs(out, specs, global);
    }
}

fn global_spec(specs: &[ColumnSpec<'static>]) -> bool {
    specs
        .split_first()
        .is_some_and(|(first, rest)| rest.iter().all(|spec| spec.table_spec() == first.table_spec()))
}

fn put_specs(out: &mut BytesMut, specs: &[ColumnSpec<'static>], global: bool) {
    if global && let Some(first) = specs.first() {
        put_name(first.table_spec().ks_name(), out);
        put_name(first.table_spec().table_name(), out);
    }
    for spec in specs {
        if !global {
            put_name(spec.table_spec().ks_name(), out);
            put_name(spec.table_spec().table_name(), out);
        }
        put_name(spec.name(), out);
        write_option(spec.typ(), out);
    }
}
