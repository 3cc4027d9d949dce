//! The few file operations that a journal needs, and their errors as advice for the operator.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use weir_sdk::{Error, ErrorKind};

use crate::data_dir::{self, sync_dir};

/// The journal's name in its folder.
pub(super) const JOURNAL: &str = "journal";

/// Where a journal lies. A trait, so that tests can let each operation fail.
pub(super) trait Disk: Send + 'static {
    /// Writes at the end. After an error any part of it may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes what was appended durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts off what is behind `length`.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    /// Replaces the whole content, durably, or not at all; appends go on behind it.
    fn replace(&mut self, content: &[u8]) -> io::Result<()>;
}

/// A folder with a file `journal` in it.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    file: File,
}

impl Folder {
    /// What the journal of the folder holds; `None` when there is none. Makes the folder.
    pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
        data_dir::make_private(path)?;
        match fs::read(path.join(JOURNAL)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives the folder a journal with this content, durably, in place of any that is there.
    pub(super) fn create(path: &Path, content: &[u8]) -> io::Result<Self> {
        let new = path.join("journal.new");
        let written = write_new(&new, content).and_then(|file| {
            fs::rename(&new, path.join(JOURNAL))?;
            sync_dir(path)?;
            Ok(file)
        });
        if written.is_err() {
            // It only takes room; the next attempt writes over it.
            fs::remove_file(&new).ok();
        }
        Ok(Self { path: path.to_owned(), file: written? })
    }
}

impl Disk for Folder {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn replace(&mut self, content: &[u8]) -> io::Result<()> {
        *self = Self::create(&self.path, content)?;
        Ok(())
    }
}

/// Opened for appending, so that a cut needs no seek.
fn write_new(path: &Path, content: &[u8]) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = data_dir::private(OpenOptions::new().append(true).create_new(true)).open(path)?;
    file.write_all(content)?;
    file.sync_all()?;
    Ok(file)
}

/// What a failed file operation means for the operator.
pub(super) fn failed(doing: &str, path: &Path, error: io::Error) -> Error {
    let path = path.display();
    let (kind, advice) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (ErrorKind::Transient, format!("free some space for {path}; saving then goes on by itself"))
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => (
            ErrorKind::Config,
            format!("let the user that runs weir write {path}, or give --data-dir another place"),
        ),
        _ => (
            ErrorKind::Transient,
            format!("look at the disk that holds {path}; saving is tried again by itself"),
        ),
    };
    Error::new(kind, format!("{doing} {path}")).caused_by(error).advice(advice)
}
