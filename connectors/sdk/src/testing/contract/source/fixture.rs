//! `SourceFixture`: what the battery needs to know of a source's far side.

use std::time::Duration;

use async_trait::async_trait;

use super::super::battery::Disturbance;
use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::record::Record;
use crate::source::Source;

/// A source with its far side, which holds some dozens of records, no two with the same key and value.
#[async_trait]
pub trait SourceFixture: Send + Sync {
    /// Opens the source at `resume`, anew each time, on the same far side; without a checkpoint at the earliest.
    async fn open(&self, resume: Checkpoint) -> Result<Box<dyn Source>, Error>;

    /// What the far side holds and the source must read, each key's records in their order. Key and value must come as
    /// they are here; headers named here must come, others may; a time of zero is not compared; origins do not matter.
    async fn written(&self) -> Vec<Record>;

    /// Writes some more records at the far side, of keys old and new; `false` when it cannot.
    async fn append(&self) -> bool {
        false
    }

    /// Begins a trouble; `false` when this far side has no such means.
    async fn disturb(&self, _how: Disturbance) -> bool {
        false
    }

    /// Ends the trouble.
    async fn restore(&self) {}

    /// Offsets age while nothing is written, as in a log that expires, so batches without records must move them.
    fn ages(&self) -> bool {
        false
    }

    /// How long the source may take to show a record, to recover, or to close.
    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }
}
