//! `Source`: where records come from.

use std::sync::Arc;

use async_trait::async_trait;

use crate::checkpoint::{Batch, Checkpoint};
use crate::error::Error;
use crate::record::Record;

/// An open source. It was opened at a checkpoint and goes on from there.
#[async_trait]
pub trait Source: Send {
    /// What this source is, and where it begins; asked once, before the first poll.
    fn start(&self) -> Start;

    /// Waits for the next batch; `None` when the source has ended.
    ///
    /// The batch fits `room`, except that a single record larger than the room comes alone. A batch without records
    /// moves the checkpoint on, and MUST come at least every second while the source is idle, so that a checkpoint
    /// never ages. After an error the next call goes on where the last batch ended. The future is dropped only to
    /// close.
    async fn poll(&mut self, room: Room) -> Result<Option<Batch>, Error>;

    /// What the last batch lacks because it could not be read as it should: asked after every batch, and covered by the
    /// batch's checkpoint. It counts as refused by the source, and goes to the dead letters.
    fn refused(&mut self) -> Vec<Refused> {
        Vec::new()
    }

    /// Who wants to be told what is durable and saved; runs beside `poll`.
    fn commits(&self) -> Option<Arc<dyn Commits>> {
        None
    }

    /// Gives back what it holds.
    async fn close(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }
}

/// What a source is, and where it begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// Names what is read beyond its configuration, as a table's id does: a checkpoint of another identity is refused.
    pub identity: String,
    /// The resolved begin of partitions that had no checkpoint; the host saves it before the first poll, so that
    /// `latest` means the same after a crash.
    pub checkpoint: Checkpoint,
}

/// What a source read, and of which it could make no record as it should.
#[derive(Clone, Debug)]
pub struct Refused {
    /// As much as could be read; its origin at least.
    pub record: Record,
    /// Why it is no more: an error of kind [`Record`](crate::ErrorKind::Record).
    pub error: Error,
}

/// How much a poll may return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// At most so many records; at least 1.
    pub records: usize,
    /// At most so many bytes of [`Record::size`](crate::Record::size); at least 1.
    pub bytes: usize,
}

/// Told what needs never be read again.
#[async_trait]
pub trait Commits: Send + Sync {
    /// Everything up to `checkpoint` is durable in the sink or the dead letters, and the checkpoint is saved.
    async fn commit(&self, checkpoint: &Checkpoint) -> Result<(), Error>;
}
