//! What is asked of the checkpoint table, and its answers.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use scylla::SerializeRow;
use scylla::client::session::Session;
use scylla::errors::SerializationError;
use scylla::response::PagingState;
use scylla::response::query_result::QueryResult;
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;
use scylla::statement::SerialConsistency;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlTimestamp, CqlValue, Row};
use uuid::Uuid;
use weir_sdk::{Checkpoint, Error, Partition, TaskId};

use super::config::CheckpointConfig;
use super::slots::{Change, Slots};
use super::table;
use crate::session::errors::{Classify, shape};

/// A session and what is asked over it.
pub struct Statements {
    session: Arc<Session>,
    serial: SerialConsistency,
    select: PreparedStatement,
    claim: PreparedStatement,
    head: PreparedStatement,
    slot: PreparedStatement,
}

/// What the table holds of a task.
#[derive(Debug, Default)]
pub struct Found {
    /// Of which source; `None` before the first save.
    pub identity: Option<String>,
    /// Who has the task, and what they say of themselves.
    pub owner: Option<(Uuid, String)>,
    /// How often it was saved.
    pub saves: i64,
    /// Where each partition stands,
    pub checkpoint: Checkpoint,
    /// and in which row.
    pub slots: Slots,
}

/// One save, or a part of a large one.
pub struct Save<'a> {
    /// Whose.
    pub task: &'a TaskId,
    /// Of which source.
    pub identity: &'a str,
    /// Who saves.
    pub owner: Uuid,
    /// How often it was saved, with this one.
    pub saves: i64,
}

type Columns =
    (Option<String>, Option<Uuid>, Option<String>, Option<i64>, Option<i32>, Option<String>, Option<Bytes>);

impl Statements {
    /// Looks whether the table will do, and prepares.
    ///
    /// # Errors
    /// What the database answers, and `Config` with the statement that repairs the table.
    pub async fn prepare(session: Arc<Session>, config: &CheckpointConfig) -> Result<Self, Error> {
        table::check(&session, config).await?;
        let (table, (serial, reading)) = (table::quoted(config), config.serial());
        let prepare = async |text: String| {
            let prepared = session.prepare(text).await;
            let mut prepared = prepared.map_err(|error| error.classify().context("prepare a statement"))?;
            prepared.set_serial_consistency(Some(serial));
            Ok::<_, Error>(prepared)
        };
        let task = "WHERE pipeline = ? AND sink = ?";
        let columns = "identity, owner, holder, saves, slot, source_partition, source_offset";
        let mut select = prepare(format!("SELECT {columns} FROM {table} {task}")).await?;
        select.set_consistency(reading);
        let claim = prepare(format!("UPDATE {table} SET owner = ?, holder = ? {task} IF owner = ?")).await?;
        let head = format!("UPDATE {table} SET identity = ?, saves = ?, saved_at = ? {task} IF owner = ?");
        let head = prepare(head).await?;
        let slot = format!("UPDATE {table} SET source_partition = ?, source_offset = ? {task} AND slot = ?");
        let slot = prepare(slot).await?;
        Ok(Self { session, serial, select, claim, head, slot })
    }

    /// Looks whether the table still will do.
    ///
    /// # Errors
    /// `Config` with the statement that repairs it.
    pub async fn check(&self, config: &CheckpointConfig) -> Result<(), Error> {
        table::check(&self.session, config).await
    }

    /// Reads all of a task, with every write that was decided before.
    pub async fn read(&self, task: &TaskId) -> Result<Found, Error> {
        let (mut found, mut state) = (Found::default(), PagingState::start());
        loop {
            let page = self.session.execute_single_page(&self.select, (&task.pipeline, &task.sink), state);
            let (answer, next) =
                Box::pin(page).await.map_err(|error| error.classify().context("read a checkpoint"))?;
            found.take(&answer)?;
            match next.into_paging_control_flow() {
                ControlFlow::Continue(next) => state = next,
                ControlFlow::Break(()) => break,
            }
        }
        found.slots.complete();
        Ok(found)
    }

    /// Gives the task to `owner` if it is `before`'s; whether it was.
    pub async fn claim(
        &self,
        task: &TaskId,
        before: Option<Uuid>,
        (owner, holder): (Uuid, &str),
    ) -> Result<bool, Error> {
        let values = (owner, holder, &task.pipeline, &task.sink, before);
        let claimed = Box::pin(self.session.execute_unpaged(&self.claim, values)).await;
        applied(claimed.map_err(|error| error.classify().context("claim a task"))?)
    }

    /// Writes the rows if the task is still the owner's; whether it was.
    pub async fn save(&self, save: &Save<'_>, changes: &[Change]) -> Result<bool, Error> {
        // One partition: a log of the batch would add nothing.
        let mut batch = Batch::new(BatchType::Unlogged);
        batch.set_serial_consistency(Some(self.serial));
        batch.append_statement(self.head.clone());
        let mut values = vec![save.head()];
        for change in changes {
            batch.append_statement(self.slot.clone());
            values.push(Values::Slot(SlotValues::of(save.task, change)));
        }
        let saved = Box::pin(self.session.batch(&batch, values)).await;
        applied(saved.map_err(|error| error.classify().context("write a checkpoint"))?)
    }
}

impl Found {
    fn take(&mut self, answer: &QueryResult) -> Result<(), Error> {
        let rows = answer.clone().into_rows_result().map_err(shape)?;
        for row in rows.rows::<Columns>().map_err(shape)? {
            let (identity, owner, holder, saves, slot, partition, offset) = row.map_err(shape)?;
            self.identity = identity;
            self.owner = owner.map(|owner| (owner, holder.unwrap_or_default()));
            self.saves = saves.unwrap_or_default();
            if let (Some(slot), Some(partition)) = (slot, partition) {
                let partition = Partition::from(partition);
                self.slots.found(slot, partition.clone());
                // Cassandra and ScyllaDB keep an empty blob, but for them it is not far from none.
                self.checkpoint.set(partition, offset.unwrap_or_default());
            }
        }
        Ok(())
    }
}

impl Save<'_> {
    fn head(&self) -> Values<'_> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Values::Head(HeadValues {
            identity: self.identity,
            saves: self.saves,
            saved_at: CqlTimestamp(i64::try_from(now.as_millis()).unwrap_or(i64::MAX)),
            pipeline: &self.task.pipeline,
            sink: &self.task.sink,
            owner: self.owner,
        })
    }
}

/// What is bound to one statement of the batch.
enum Values<'a> {
    Head(HeadValues<'a>),
    Slot(SlotValues<'a>),
}

#[derive(SerializeRow)]
struct HeadValues<'a> {
    identity: &'a str,
    saves: i64,
    saved_at: CqlTimestamp,
    pipeline: &'a str,
    sink: &'a str,
    owner: Uuid,
}

#[derive(SerializeRow)]
struct SlotValues<'a> {
    source_partition: Option<&'a str>,
    source_offset: Option<&'a Bytes>,
    pipeline: &'a str,
    sink: &'a str,
    slot: i32,
}

impl<'a> SlotValues<'a> {
    fn of(task: &'a TaskId, change: &'a Change) -> Self {
        let content = change.content.as_ref();
        Self {
            source_partition: content.map(|(partition, _)| partition.as_str()),
            source_offset: content.map(|(_, offset)| offset),
            pipeline: &task.pipeline,
            sink: &task.sink,
            slot: change.slot,
        }
    }
}

impl SerializeRow for Values<'_> {
    fn serialize(
        &self,
        context: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        match self {
            Self::Head(values) => values.serialize(context, writer),
            Self::Slot(values) => values.serialize(context, writer),
        }
    }

    fn is_empty(&self) -> bool {
        false
    }
}

/// Cassandra answers with more columns when a condition did not hold, ScyllaDB always: the verdict is found by name.
fn applied(answer: QueryResult) -> Result<bool, Error> {
    let rows = answer.into_rows_result().map_err(shape)?;
    let at = rows.column_specs().get_by_name("[applied]").map(|(at, _)| at);
    let row = rows.first_row::<Row>().map_err(shape)?;
    match at.and_then(|at| row.columns.get(at)) {
        Some(Some(CqlValue::Boolean(applied))) => Ok(*applied),
        _ => Err(shape(std::io::Error::other("a conditional write without a verdict"))),
    }
}
