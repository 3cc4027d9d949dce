//! `Journal`: what is saved, in memory and on disk; appends, and compaction when the file has outgrown its content.

use std::path::{Path, PathBuf};

use weir_sdk::store::Saved;
use weir_sdk::{Error, ErrorKind, TaskId};

use super::disk::{self, Disk, Folder};
use super::format::{self, Refusal, Save, State};

/// The state of every task, and the file that remembers it.
pub(super) struct Journal<D> {
    disk: D,
    path: PathBuf,
    state: State,
    length: u64,
    /// The length at which compacting pays.
    grown: u64,
    tail: Tail,
}

/// What is known of the file behind the last durable append.
#[derive(PartialEq)]
enum Tail {
    /// Nothing is there, nor has anything been appended since the whole file was written.
    Settled,
    /// Nothing is there.
    Clean,
    /// Unknown: an fsync or a cut failed, and the kernel may have dropped pages that it calls written. Only a new file
    /// is sure.
    Suspect,
}

/// A file smaller than this is not worth compacting.
const SMALL: u64 = 8 << 20;
/// A save larger than this is refused; no source comes near it.
const LARGEST: usize = 256 << 20;

impl Journal<Folder> {
    /// Reads the journal in `folder` and writes it anew, so that what was read is settled; or begins one.
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(disk::JOURNAL);
        let found = Folder::read(folder).map_err(|error| disk::failed("cannot read", &path, error))?;
        let state = match found {
            None => State::new(),
            Some(bytes) => {
                let (state, end) = format::read(&bytes).map_err(|refusal| refused(&path, &refusal))?;
                let unfinished = bytes.len() - end;
                if unfinished > 0 {
                    tracing::warn!(path = %path.display(), bytes = unfinished,
                        "dropped the last, unfinished entry of the checkpoint journal, as a crash leaves it");
                }
                state
            }
        };
        let content = format::whole(&state);
        let disk =
            Folder::create(folder, &content).map_err(|error| disk::failed("cannot write", &path, error))?;
        Ok(Self::new(disk, path, state, content.len()))
    }
}

impl<D: Disk> Journal<D> {
    /// A journal whose disk holds `length` bytes that say `state`.
    pub(super) fn new(disk: D, path: PathBuf, state: State, length: usize) -> Self {
        let length = length as u64;
        Self { disk, path, state, length, grown: grown(length), tail: Tail::Settled }
    }

    /// What is durable of the task.
    pub(super) fn saved(&self, task: &TaskId) -> Option<&Saved> {
        self.state.get(task)
    }

    /// Whether `save` may be appended together with `group`.
    ///
    /// # Errors
    /// The task's checkpoint is of another source, or the save is beyond all measure.
    pub(super) fn accepts(&self, save: &Save, group: &[Save]) -> Result<(), Error> {
        if save.size() > LARGEST {
            return Err(Error::new(
                ErrorKind::Bug,
                format!("the checkpoint of {} has {} bytes", save.task, save.size()),
            ));
        }
        let first =
            || group.iter().find(|earlier| earlier.task == save.task).map(|earlier| &earlier.identity);
        let owner = self.state.get(&save.task).map(|saved| &saved.identity).or_else(first);
        match owner {
            Some(owner) if *owner != save.identity => Err(foreign(save, owner, &self.path)),
            _ => Ok(()),
        }
    }

    /// Makes the accepted saves durable, all or none.
    pub(super) fn append(&mut self, saves: Vec<Save>) -> Result<(), Error> {
        if saves.is_empty() {
            return Ok(());
        }
        if self.tail == Tail::Suspect {
            self.rewrite()?;
        }
        let bytes = format::group(&saves);
        if let Err(error) = self.disk.append(&bytes) {
            if self.disk.truncate(self.length).is_err() {
                self.tail = Tail::Suspect;
            }
            return Err(disk::failed("cannot append to", &self.path, error));
        }
        self.tail = Tail::Suspect;
        if let Err(error) = self.disk.sync() {
            // Only a courtesy to readers of the file; it is rewritten before the next append.
            self.disk.truncate(self.length).ok();
            return Err(disk::failed("cannot sync", &self.path, error));
        }
        self.tail = Tail::Clean;
        self.length += bytes.len() as u64;
        for save in saves {
            format::apply(&mut self.state, save).expect("the save was accepted");
        }
        Ok(())
    }

    /// Writes the file anew when it is mostly history. It can wait: an error is only logged.
    pub(super) fn compact_when_grown(&mut self) {
        if self.length < self.grown {
            return;
        }
        if let Err(error) = self.rewrite() {
            self.grown = self.length + SMALL;
            tracing::warn!(%error, "could not compact the checkpoint journal; trying again when it has grown");
        }
    }

    /// Writes the file anew if anything was appended, so that any later damage shows.
    pub(super) fn settle(&mut self) {
        if self.tail != Tail::Settled
            && let Err(error) = self.rewrite()
        {
            tracing::warn!(%error, "could not compact the checkpoint journal at the end");
        }
    }

    fn rewrite(&mut self) -> Result<(), Error> {
        let content = format::whole(&self.state);
        self.disk.replace(&content).map_err(|error| disk::failed("cannot rewrite", &self.path, error))?;
        self.length = content.len() as u64;
        self.grown = grown(self.length);
        self.tail = Tail::Settled;
        Ok(())
    }
}

/// Each byte of history is then copied once for at least three that were appended.
fn grown(live: u64) -> u64 {
    (live * 4).max(SMALL)
}

/// Why a journal is not read, and what to do.
pub(super) fn refused(path: &Path, refusal: &Refusal) -> Error {
    let path = path.display();
    let what = match refusal {
        Refusal::NoJournal => format!("{path} is not a checkpoint journal"),
        Refusal::Version(version) => {
            format!("{path} is a checkpoint journal of version {version}; this weir reads version 1")
        }
        Refusal::Damaged(at, why) => format!("the checkpoint journal {path} is damaged at byte {at}: {why}"),
    };
    let again = "every task then begins where its source's `start` says: from the earliest, unless it says \
                 otherwise, which repeats records and skips none";
    let advice = match refusal {
        Refusal::Version(_) => format!("run the weir that wrote it, or move the file away; {again}"),
        Refusal::NoJournal | Refusal::Damaged(..) => format!("restore the file, or move it away; {again}"),
    };
    Error::new(ErrorKind::Config, what).advice(advice)
}

fn foreign(save: &Save, owner: &str, path: &Path) -> Error {
    let Save { task, identity, .. } = save;
    Error::new(
        ErrorKind::Config,
        format!("the checkpoint of {task} belongs to another source: it is of {owner}, not of {identity}"),
    )
    .advice(format!(
        "give the pipeline or the sink another name, and it begins with a checkpoint of its own; or bring the former \
         source back. {} keeps what it has",
        path.display()
    ))
}
