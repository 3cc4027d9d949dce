//! Snapshots: the state of a long history every so many events, so that a load need not start at the beginning.
//!
//! A snapshot only saves time. One that is missing, of another version or unreadable is passed over and the history is
//! read from its beginning; one that cannot be saved is tried again some events later.
use std::fmt;
use std::num::NonZeroU32;

use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlTimestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::statements::Preparing;
use crate::{Aggregate, Error, EventStore};

/// An aggregate whose state can be stored.
pub trait Snapshot: Aggregate + Serialize + DeserializeOwned {
    /// The version of its stored form. Raise it with every change of the type's fields or of their meaning: snapshots
    /// of other versions are passed over.
    const VERSION: i32;
}

/// How a command handler keeps snapshots of its aggregates.
pub(crate) struct Snapshots<A> {
    every: i64,
    version: i32,
    write: fn(&A) -> Result<String, serde_json::Error>,
    read: fn(&str) -> Result<A, serde_json::Error>,
}

impl<A: Snapshot> Snapshots<A> {
    pub(crate) fn every(events: NonZeroU32) -> Self {
        Self {
            every: events.get().into(),
            version: A::VERSION,
            write: |aggregate| serde_json::to_string(aggregate),
            read: |state| serde_json::from_str(state),
        }
    }
}

impl<A: Aggregate> Snapshots<A> {
    /// The newest usable state at or before sequence `until`, with its sequence number.
    pub(crate) async fn newest(
        &self,
        store: &EventStore,
        aggregate_id: Uuid,
        until: i64,
    ) -> Result<Option<(A, i64)>, Error> {
        let Some(found) = store.newest_snapshot(aggregate_id, until).await? else { return Ok(None) };
        if found.aggregate_type != A::TYPE || found.state_version != self.version {
            return Ok(None);
        }
        match (self.read)(&found.state) {
            Ok(aggregate) => Ok(Some((aggregate, found.sequence_number))),
            Err(error) => {
                tracing::warn!(%aggregate_id, %error, "a snapshot cannot be read: the whole history is read instead");
                Ok(None)
            }
        }
    }

    /// Saves the state if an append from `before` to `after` has passed a multiple of `every`. The append is done, so
    /// a failure here is only told.
    pub(crate) async fn keep(
        &self,
        store: &EventStore,
        aggregate: &A,
        id: Uuid,
        (before, after): (i64, i64),
    ) {
        if before / self.every == after / self.every {
            return;
        }
        let saved = match (self.write)(aggregate) {
            Ok(state) => store.save_snapshot(id, after, (A::TYPE, self.version, &state)).await,
            Err(source) => Err(Error::Payload {
                event_type: format!("snapshot of {}", A::TYPE),
                event_version: self.version,
                source,
            }),
        };
        if let Err(error) = saved {
            tracing::warn!(aggregate_id = %id, %error, "no snapshot was saved; the next one is due later");
        }
    }
}

impl<A> Clone for Snapshots<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Snapshots<A> {}

impl<A> fmt::Debug for Snapshots<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshots").field("every", &self.every).field("version", &self.version).finish()
    }
}

/// Prepared when the first snapshot is asked for: a store without snapshots needs no table for them.
#[derive(Debug)]
pub(crate) struct SnapshotStatements {
    newest: PreparedStatement,
    save: PreparedStatement,
    forget: PreparedStatement,
}

#[derive(Debug, scylla::DeserializeRow)]
struct Found {
    sequence_number: i64,
    aggregate_type: String,
    state_version: i32,
    state: String,
}

impl EventStore {
    async fn newest_snapshot(&self, aggregate_id: Uuid, until: i64) -> Result<Option<Found>, Error> {
        const DOING: &str = "read the snapshot of the aggregate";
        let statement = &self.snapshot_statements().await?.newest;
        let result =
            self.execute(statement, (aggregate_id, until)).await.map_err(|e| Error::database(DOING, e))?;
        let rows = result.into_rows_result().map_err(|e| Error::database(DOING, e))?;
        rows.maybe_first_row::<Found>().map_err(|e| Error::database(DOING, e))
    }

    async fn save_snapshot(
        &self,
        aggregate_id: Uuid,
        sequence: i64,
        (aggregate_type, version, state): (&str, i32, &str),
    ) -> Result<(), Error> {
        const DOING: &str = "save a snapshot of the aggregate";
        let statements = self.snapshot_statements().await?;
        let now = CqlTimestamp(self.options.clock.now().as_millisecond());
        let values = (aggregate_id, sequence, aggregate_type, version, state, now);
        self.execute(&statements.save, values).await.map_err(|e| Error::database(DOING, e))?;
        let older = (aggregate_id, sequence);
        self.execute(&statements.forget, older).await.map_err(|e| Error::database(DOING, e))?;
        Ok(())
    }

    async fn snapshot_statements(&self) -> Result<&SnapshotStatements, Error> {
        self.snapshots.get_or_try_init(|| SnapshotStatements::prepare(self)).await
    }
}

impl SnapshotStatements {
    async fn prepare(store: &EventStore) -> Result<Self, Error> {
        let table = format!("{}.{}", store.options.keyspace, store.options.snapshots);
        let prepare = Preparing { session: &store.session, options: &store.options };
        Ok(Self {
            newest: prepare
                .read(&format!(
                    "SELECT sequence_number, aggregate_type, state_version, state FROM {table} \
                     WHERE aggregate_id = ? AND sequence_number <= ? LIMIT 1"
                ))
                .await?,
            save: prepare
                .read(&format!(
                    "INSERT INTO {table} (aggregate_id, sequence_number, aggregate_type, state_version, state, \
                     created_at) VALUES (?, ?, ?, ?, ?, ?)"
                ))
                .await?,
            forget: prepare
                .read(&format!("DELETE FROM {table} WHERE aggregate_id = ? AND sequence_number < ?"))
                .await?,
        })
    }
}
