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

use super::state::{Phase, Way};
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
        // One in place needs no hand-over: whatever the task has written before, that one writes again.
        let state = rebuild.state()?.filter(|state| state.way == Way::Beside);
        let Some(state) = state else { return Ok(None) };
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::Arc;

    use serde_json::json;
    use weir_sdk::store::Saved;
    use weir_sdk::{Checkpoint, CheckpointStore, Place, TaskId};

    use crate::checkpoints::FileStore;
    use crate::data_dir::DataDir;
    use crate::rebuild::Rebuilds;
    use crate::rebuild::state::{Phase, State, Way};

    fn task() -> TaskId {
        TaskId { pipeline: "shop".into(), sink: "list".into() }
    }

    fn checkpoint(offsets: &[(&str, &'static str)]) -> Checkpoint {
        offsets.iter().map(|(partition, offset)| ((*partition).into(), *offset)).collect()
    }

    async fn begun(data: &Path, phase: Phase) -> Rebuilds {
        let rebuilds = Rebuilds::below(data);
        let rebuild = rebuilds.open(&task()).unwrap();
        let place = Place { pointer: "/table".into(), name: "new".into() };
        rebuild.keep(&State { place, way: Way::Beside, phase, made_of: BTreeMap::new() }).unwrap();
        let store = rebuild.checkpoints().await.unwrap();
        store.save(&task(), "s:1", &checkpoint(&[("a", "7"), ("b", "7")])).await.unwrap();
        rebuilds
    }

    async fn files(data: &Path) -> Arc<dyn CheckpointStore> {
        let files = FileStore::open(&DataDir::open(data).unwrap()).await.unwrap();
        files.save(&task(), "s:1", &checkpoint(&[("a", "9"), ("old", "9")])).await.unwrap();
        Arc::new(files)
    }

    #[tokio::test]
    async fn the_checkpoint_of_the_rebuild_takes_the_place_of_the_tasks_once() {
        let data = tempfile::tempdir().unwrap();
        let (rebuilds, files) = (begun(data.path(), Phase::CaughtUp).await, files(data.path()).await);
        let saved =
            |store: Arc<dyn CheckpointStore>| async move { store.load(&task()).await.unwrap().unwrap() };
        let kept = rebuilds.handing_over(&task(), &json!({"table": "old"}), files.clone());
        assert_eq!(saved(kept).await.checkpoint, checkpoint(&[("a", "9"), ("old", "9")]), "of another place");

        let store = rebuilds.handing_over(&task(), &json!({"table": "new"}), files.clone());
        let handed = Saved { identity: "s:1".into(), checkpoint: checkpoint(&[("a", "7"), ("b", "7")]) };
        assert_eq!(saved(store.clone()).await, handed);
        assert_eq!(saved(files.clone()).await.checkpoint.len(), 2, "it only looks");
        assert_eq!(store.claim(&task()).await.unwrap().as_ref(), Some(&handed));
        assert_eq!(saved(files.clone()).await, handed);
        store.save(&task(), "s:1", &checkpoint(&[("a", "8")])).await.unwrap();
        assert_eq!(saved(store).await.checkpoint, checkpoint(&[("a", "8"), ("b", "7")]), "once");
    }

    #[tokio::test]
    async fn one_that_is_not_finished_or_still_runs_is_an_error_with_what_to_do() {
        let data = tempfile::tempdir().unwrap();
        let (rebuilds, files) = (begun(data.path(), Phase::Filling).await, files(data.path()).await);
        let store = rebuilds.handing_over(&task(), &json!({"table": "new"}), files.clone());
        let error = store.load(&task()).await.unwrap_err();
        assert_eq!(error.to_string(), "the rebuild that fills `new` is not finished");
        assert!(error.operator_advice().unwrap().contains("`weir rebuild shop/list FILE`"), "{error:?}");
        let _held = rebuilds.open(&task()).unwrap();
        let error = store.claim(&task()).await.unwrap_err();
        assert!(error.to_string().contains("is in use by process"), "{error}");
    }
}
