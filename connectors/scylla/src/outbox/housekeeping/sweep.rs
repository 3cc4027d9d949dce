//! Deleting rows of the outbox, each by its whole primary key, and nothing that was written to it later.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use scylla::client::session::Session;
use scylla::serialize::SerializationError;
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;
use scylla::statement::prepared::PreparedStatement;
use weir_sdk::Error;

use super::names::Named;
use crate::reader::table::Table;
use crate::reader::time::Micros;
use crate::session::errors::Classify;
use crate::session::schema::quote;

/// Deletes that are on their way at a time: few, so that the application's own writes do not notice.
const AT_A_TIME: usize = 16;

/// Deletes rows.
pub struct Sweep {
    session: Arc<Session>,
    delete: PreparedStatement,
}

impl Sweep {
    /// Prepares to delete rows of this table.
    pub async fn prepare(session: Arc<Session>, table: &Table) -> Result<Self, Error> {
        let key: Vec<_> = table.primary_key().map(|column| format!("{} = ?", quote(column))).collect();
        let text = format!("DELETE FROM {} USING TIMESTAMP ? WHERE {}", table.quoted(), key.join(" AND "));
        let prepared = session.prepare(text).await;
        let mut delete =
            prepared.map_err(|error| error.classify().context("prepare the delete of housekeeping"))?;
        delete.set_is_idempotent(true);
        Ok(Self { session, delete })
    }

    /// Deletes these rows as they were written, and counts them. ScyllaDB takes no write from before the streams that
    /// are written to now, so what is older is deleted as of their begin, `since`.
    pub async fn delete(&self, rows: Vec<Named>, since: Micros) -> Result<u64, Error> {
        let single = rows.into_iter().filter_map(|row| Some((row.id.micros().max(since), row.key?)));
        let deletes = single.map(|(time, key)| async move {
            let deleted = self.session.execute_unpaged(&self.delete, Values { time, key }).await;
            deleted.map_err(|error| error.classify().context("delete a row that every consumer has passed"))
        });
        let deleted = stream::iter(deletes).buffer_unordered(AT_A_TIME);
        deleted.try_fold(0, async |count, _| Ok(count + 1)).await
    }
}

/// What is bound: the time, and the key as the server wrote it.
struct Values {
    time: Micros,
    key: Vec<Bytes>,
}

impl SerializeRow for Values {
    fn serialize(
        &self,
        _: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        let mut put = |value: &[u8]| {
            writer.make_cell_writer().set_value(value).map(drop).map_err(SerializationError::new)
        };
        put(&self.time.to_be_bytes())?;
        self.key.iter().try_for_each(|value| put(value))
    }

    fn is_empty(&self) -> bool {
        false
    }
}
