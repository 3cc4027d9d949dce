//! `FileSink`: turns records into lines and waits until they are on the disk.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use weir_sdk::{Error, ErrorKind, Records, Sink, WriteError};

use super::shared::Shared;
use crate::line;
use crate::writer::Writer;

/// An open file, which other sinks of this process may have open too.
pub(super) struct FileSink {
    files: Shared,
    /// `None` when closed.
    writer: Mutex<Option<Arc<Writer>>>,
}

impl FileSink {
    pub(super) async fn open(files: Shared, path: PathBuf) -> Result<Self, Error> {
        let writer = files.open(path).await?;
        Ok(Self::over(files, writer))
    }

    pub(super) fn over(files: Shared, writer: Arc<Writer>) -> Self {
        Self { files, writer: Mutex::new(Some(writer)) }
    }

    fn writer(&self) -> Result<Arc<Writer>, Error> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        writer.ok_or_else(|| Error::new(ErrorKind::Bug, "the sink is closed"))
    }
}

#[async_trait]
impl Sink for FileSink {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
        let mut lines = Vec::with_capacity(records.size() + records.len() * 128);
        for record in records.iter() {
            line::write(record, &mut lines);
        }
        Ok(self.writer()?.append(lines).await?)
    }

    async fn probe(&self) -> Result<(), Error> {
        self.writer()?.probe().await
    }

    async fn close(&self) -> Result<(), Error> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            self.files.close(writer).await;
        }
        Ok(())
    }
}
