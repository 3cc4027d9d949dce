//! All data, in memory: partitions in token order, in each a B-tree of packed rows in clustering order.
//!
//! [`Store`] is what the layers above hold. Reads run under [`Store::read`], writes and everything that reads before it
//! writes under [`Store::write`]: one lock, held for one statement or one page. Deletions are applied to what they cover
//! when they arrive and remembered for what arrives late, so reading never looks at tombstones, only at expiry.
mod budget;
mod partition;
mod ranges;
mod rows;
mod store;
mod sweep;
mod tables;
mod view;

pub use crate::mutation::LiveRow;
pub use store::Store;
pub use view::{Order, PartitionView, Snapshot, TokenRange};

#[cfg(test)]
mod tests;
