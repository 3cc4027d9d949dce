//! The hub: all that one process does on a cluster shares a session, and sources of one table share what they read.
//!
//! Each open source has a *seat* with a reader of its own: its own front, visits, memory of what it emitted, and
//! checkpoint, all as if it were alone. What seats share lies one layer below: pages of the log. They open the same
//! windows and the same visits, so that the second one finds what the first one asked for; and each decides by itself
//! what of a page it has emitted before. So a checkpoint is the same with and without neighbours, a late row reaches
//! every seat once by that seat's own books, and nothing has to be handed over when a seat falls behind or comes back:
//! it merely finds its next page kept, or not.
//!
//! * [`slots`]: sessions and readers by what they are of; [`failure`]: one who failed, for all who waited
//! * [`shared`]: what the seats of one reader share
//! * [`windows`], [`visited`]: where seats meet; [`ring`], [`reads`]: what is kept for those who come later

pub mod failure;
pub mod reads;
pub mod ring;
pub mod shared;
pub mod slots;
pub mod visited;
pub mod windows;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use scylla::client::session::Session;
use weir_sdk::Error;

use crate::change::ChangeConfig;
use crate::outbox::OutboxConfig;
use crate::reader::config::{SnapshotMode, StartAt};
use crate::reader::table::Table;
use crate::session::{SessionConfig, connect};
use shared::{Seat, Shared};
use slots::Slots;

/// Sessions by cluster, and readers by table and configuration. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Hub(Arc<Held>);

#[derive(Debug)]
struct Held {
    sessions: Slots<SessionConfig, Session>,
    /// A table that was altered is another one: what is selected may have changed.
    readers: Slots<(Told, Table), Shared>,
    kept: usize,
}

impl Default for Hub {
    fn default() -> Self {
        Self::keeping(shared::KEPT)
    }
}

impl Hub {
    /// Each reader keeps about so many bytes of each kind of read for seats that are a little behind.
    pub fn keeping(kept: usize) -> Self {
        Self(Arc::new(Held { sessions: Slots::default(), readers: Slots::default(), kept }))
    }

    /// How much each reader keeps.
    pub fn kept(&self) -> usize {
        self.0.kept
    }

    /// The session that this block describes; it is closed with the last who uses it. One that has lost all its
    /// connections is left to those who have it: the driver may wait ten seconds before it looks again, and whoever
    /// opens something need not.
    ///
    /// # Errors
    /// As [`connect()`].
    pub async fn session(&self, config: &SessionConfig) -> Result<Arc<Session>, Error> {
        let key = SessionConfig { page_size: 0, ..config.clone() };
        self.0.sessions.get(key, is_connected, connect(config)).await
    }

    /// A seat at the reader of this table; `make` makes the reader for the first one. Reading stops with the last one.
    ///
    /// # Errors
    /// Of `make`.
    pub async fn seat<F>(&self, told: Told, table: &Table, make: F) -> Result<Seat, Error>
    where
        F: Future<Output = Result<Arc<Shared>, Error>>,
    {
        self.0.readers.get((told, table.clone()), |_| true, make).await.map(Seat::take)
    }
}

fn is_connected(session: &Session) -> bool {
    session.get_cluster_state().get_nodes_info().iter().any(|node| node.is_connected())
}

/// What a source is told of its log. Those that are told the same share a reader.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// That of an outbox.
    Outbox(Box<OutboxConfig>),
    /// Every change.
    Changes(Box<ChangeConfig>),
}

impl Told {
    /// What an outbox source is told; where to begin, and what to tell others, is each seat's own matter.
    pub fn outbox(config: &OutboxConfig) -> Self {
        let (start, snapshot) = (StartAt::default(), SnapshotMode::default());
        let (snapshot_from, housekeeping) = (None, None);
        let config = OutboxConfig { start, snapshot, snapshot_from, housekeeping, ..config.clone() };
        Self::Outbox(Box::new(config))
    }

    /// What a source of changes is told, likewise.
    pub fn changes(config: &ChangeConfig) -> Self {
        Self::Changes(Box::new(ChangeConfig { start: StartAt::default(), ..config.clone() }))
    }
}
