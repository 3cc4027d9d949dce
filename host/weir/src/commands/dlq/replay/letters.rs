//! Dead letters in the place of a source, and a store that keeps no checkpoint of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use weir_sdk::config::Problem;
use weir_sdk::dead_letter::DeadLetter;
use weir_sdk::store::Saved;
use weir_sdk::{
    Batch, Checkpoint, CheckpointStore, Context, Error, Record, Room, Source, SourceFactory, Start, TaskId,
    async_trait,
};

use crate::commands::dlq::place::{Entry, Place};

/// Dead letters of a place, each once.
pub(super) struct Letters {
    place: Arc<Place>,
    entries: Mutex<Vec<Entry>>,
}

impl Letters {
    pub(super) fn new(place: Arc<Place>, entries: Vec<Entry>) -> Self {
        Self { place, entries: Mutex::new(entries) }
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
        let entries = std::mem::take(&mut *self.entries.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Box::new(Reading { place: self.place.clone(), entries, loaded: 0, left: VecDeque::new() }))
    }
}

struct Reading {
    place: Arc<Place>,
    entries: Vec<Entry>,
    /// How many of the entries were loaded.
    loaded: usize,
    /// Loaded, and not given out.
    left: VecDeque<Record>,
}

#[async_trait]
impl Source for Reading {
    fn start(&self) -> Start {
        Start { identity: "dead letters".to_owned(), checkpoint: Checkpoint::default() }
    }

    async fn poll(&mut self, room: Room) -> Result<Option<Batch>, Error> {
        while self.left.is_empty() && self.loaded < self.entries.len() {
            let (portion, letters) = self.place.load(&self.entries[self.loaded..]).await?;
            self.loaded += portion;
            self.left.extend(letters.into_iter().map(DeadLetter::into_replay));
        }
        let (mut records, mut bytes) = (Vec::new(), 0);
        while records.len() < room.records
            && let Some(next) = self.left.front()
        {
            bytes += next.size();
            if !records.is_empty() && bytes > room.bytes {
                break;
            }
            records.extend(self.left.pop_front());
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
