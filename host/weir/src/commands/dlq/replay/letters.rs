//! Dead letters in the place of a source, and a store that keeps no checkpoint of them.

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use weir_sdk::config::Problem;
use weir_sdk::store::Saved;
use weir_sdk::{
    Batch, Checkpoint, CheckpointStore, Context, Error, Record, Room, Source, SourceFactory, Start, TaskId,
    async_trait,
};

/// Records that are there once.
pub(super) struct Letters(Mutex<Vec<Record>>);

impl Letters {
    pub(super) fn new(records: Vec<Record>) -> Self {
        Self(Mutex::new(records))
    }
}

#[async_trait]
impl SourceFactory for Letters {
    fn name(&self) -> &'static str {
        "dead-letters"
    }

    fn config_schema(&self) -> Value {
        json!({ "type": "object" })
    }

    fn check(&self, _config: &Value) -> Vec<Problem> {
        Vec::new()
    }

    async fn open(
        &self,
        _config: Value,
        _resume: Checkpoint,
        _context: Context,
    ) -> Result<Box<dyn Source>, Error> {
        let mut records = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        records.reverse();
        Ok(Box::new(Reading { left: records }))
    }
}

struct Reading {
    /// The next one is the last.
    left: Vec<Record>,
}

#[async_trait]
impl Source for Reading {
    fn start(&self) -> Start {
        Start { identity: "dead letters".to_owned(), checkpoint: Checkpoint::default() }
    }

    async fn poll(&mut self, room: Room) -> Result<Option<Batch>, Error> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        while records.len() < room.records
            && let Some(next) = self.left.last()
        {
            bytes += next.size();
            if !records.is_empty() && bytes > room.bytes {
                break;
            }
            records.extend(self.left.pop());
        }
        Ok((!records.is_empty())
            .then(|| Batch { records: records.into(), checkpoint: Checkpoint::default() }))
    }
}

/// What was sent is known from the place of the dead letters alone.
pub(super) struct NoCheckpoints;

#[async_trait]
impl CheckpointStore for NoCheckpoints {
    async fn load(&self, _task: &TaskId) -> Result<Option<Saved>, Error> {
        Ok(None)
    }

    async fn save(&self, _task: &TaskId, _identity: &str, _checkpoint: &Checkpoint) -> Result<(), Error> {
        Ok(())
    }
}
