//! How much memory the tables may take: above it writes are refused, so that the process does not die of them.
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{DbError, ErrorCode};
use crate::mutation::{CellKind, Mutation, RowPatch};

/// The bytes that rows, keys and tombstones may take together, as far as they can be counted.
#[derive(Debug)]
pub(super) struct Budget(AtomicUsize);

impl Budget {
    pub(super) fn unlimited() -> Self {
        Self(AtomicUsize::new(usize::MAX))
    }

    pub(super) fn set(&self, bytes: usize) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn is_spent(&self, used: usize) -> bool {
        used >= self.bytes()
    }

    /// Refuses what would add to tables that are full. Deletions go on, as they free memory; but they leave tombstones
    /// and CDC log rows behind, so that even they end an eighth above.
    pub(super) fn check(&self, used: usize, mutations: &[Mutation]) -> Result<(), DbError> {
        let budget = self.bytes();
        if used < budget || (used < budget.saturating_add(budget / 8) && !mutations.iter().any(adds)) {
            return Ok(());
        }
        // What drivers know as "later, perhaps": they neither take the node for dead nor the statement for wrong.
        let text = format!(
            "The tables take {used} bytes of the {budget} that this server may use: delete, truncate or drop something, \
             wait for rows to expire, or start the server with a larger memory budget"
        );
        Err(DbError::new(ErrorCode::Overloaded, text))
    }
}

fn adds(mutation: &Mutation) -> bool {
    let patches = mutation.static_row.iter().chain(mutation.rows.iter().map(|(_, patch)| patch));
    patches.into_iter().any(|patch: &RowPatch| {
        patch.row().marker().is_some() || patch.row().cells().any(|cell| cell.kind == CellKind::Live)
    })
}
