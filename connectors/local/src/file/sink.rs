//! `FileSink`: turns records into lines and waits until they are on the disk.

use std::path::PathBuf;

use async_trait::async_trait;
use weir_sdk::{Error, ErrorKind, Records, Sink, WriteError};

use super::appender::Appender;
use super::disk::{Disk, RealDisk, fault};
use crate::line;
use crate::writer::Writer;

/// An open file.
pub(super) struct FileSink {
    writer: Writer,
}

impl FileSink {
    pub(super) async fn open(path: PathBuf) -> Result<Self, Error> {
        let opening = path.clone();
        let opened = tokio::task::spawn_blocking(move || RealDisk::open(opening)).await;
        let failed = |error| Error::new(ErrorKind::Bug, "opening the file").caused_by(error);
        let (disk, length) = opened.map_err(failed)?.map_err(|error| fault(&path, error))?;
        Self::over(path, disk, length)
    }

    pub(super) fn over(path: PathBuf, disk: impl Disk, length: u64) -> Result<Self, Error> {
        Ok(Self { writer: Writer::start("file-sink", Appender::new(path, disk, length))? })
    }
}

#[async_trait]
impl Sink for FileSink {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
        let mut lines = Vec::with_capacity(records.size() + records.len() * 128);
        for record in records.iter() {
            line::write(record, &mut lines);
        }
        Ok(self.writer.append(lines).await?)
    }

    async fn probe(&self) -> Result<(), Error> {
        self.writer.probe().await
    }

    async fn close(&self) -> Result<(), Error> {
        self.writer.close().await;
        Ok(())
    }
}
