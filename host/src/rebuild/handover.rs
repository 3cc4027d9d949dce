//! `Handover`: a task whose sink names what a rebuild has filled beside goes on where that rebuild is, and says so.
//!
//! The place has everything up to the checkpoint of the rebuild, and nothing behind it. The task's own checkpoint is of
//! the place that it has filled until now: further on or less far, for this place it means nothing. So the one takes the
//! place of the other, with all that it says of rows that may still come late: no gap, and no step back but for what was
//! in flight, as after any stop.
//!
//! It is a store, so that it happens where a task takes its checkpoint over, with the same checks and the same tries: a
//! rebuild that still runs or is not finished fails this task, with what to do, and touches no other.

use std::sync::Arc;

use weir_sdk::store::Saved;
use weir_sdk::{Checkpoint, CheckpointStore, Error, ErrorKind, TaskId, async_trait};

use super::state::Phase;
use super::{Rebuild, Rebuilds, state};
use crate::checkpoints;

/// A store that has, once, what a rebuild has come to.
pub(super) struct Handover {
    rebuilds: Rebuilds,
    store: Arc<dyn CheckpointStore>,
}

impl Handover {
    pub(super) fn new(rebuilds: Rebuilds, store: Arc<dyn CheckpointStore>) -> Self {
        Self { rebuilds, store }
    }

    /// The rebuild with its checkpoint; `None` once it is handed over.
    async fn waiting(&self, task: &TaskId) -> Result<Option<(Rebuild, Saved)>, Error> {
        if state::look(&self.rebuilds.folder(task))?.is_none() {
            return Ok(None);
        }
        let rebuild = self.rebuilds.open(task)?;
        // Looked at once more, now that nobody else has it.
        let Some(state) = rebuild.state()? else { return Ok(None) };
        let saved = match state.phase {
            Phase::CaughtUp => rebuild.checkpoints().await?.load(task).await?,
            Phase::Emptying | Phase::Filling => None,
        };
        let Some(saved) = saved else {
            let message = format!("the rebuild that fills `{}` is not finished", state.place.name);
            return Err(Error::new(ErrorKind::Config, message).advice(format!(
                "finish it (`weir rebuild {task} FILE`), or name the former one again in the file until it is"
            )));
        };
        Ok(Some((rebuild, saved)))
    }
}

#[async_trait]
impl CheckpointStore for Handover {
    async fn load(&self, task: &TaskId) -> Result<Option<Saved>, Error> {
        match self.waiting(task).await? {
            Some((_, saved)) => Ok(Some(saved)),
            None => self.store.load(task).await,
        }
    }

    async fn claim(&self, task: &TaskId) -> Result<Option<Saved>, Error> {
        let Some((rebuild, saved)) = self.waiting(task).await? else { return self.store.claim(task).await };
        checkpoints::put(&*self.store, task, &saved).await?;
        // Killed before this is done, the next start puts the same checkpoint there again.
        rebuild.forget()?;
        tracing::info!(%task, "goes on where its rebuild is");
        Ok(Some(saved))
    }

    async fn save(&self, task: &TaskId, identity: &str, checkpoint: &Checkpoint) -> Result<(), Error> {
        self.store.save(task, identity, checkpoint).await
    }

    async fn in_use(&self, task: &TaskId) -> Result<Option<String>, Error> {
        self.store.in_use(task).await
    }
}
