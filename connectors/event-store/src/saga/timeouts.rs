//! Time-outs that sagas wait for, in a table, so that they outlive the process that set them.
use jiff::Timestamp;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlTimestamp;
use uuid::Uuid;

use crate::statements::Preparing;
use crate::{Error, EventStore};

/// Time-outs of one kind of saga are spread over so many partitions.
const BUCKETS: i32 = 8;
/// At most so many of one partition are given at a time.
const AT_A_TIME: i32 = 100;

/// The time-outs of one kind of saga.
#[derive(Debug)]
pub(super) struct Timeouts {
    store: EventStore,
    saga_type: &'static str,
    set: PreparedStatement,
    due: PreparedStatement,
    forget: PreparedStatement,
}

/// A time-out that is due.
#[derive(Debug, scylla::DeserializeRow)]
pub(super) struct Timeout {
    bucket: i32,
    due: CqlTimestamp,
    /// Whose it is.
    pub(super) saga_id: Uuid,
    /// The step that set it.
    pub(super) step_id: Uuid,
}

impl Timeouts {
    pub(super) async fn open(store: EventStore, saga_type: &'static str) -> Result<Self, Error> {
        let table = format!("{}.{}", store.options.keyspace, store.options.saga_timeouts);
        let prepare = Preparing { session: &store.session, options: &store.options };
        let set =
            format!("INSERT INTO {table} (saga_type, bucket, due, saga_id, step_id) VALUES (?, ?, ?, ?, ?)");
        let due = format!(
            "SELECT bucket, due, saga_id, step_id FROM {table} WHERE saga_type = ? AND bucket = ? AND due <= ? LIMIT ?"
        );
        let forget = format!(
            "DELETE FROM {table} WHERE saga_type = ? AND bucket = ? AND due = ? AND saga_id = ? AND step_id = ?"
        );
        let (set, due) = (prepare.read(&set).await?, prepare.read(&due).await?);
        let forget = prepare.read(&forget).await?;
        Ok(Self { store, saga_type, set, due, forget })
    }

    /// Setting the same one again changes nothing.
    pub(super) async fn set(&self, saga_id: Uuid, step_id: Uuid, due: Timestamp) -> Result<(), Error> {
        let (_, low) = saga_id.as_u64_pair();
        let bucket = (low % u64::from(BUCKETS.unsigned_abs())) as i32;
        let values = (self.saga_type, bucket, CqlTimestamp(due.as_millisecond()), saga_id, step_id);
        let set = self.store.execute(&self.set, values).await;
        set.map(drop).map_err(|e| Error::database("set a time-out", e))
    }

    /// Those that are due by the clock of the store, the oldest of each partition first.
    pub(super) async fn due(&self) -> Result<Vec<Timeout>, Error> {
        const DOING: &str = "look for time-outs that are due";
        let now = CqlTimestamp(self.store.options.clock.now().as_millisecond());
        let mut found = Vec::new();
        for bucket in 0..BUCKETS {
            let values = (self.saga_type, bucket, now, AT_A_TIME);
            let answer =
                self.store.execute(&self.due, values).await.map_err(|e| Error::database(DOING, e))?;
            let rows = answer.into_rows_result().map_err(|e| Error::database(DOING, e))?;
            for row in rows.rows::<Timeout>().map_err(|e| Error::database(DOING, e))? {
                found.push(row.map_err(|e| Error::database(DOING, e))?);
            }
        }
        Ok(found)
    }

    pub(super) async fn forget(&self, timeout: &Timeout) -> Result<(), Error> {
        let Timeout { bucket, due, saga_id, step_id } = timeout;
        let values = (self.saga_type, bucket, due, saga_id, step_id);
        let forgotten = self.store.execute(&self.forget, values).await;
        forgotten.map(drop).map_err(|e| Error::database("forget a time-out", e))
    }
}
