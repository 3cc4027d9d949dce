//! `SinkFixture`: what the battery needs to know of a sink's far side.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::super::battery::Disturbance;
use crate::error::Error;
use crate::record::Record;
use crate::sink::Sink;

/// A sink with its far side. The far side lives as long as the fixture; nothing is removed between checks.
#[async_trait]
pub trait SinkFixture: Send + Sync {
    /// Opens the sink, anew each time, on the same far side.
    async fn open(&self) -> Result<Arc<dyn Sink>, Error>;

    /// Everything that arrived so far, repeats too, in the order of arrival (per key at least), read by a reader that
    /// is independent of the sink. Origins do not matter. Of a sink whose order
    /// [converges](crate::Order::Converges): the last state of each key.
    async fn arrived(&self) -> Vec<Record>;

    /// What can be read back of a record: for example with the time in whole milliseconds. `None` where records of
    /// this kind are not for this sink.
    fn stored(&self, record: &Record) -> Option<Record> {
        Some(record.clone())
    }

    /// The same record made such that the far side refuses it by the record's own fault, however often it is sent.
    fn poison(&self, _record: Record) -> Option<Record> {
        None
    }

    /// Begins a trouble; `false` when this far side has no such means.
    async fn disturb(&self, _how: Disturbance) -> bool {
        false
    }

    /// Ends the trouble.
    async fn restore(&self) {}

    /// How many connections the far side sees open, so that it shows what a closed sink still holds.
    async fn connections(&self) -> Option<usize> {
        None
    }

    /// How long one call may take before it is dropped, and how long recovery may take.
    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }
}
