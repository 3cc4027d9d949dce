//! `Appender`: appends so that the file always ends where the last answer said.

use std::io;
use std::path::PathBuf;

use weir_sdk::Error;

use super::disk::{Disk, fault};
use crate::writer::Target;

/// Everything up to `durable` was answered for; behind it may lie what a failed append left.
pub(super) struct Appender<D> {
    path: PathBuf,
    disk: D,
    durable: u64,
    failed: bool,
}

impl<D: Disk> Appender<D> {
    /// `length` is how long the file is.
    pub(super) fn new(path: PathBuf, disk: D, length: u64) -> Self {
        Self { path, disk, durable: length, failed: false }
    }

    /// After a failed sync nobody knows which pages are on the disk, so what was not answered for is written anew.
    fn mend(&mut self) -> io::Result<()> {
        if self.failed {
            self.disk.cut(self.durable)?;
            self.failed = false;
        }
        Ok(())
    }

    fn try_append(&mut self, chunks: &[Vec<u8>]) -> io::Result<()> {
        self.mend()?;
        if let Some(length) = self.disk.follow()? {
            self.durable = length;
        }
        self.failed = true;
        for chunk in chunks {
            self.disk.append(chunk)?;
        }
        self.disk.sync()?;
        self.durable += chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        self.failed = false;
        Ok(())
    }
}

impl<D: Disk> Target for Appender<D> {
    fn append(&mut self, chunks: &[Vec<u8>]) -> Result<(), Error> {
        self.try_append(chunks).map_err(|error| fault(&self.path, error))
    }

    fn probe(&mut self) -> Result<(), Error> {
        let probed = self.mend().and_then(|()| self.disk.sync());
        probed.map_err(|error| fault(&self.path, error))
    }
}
