//! The schema of a CDC log, derived from its base table.
use std::sync::Arc;

use scylla_cql::frame::response::result::{CollectionType, ColumnType, NativeType};
use uuid::Uuid;

use super::changes::UNASSIGNED;
use super::table::log_name;
use super::{Column, ColumnKind, Partitioner, Schema, Table, TableOptions};
use crate::error::DbError;
use crate::value::order::Direction;
use crate::value::{CqlType, types};

/// A base table's log, and where in it each column of the base table goes.
#[derive(Debug, Clone)]
pub struct CdcLog {
    /// The log table.
    pub table: Arc<Table>,
    /// Column id of `cdc$operation`.
    pub operation: u16,
    /// Column id of `cdc$ttl`.
    pub ttl: u16,
    /// Column id of `cdc$end_of_batch`.
    pub end_of_batch: u16,
    /// By column id of the base table.
    pub columns: Vec<LogColumns>,
}

/// The log's columns, by id, for one column of the base table.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogColumns {
    /// Of the value.
    pub value: u16,
    /// Of `cdc$deleted_…`; columns that are not part of the key have it.
    pub deleted: u16,
    /// Of `cdc$deleted_elements_…`; collections that are not frozen have it.
    pub deleted_elements: u16,
}

impl CdcLog {
    pub(super) fn new(base: &Table, table: Arc<Table>) -> Self {
        let id = |name: &str| table.column(name).map_or(u16::MAX, |(_, column)| column.id);
        let mut columns = vec![LogColumns::default(); usize::from(base.next_column)];
        for column in &base.columns {
            columns[usize::from(column.id)] = LogColumns {
                value: id(&column.name),
                deleted: id(&format!("cdc$deleted_{}", column.name)),
                deleted_elements: id(&format!("cdc$deleted_elements_{}", column.name)),
            };
        }
        let (operation, ttl, end_of_batch) = (id("cdc$operation"), id("cdc$ttl"), id("cdc$end_of_batch"));
        Self { table, operation, ttl, end_of_batch, columns }
    }
}

/// What a client wants to change in a log, and may not.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wish {
    Columns,
    Names,
}

impl Wish {
    /// Why not.
    pub(super) fn refusal(self, schema: &Schema, log: &Table) -> &'static str {
        match (self, is_in_use(schema, log)) {
            (Self::Columns, true) => {
                "You cannot modify the set of columns of a CDC log table directly. Modify the base table instead."
            }
            (Self::Columns, false) => {
                "You cannot modify the set of columns of a CDC log table directly. Although the base table has \
                 deactivated CDC, this table will continue being a CDC log table until it is dropped. If you want to modify \
                 the columns in it, you can only do that by reenabling CDC on the base table, which will reattach this log \
                 table. Then you will be able to modify the columns in the base table, and that will have effect on the log \
                 table too. Modifying the columns of a CDC log table directly is never allowed."
            }
            (Self::Names, true) => "Cannot rename a column of a CDC log table.",
            (Self::Names, false) => {
                "You cannot rename a column of a CDC log table. Although the base table has deactivated CDC, this table will \
                 continue being a CDC log table until it is dropped."
            }
        }
    }
}

/// Whether a table is the log of one that has CDC enabled, and not one left over from before it was disabled.
pub(super) fn is_in_use(schema: &Schema, log: &Table) -> bool {
    let logs = schema.tables().filter_map(|base| base.cdc_log.as_ref());
    log.is_cdc_log() && logs.into_iter().any(|used| used.table.id == log.id)
}

/// For how long a name that was dropped cannot be had again, µs.
const DROP_LEEWAY: i64 = 5_000_000;

/// The log that `base` needs, if CDC is enabled for it: a new one without an id, or the present one (in use, or left
/// over from before CDC was disabled) with its columns brought in line.
pub(super) fn plan(schema: &Schema, base: &Table) -> Result<Option<Table>, DbError> {
    let name = log_name(&base.name);
    let existing = schema.keyspace(&base.keyspace)?.tables.get(name.as_str());
    if !base.options.cdc.enabled {
        return Ok(None);
    }
    match existing {
        Some(log) if log.is_cdc_log() => synced(log, base, schema.since).map(Some),
        Some(_) => Err(DbError::invalid(format!(
            "Cannot create CDC log table for table {}.{} because a table of name {}.{name} already exists",
            base.keyspace, base.name, base.keyspace
        ))),
        None => Ok(Some(fresh(base, name))),
    }
}

fn fresh(base: &Table, name: String) -> Table {
    let mut log = Table {
        id: UNASSIGNED,
        uuid: Uuid::new_v4(),
        keyspace: Arc::clone(&base.keyspace),
        name: name.into(),
        columns: Vec::new(),
        partition_columns: 1,
        clustering_columns: 2,
        next_column: 0,
        options: options(base),
        partitioner: Partitioner::Cdc,
        dropped: Vec::new(),
        cdc_log: None,
    };
    for (name, kind, typ) in columns(base) {
        push(&mut log, &name, kind, typ);
    }
    super::checks::sort_columns(&mut log.columns);
    log
}

/// Keeps ids of columns that stay, so that rows of before stay readable.
///
/// # Errors
/// When a column of that name was dropped a moment before `now`: writes that are under way may still hold it.
fn synced(log: &Table, base: &Table, now: i64) -> Result<Table, DbError> {
    let mut log = log.clone();
    log.dropped.retain(|(_, until)| *until > now);
    let too_soon = std::mem::take(&mut log.dropped);
    let wanted = columns(base);
    let stays =
        |column: &Column| wanted.iter().any(|(name, _, typ)| *name == *column.name && *typ == column.typ);
    let lost = log.columns.extract_if(.., |column| !stays(column));
    log.dropped = lost.map(|column| (column.name, now + DROP_LEEWAY)).collect();
    for (name, kind, typ) in wanted {
        if log.column(&name).is_some() {
            continue;
        }
        if let Some((_, until)) = too_soon.iter().find(|(dropped, _)| **dropped == *name) {
            let seconds = (until - now) / 1_000_000 + 1;
            return Err(DbError::invalid(format!(
                "Cannot add column {name} because a column with the same name was dropped too recently. \
                 Please retry after {seconds} seconds"
            )));
        }
        push(&mut log, &name, kind, typ);
    }
    log.dropped.extend(too_soon);
    super::checks::sort_columns(&mut log.columns);
    Ok(log)
}

fn push(log: &mut Table, name: &str, kind: ColumnKind, typ: CqlType) {
    let id = log.next_column;
    log.next_column += 1;
    log.columns.push(Column { id, name: Arc::from(name), kind, typ, direction: Direction::Ascending });
}

fn options(base: &Table) -> TableOptions {
    let mut options = TableOptions {
        comment: format!("CDC log for {}.{}", base.keyspace, base.name),
        ..TableOptions::default()
    };
    let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    let caching = [("enabled", "false"), ("keys", "NONE"), ("rows_per_partition", "NONE")];
    options.maps.insert("caching", owned(&caching));
    let mut compaction = owned(&[("class", "TimeWindowCompactionStrategy")]);
    let ttl = base.options.cdc.ttl;
    if ttl > 0 {
        options.gc_grace_seconds = 0;
        // As many windows as make 24 files.
        let window = ttl.div_ceil(24);
        compaction.extend([
            ("compaction_window_size".to_owned(), window.div_ceil(60).to_string()),
            ("compaction_window_unit".to_owned(), "MINUTES".to_owned()),
            ("expired_sstable_check_frequency_seconds".to_owned(), (window / 2).max(1).to_string()),
        ]);
    }
    options.maps.insert("compaction", compaction);
    options
}

/// All columns of the log, key columns first.
fn columns(base: &Table) -> Vec<(String, ColumnKind, CqlType)> {
    use ColumnKind as K;
    use NativeType as N;
    let native = ColumnType::Native;
    let mut columns = vec![
        ("cdc$stream_id".to_owned(), K::PartitionKey, native(N::Blob)),
        ("cdc$time".to_owned(), K::Clustering, native(N::Timeuuid)),
        ("cdc$batch_seq_no".to_owned(), K::Clustering, native(N::Int)),
        ("cdc$operation".to_owned(), K::Regular, native(N::TinyInt)),
        ("cdc$ttl".to_owned(), K::Regular, native(N::BigInt)),
    ];
    for column in &base.columns {
        columns.push((column.name.to_string(), K::Regular, value_type(&column.typ)));
        if matches!(column.kind, K::PartitionKey | K::Clustering) {
            continue;
        }
        columns.push((format!("cdc$deleted_{}", column.name), K::Regular, native(N::Boolean)));
        if let Some(typ) = deleted_elements_type(&column.typ) {
            columns.push((format!("cdc$deleted_elements_{}", column.name), K::Regular, typ));
        }
    }
    // Last, as it is what is written last to a log row.
    columns.push(("cdc$end_of_batch".to_owned(), K::Regular, native(N::Boolean)));
    columns
}

/// What a base column's values are in the log: frozen, a list as a map by time-uuid.
fn value_type(typ: &CqlType) -> CqlType {
    match typ {
        ColumnType::Collection { frozen: false, typ: CollectionType::List(item) } => {
            let key = Box::new(ColumnType::Native(NativeType::Timeuuid));
            ColumnType::Collection { frozen: true, typ: CollectionType::Map(key, item.clone()) }
        }
        typ if types::is_multi_cell(typ) => types::frozen(typ),
        typ => typ.clone(),
    }
}

fn deleted_elements_type(typ: &CqlType) -> Option<CqlType> {
    let key = match typ {
        ColumnType::Collection { frozen: false, typ } => match typ {
            CollectionType::Set(key) | CollectionType::Map(key, _) => key.clone(),
            _ => Box::new(ColumnType::Native(NativeType::Timeuuid)),
        },
        ColumnType::UserDefinedType { frozen: false, .. } => {
            Box::new(ColumnType::Native(NativeType::SmallInt))
        }
        _ => return None,
    };
    Some(ColumnType::Collection { frozen: true, typ: CollectionType::Set(key) })
}
