//! What a statement asks storage to do, and the packed form rows have in it.
//!
//! A [`Mutation`] is everything one statement or batch writes to one partition. Rows in it are [`RowPatch`]es: a patch
//! is a row in storage format, so that an insert of a new row stores the patch as it is, and everything else is one
//! [`merge`] of two packed rows. [`row`] is the format, [`merge`] the rule by which the last write wins.
mod assemble;
mod live;
pub mod merge;
pub mod patch;
pub mod row;

use std::sync::Arc;

pub use assemble::{Lists, assemble};
pub use live::LiveRow;
pub use patch::RowPatch;
pub use row::{Cell, CellKind, PackedRow, Stamp, Tombstone};

use crate::schema::{ClusteringKey, ClusteringRange, PartitionKey, Table};

/// What one statement or batch writes to one partition.
#[derive(Debug, Clone)]
pub struct Mutation {
    /// The table as it was when the statement was prepared.
    pub table: Arc<Table>,
    /// Which partition.
    pub key: PartitionKey,
    /// Deletes all that is older in the partition.
    pub tombstone: Option<Tombstone>,
    /// Deletes ranges of rows.
    pub range_tombstones: Vec<(ClusteringRange, Tombstone)>,
    /// Changes of static columns.
    pub static_row: Option<RowPatch>,
    /// Changes of rows; a row may occur more than once.
    pub rows: Vec<(ClusteringKey, RowPatch)>,
}

impl Mutation {
    /// A mutation that changes nothing yet.
    pub fn new(table: Arc<Table>, key: PartitionKey) -> Self {
        Self { table, key, tombstone: None, range_tombstones: Vec::new(), static_row: None, rows: Vec::new() }
    }
}
