//! `look`: what a journal says now, read without touching it, whoever has the directory.

use std::fs;
use std::io;
use std::path::Path;

use weir_sdk::store::Saved;
use weir_sdk::{Checkpoint, CheckpointStore, Error, ErrorKind, TaskId, async_trait};

use super::disk::{self, JOURNAL};
use super::format::{self, State};
use super::journal::refused;

/// The checkpoints of a data directory as they are now, to look at only; none where there is no directory.
///
/// # Errors
/// [`ErrorKind::Config`] when the journal is damaged, of another version, or not ours to read.
pub fn look(data_dir: &Path) -> Result<impl CheckpointStore + use<>, Error> {
    let path = data_dir.join("checkpoints").join(JOURNAL);
    match fs::read(&path) {
        // A run that appends just now leaves an unfinished entry at the end, which is no damage.
        Ok(bytes) => {
            format::read(&bytes).map(|(state, _)| Looked(state)).map_err(|refusal| refused(&path, &refusal))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Looked(State::new())),
        Err(error) => Err(disk::failed("cannot read", &path, error)),
    }
}

struct Looked(State);

#[async_trait]
impl CheckpointStore for Looked {
    async fn load(&self, task: &TaskId) -> Result<Option<Saved>, Error> {
        Ok(self.0.get(task).cloned())
    }

    async fn save(&self, task: &TaskId, _identity: &str, _checkpoint: &Checkpoint) -> Result<(), Error> {
        Err(Error::new(ErrorKind::Bug, format!("{task} is only looked at")))
    }
}
