//! `Transform`: a pure step between source and sinks.

use crate::error::Error;
use crate::record::Record;

/// One record to none, one or many. It has no state and does no input or output.
pub trait Transform: Send + Sync {
    /// Pushes what the record becomes. The record is a cheap clone; the host keeps the one that was read.
    ///
    /// # Errors
    /// The record's own fault: it goes to the dead letters as it was read, and what was pushed for it is discarded.
    fn apply(&self, record: Record, out: &mut Vec<Record>) -> Result<(), Error>;
}
