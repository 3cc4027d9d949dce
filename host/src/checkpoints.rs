//! `FileStore`: every task's checkpoint in one append journal, on a thread of its own.
//!
//! Why one journal and not a file for each task? A save is an append and an fsync, and the fsync is what costs. With
//! one file, saves that arrive while an fsync runs are written together and share the next one: a hundred tasks that
//! save every 200 ms cost one fsync at a time, not five hundred a second.
//!
//! * `format`: what the bytes mean, and what of them can be trusted after a crash
//! * `journal`: appends, what a failed append leaves behind, and compaction
//! * [`look()`]: what it says, to look at only
//! * [`put()`]: another checkpoint in the place of what is saved, in any store
//! * `disk`: the few file operations, and their errors as advice
//!
//! All file work happens on the thread, none on the runtime.

mod disk;
mod format;
mod journal;
mod look;
mod put;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;
use weir_sdk::store::Saved;
use weir_sdk::{Checkpoint, CheckpointStore, Error, ErrorKind, TaskId, async_trait};

use self::disk::Disk;
use self::format::Save;
use self::journal::Journal;
use crate::data_dir::DataDir;

pub use self::look::look;
pub use self::put::put;

/// The checkpoints of a data directory.
///
/// Dropping it waits for the saves that were asked for, which takes as long as an fsync.
#[derive(Debug)]
pub struct FileStore {
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl FileStore {
    /// Reads the journal of the directory, or begins one. The directory stays locked as long as the store lives.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when what is there is damaged, no journal of this version, or not ours to write: it is
    /// never taken for an empty one. Only an unfinished last append, the trace of a crash, is dropped.
    pub async fn open(data: &DataDir) -> Result<Self, Error> {
        let (path, lock) = (data.path().join("checkpoints"), data.clone());
        Self::start(move || {
            let journal = Journal::open(&path)?;
            Ok((journal, lock))
        })
        .await
    }

    /// Runs the thread; `open` runs on it, and what it returns beside the journal is held until the thread ends.
    async fn start<D, H>(
        open: impl FnOnce() -> Result<(Journal<D>, H), Error> + Send + 'static,
    ) -> Result<Self, Error>
    where
        D: Disk,
    {
        let (requests, receiver) = mpsc::channel();
        let (opened, answer) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("weir-checkpoints".to_owned())
            .spawn(move || match open() {
                Ok((journal, _held)) => {
                    if opened.send(Ok(())).is_ok() {
                        serve(journal, &receiver);
                    }
                }
                Err(error) => drop(opened.send(Err(error))),
            })
            .map_err(|error| {
                Error::new(ErrorKind::Transient, "cannot start the thread that saves checkpoints")
                    .caused_by(error)
            })?;
        let store = Self { requests: Some(requests), thread: Some(thread) };
        answer.await.map_err(|_| gone())??;
        Ok(store)
    }

    fn ask(&self, request: Request) -> Result<(), Error> {
        let requests = self.requests.as_ref().ok_or_else(gone)?;
        requests.send(request).map_err(|_| gone())
    }
}

#[async_trait]
impl CheckpointStore for FileStore {
    async fn load(&self, task: &TaskId) -> Result<Option<Saved>, Error> {
        let (answer, loaded) = oneshot::channel();
        self.ask(Request::Load(task.clone(), answer))?;
        loaded.await.map_err(|_| gone())
    }

    async fn save(&self, task: &TaskId, identity: &str, checkpoint: &Checkpoint) -> Result<(), Error> {
        let (answer, saved) = oneshot::channel();
        let save = Save { task: task.clone(), identity: identity.to_owned(), checkpoint: checkpoint.clone() };
        self.ask(Request::Save(save, answer))?;
        saved.await.map_err(|_| gone())?
    }
}

impl Drop for FileStore {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has already been answered to whoever waited for it.
            thread.join().ok();
        }
    }
}

enum Request {
    Load(TaskId, oneshot::Sender<Option<Saved>>),
    Save(Save, oneshot::Sender<Result<(), Error>>),
}

/// How many bytes of saves share an append; more wait for the next, so that memory stays bounded.
const GROUP: usize = 16 << 20;

/// Answers requests until nobody can ask any more.
fn serve(mut journal: Journal<impl Disk>, requests: &mpsc::Receiver<Request>) {
    while let Ok(first) = requests.recv() {
        let (mut saves, mut loads, mut bytes) = (Vec::new(), Vec::new(), 0);
        for request in std::iter::once(first).chain(requests.try_iter()) {
            match request {
                Request::Load(task, answer) => loads.push((task, answer)),
                Request::Save(save, answer) => {
                    bytes += save.size();
                    saves.push((save, answer));
                }
            }
            if bytes >= GROUP {
                break;
            }
        }
        save(&mut journal, saves);
        for (task, answer) in loads {
            // Whoever asked may have gone, here and below: then nobody needs the answer.
            answer.send(journal.saved(&task).cloned()).ok();
        }
        journal.compact_when_grown();
    }
    journal.settle();
}

/// One append and one fsync for all of them.
fn save(journal: &mut Journal<impl Disk>, requests: Vec<(Save, oneshot::Sender<Result<(), Error>>)>) {
    let (mut group, mut answers) = (Vec::with_capacity(requests.len()), Vec::with_capacity(requests.len()));
    for (save, answer) in requests {
        match journal.accepts(&save, &group) {
            Ok(()) => {
                group.push(save);
                answers.push(answer);
            }
            Err(error) => drop(answer.send(Err(error))),
        }
    }
    let outcome = journal.append(group);
    for answer in answers {
        answer.send(outcome.clone()).ok();
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Bug, "the thread that saves checkpoints has ended")
}

/// Where the journal of a data directory lies.
pub fn journal_path(data: &DataDir) -> PathBuf {
    data.path().join("checkpoints").join(disk::JOURNAL)
}
