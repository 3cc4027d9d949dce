//! `Shared`: the files that sinks of this process write to, each written by one thread however many sinks share it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use tokio::sync::Mutex;
use weir_sdk::{Error, ErrorKind};

use super::appender::Appender;
use super::disk::{RealDisk, fault};
use crate::writer::Writer;

/// Open files by path. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared(Arc<Mutex<HashMap<PathBuf, Weak<Writer>>>>);

impl Shared {
    /// The writer of this file: the one that others of this process have open, or a new one.
    pub(super) async fn open(&self, path: PathBuf) -> Result<Arc<Writer>, Error> {
        let mut files = self.0.lock().await;
        let key = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
        if let Some(writer) = files.get(&key).and_then(Weak::upgrade) {
            return Ok(writer);
        }
        let opening = path.clone();
        let opened = tokio::task::spawn_blocking(move || RealDisk::open(opening)).await;
        let failed = |error| Error::new(ErrorKind::Bug, "opening the file").caused_by(error);
        let (disk, length) = opened.map_err(failed)?.map_err(|error| fault(&path, error))?;
        let writer = Arc::new(Writer::start("file-sink", Appender::new(path, disk, length))?);
        files.retain(|_, writer| writer.strong_count() > 0);
        files.insert(key, Arc::downgrade(&writer));
        Ok(writer)
    }

    /// Gives a writer back; the last one to do so waits until its file is closed, and nobody opens it meanwhile.
    pub(super) async fn close(&self, writer: Arc<Writer>) {
        let _nobody_opens = self.0.lock().await;
        if let Some(writer) = Arc::into_inner(writer) {
            writer.close().await;
        }
    }
}
