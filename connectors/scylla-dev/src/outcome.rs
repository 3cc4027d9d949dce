//! What goes between a connection and the execution of a statement.
//!
//! A connection calls, in this order:
//! * `statements::prepare(text, keyspace: Option<&str>, &Schema) -> Result<Prepared, DbError>`. `Prepared` tells
//!   `bind_specs() -> &Specs`, `partition_key_markers() -> &[u16]` (which markers make the partition key, empty when not
//!   all are known), `result_specs() -> Option<&Specs>`, `is_conditional() -> bool`, and
//!   `is_current(&Schema) -> bool` (else the client is told to prepare again);
//! * `execute::run(&Store, &Prepared, &[BoundValue], &QueryOptions) -> Result<Outcome, DbError>`, or
//!   `execute::run_batch(&Store, BatchKind, &[(Arc<Prepared>, Vec<BoundValue>)], &QueryOptions)`.
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use scylla_cql::Consistency;
use scylla_cql::frame::response::result::ColumnSpec;

/// Columns of a result or of bind markers; shared with the prepared statement.
pub type Specs = Arc<[ColumnSpec<'static>]>;

/// A value bound to a marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoundValue {
    /// The value as serialized for the marker's type; a slice of the frame.
    Set(Bytes),
    /// CQL null: deletes what it is assigned to.
    Null,
    /// Not sent: leaves what it would be assigned to as it is.
    Unset,
}

/// What a connection remembers between statements.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// Set by `USE`; unqualified names are looked up here.
    pub keyspace: Option<Arc<str>>,
}

/// What a client sends along with a statement.
#[derive(Debug, Clone, Default)]
pub struct QueryOptions {
    /// Rows to a page; `None` asks for all rows.
    pub page_size: Option<usize>,
    /// Where the page before ended; opaque to clients.
    pub paging_state: Option<Bytes>,
    /// The client's default write timestamp, microseconds.
    pub timestamp: Option<i64>,
    /// How many replicas must answer.
    pub consistency: Consistency,
    /// The same for the agreement on a condition.
    pub serial_consistency: Option<Consistency>,
}

/// What a batch of the protocol promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchKind {
    Logged,
    Unlogged,
    Counter,
}

/// What a statement did.
#[derive(Debug)]
pub enum Outcome {
    /// Done, nothing to show.
    Void,
    /// Rows to show.
    Rows(Rows),
    /// `USE`: unqualified names are looked up here from now on.
    SetKeyspace(Arc<str>),
    /// The schema is another one now; every registered client hears of it.
    SchemaChange(SchemaChange),
}

/// One page of rows, already encoded.
#[derive(Debug)]
pub struct Rows {
    /// What the columns are.
    pub specs: Specs,
    /// The encoded rows.
    pub body: RowsBody,
    /// Where the next page starts; `None` on the last page.
    pub paging_state: Option<Bytes>,
    /// How many partitions were looked for by their keys, those of an `IN` one by one.
    pub looked_for: u64,
}

impl Outcome {
    /// How many partitions a SELECT looked for by their keys.
    pub(crate) fn looked_for(&self) -> u64 {
        match self {
            Self::Rows(rows) => rows.looked_for,
            Self::Void | Self::SetKeyspace(_) | Self::SchemaChange(_) => 0,
        }
    }
}

/// Rows as they go over the wire: `[bytes]` after `[bytes]`.
#[derive(Debug, Default)]
pub struct RowsBody {
    /// Whole rows so far.
    pub count: u32,
    /// The values, each with its length, null as -1.
    pub bytes: BytesMut,
}

impl RowsBody {
    /// Appends a value to the row under way.
    pub fn put(&mut self, value: Option<&[u8]>) {
        put_value(&mut self.bytes, value);
    }

    /// Ends the row under way.
    pub fn end_row(&mut self) {
        self.count += 1;
    }
}

/// Writes a `[bytes]`: length and content, or -1 for null.
pub fn put_value(out: &mut impl BufMut, value: Option<&[u8]>) {
    match value {
        // Frames are limited far below 2 GiB, and so are values.
        Some(value) => {
            out.put_i32(i32::try_from(value.len()).unwrap_or(i32::MAX));
            out.put_slice(value);
        }
        None => out.put_i32(-1),
    }
}

/// A change of the schema, as clients are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaChange {
    /// What was done.
    pub kind: ChangeKind,
    /// To what.
    pub target: ChangeTarget,
    /// In which keyspace, or which keyspace.
    pub keyspace: String,
}

/// What was done to a part of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    Created,
    Updated,
    Dropped,
}

/// Which part of the schema changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeTarget {
    Keyspace,
    Table(String),
    Type(String),
}
