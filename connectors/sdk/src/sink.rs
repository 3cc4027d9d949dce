//! `Sink`: where records go.

use async_trait::async_trait;

use crate::error::{Error, WriteError};
use crate::record::Records;

/// An open sink. Its middleware is a sink that owns a sink.
///
/// # Order
/// The host has one write in flight per lane and never the same key in two lanes, so a sink keeps order per key by
/// keeping it inside one call: when a record fails in a way that will be tried again, the later records of its key in
/// that call come back as failed too. A record that fails by its own fault ([`ErrorKind::Record`]) holds up nobody.
///
/// [`ErrorKind::Record`]: crate::ErrorKind::Record
#[async_trait]
pub trait Sink: Send + Sync {
    /// `Ok` means that every record is durable. MUST tolerate the same records again.
    ///
    /// The future may be dropped at its deadline. What it had begun may still take effect, but before any later write
    /// of the same key; what it still holds is bounded, and given back by [`close`](Sink::close).
    async fn write(&self, records: Records) -> Result<(), WriteError>;

    /// Is the far side there, and would it take records?
    async fn probe(&self) -> Result<(), Error>;

    /// What this sink asks of the order of its records.
    fn order(&self) -> Order {
        Order::Kept
    }

    /// Gives back what it holds. No write is in flight or follows.
    async fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// What a sink asks of the order of its records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Records of one key take effect in the order of the writes.
    #[default]
    Kept,
    /// Any order and any repeats end in the same state, as with writes that carry their own time.
    Converges,
}
