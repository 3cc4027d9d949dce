//! A rebuild of a task's sink: its folder in the data directory, and the hand-over of what came of it.
//!
//! A rebuild runs in a process of its own, beside the host that runs the task, with a checkpoint of its own. Both lie in
//! `rebuilds/PIPELINE/SINK` below the data directory, locked like that one.
//!
//! * [`state`]: what it fills, and how far that is
//! * [`handover`]: a task whose configuration names what was filled beside goes on where the rebuild is

pub mod handover;
pub mod state;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use weir_sdk::{CheckpointStore, Error, ErrorKind, TaskId};

use crate::checkpoints::FileStore;
use crate::data_dir::{self, DataDir};
use handover::Handover;
use state::{State, Way};

/// Every rebuild of a data directory.
#[derive(Clone, Debug)]
pub struct Rebuilds(PathBuf);

impl Rebuilds {
    /// Those below this directory; there may be none.
    pub fn below(data_dir: &Path) -> Self {
        Self(data_dir.join("rebuilds"))
    }

    /// The rebuild of this task, ours as long as the answer lives. Makes its folder.
    ///
    /// # Errors
    /// Another process has it, which the message names; or the folder cannot be made or written.
    pub fn open(&self, task: &TaskId) -> Result<Rebuild, Error> {
        let held = |holder: &str| {
            Error::new(ErrorKind::Config, format!("the rebuild of {task} is in use by {holder}"))
                .advice("let it end, or stop it: it goes on when it is started again")
        };
        let folder = self.folder(task);
        // For the owner's eyes only, each of them.
        let above: Vec<_> = folder.ancestors().skip(1).take(3).collect();
        for folder in above.into_iter().rev() {
            data_dir::make_private(folder).map_err(|error| unusable(folder, error))?;
        }
        Ok(Rebuild { folder: DataDir::open_unless(folder, held)? })
    }

    /// The store for this task: `store`, but once with what its rebuild has come to, where the configuration of its
    /// sink names what that has filled.
    pub fn handing_over(
        &self,
        task: &TaskId,
        sink_config: &Value,
        store: Arc<dyn CheckpointStore>,
    ) -> Arc<dyn CheckpointStore> {
        match state::look(&self.folder(task)) {
            Ok(None) => store,
            Ok(Some(State { way: Way::InPlace, .. })) => {
                let missing =
                    "the place lacks what is not yet projected again: see to it that the rebuild ends";
                tracing::warn!(%task, missing, "a rebuild in place is not finished");
                store
            }
            Ok(Some(state)) if !state.place.is_named_in(sink_config) => store,
            Ok(Some(_)) | Err(_) => Arc::new(Handover::new(self.clone(), store)),
        }
    }

    fn folder(&self, task: &TaskId) -> PathBuf {
        self.0.join(&task.pipeline).join(&task.sink)
    }
}

/// A rebuild that is ours.
#[derive(Debug)]
pub struct Rebuild {
    folder: DataDir,
}

impl Rebuild {
    /// What it fills and how far that is; `None` when nothing was begun.
    ///
    /// # Errors
    /// What is there cannot be read, or is of another version.
    pub fn state(&self) -> Result<Option<State>, Error> {
        state::look(self.folder.path())
    }

    /// Keeps the state, durably, in place of the former one.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&self, state: &State) -> Result<(), Error> {
        let path = self.folder.path();
        let (new, kept) = (path.join("state.new"), path.join(state::FILE));
        let write = || {
            let options = &mut OpenOptions::new();
            let mut file = data_dir::private(options.write(true).create(true).truncate(true)).open(&new)?;
            file.write_all(&state.to_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &kept)?;
            data_dir::sync_dir(path)
        };
        write().map_err(|error| unusable(&kept, error))
    }

    /// Its own checkpoint, under the name of the task.
    ///
    /// # Errors
    /// It is damaged, or not ours to write.
    pub async fn checkpoints(&self) -> Result<FileStore, Error> {
        FileStore::open(&self.folder).await
    }

    /// Forgets its checkpoint, which nobody has open.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn forget_checkpoint(&self) -> Result<(), Error> {
        let path = self.folder.path().join("checkpoints");
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unusable(&path, error)),
            _ => Ok(()),
        }
    }

    /// Forgets all of it, the state first: whatever is left behind then means nothing.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn forget(self) -> Result<(), Error> {
        let path = self.folder.path().join(state::FILE);
        let removed = match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => File::open(self.folder.path()).and_then(|folder| folder.sync_all()),
        };
        removed.map_err(|error| unusable(&path, error))?;
        self.forget_checkpoint()
    }
}

fn unusable(path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Config, format!("cannot use {}", path.display()))
        .caused_by(error)
        .advice("let the user that runs weir read and write there")
}

#[cfg(test)]
mod tests {
    use super::Rebuilds;
    use super::state::{Phase, State, Way};
    use std::collections::BTreeMap;
    use weir_sdk::{Checkpoint, CheckpointStore, Place, TaskId};

    #[tokio::test]
    async fn it_is_kept_for_the_next_process_and_one_at_a_time_has_it() {
        let data = tempfile::tempdir().unwrap();
        let task = TaskId { pipeline: "shop".into(), sink: "list".into() };
        let rebuilds = Rebuilds::below(data.path());
        let rebuild = rebuilds.open(&task).unwrap();
        assert_eq!(rebuild.state().unwrap(), None);
        let place = Place { pointer: "/table".into(), name: "list_rebuilt".into() };
        let state = State { place, way: Way::Beside, phase: Phase::Filling, made_of: BTreeMap::new() };
        rebuild.keep(&state).unwrap();
        let checkpoint: Checkpoint = [("p".into(), "1")].into_iter().collect();
        rebuild.checkpoints().await.unwrap().save(&task, "s", &checkpoint).await.unwrap();
        let error = rebuilds.open(&task).unwrap_err();
        let holder = format!("the rebuild of shop/list is in use by process {} on ", std::process::id());
        assert!(error.to_string().starts_with(&holder), "{error}");

        drop(rebuild);
        let rebuild = rebuilds.open(&task).unwrap();
        assert_eq!(rebuild.state().unwrap(), Some(state));
        let saved = rebuild.checkpoints().await.unwrap().load(&task).await.unwrap();
        assert_eq!(saved.unwrap().checkpoint, checkpoint);
        rebuild.forget().unwrap();
        let rebuild = rebuilds.open(&task).unwrap();
        assert_eq!(rebuild.state().unwrap(), None);
        assert_eq!(rebuild.checkpoints().await.unwrap().load(&task).await.unwrap(), None);
    }
}
