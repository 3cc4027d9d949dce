//! `file`: one JSON line a record, appended to a file and synced before the answer.
//!
//! A crash can leave a torn last line; opening the file cuts it off. A write that failed half-way is cut off before
//! the next one. The file is locked, so two processes cannot mix their lines; sinks of one process share it, line by line,
//! as the dead letters of several tasks do. A file that was moved away or removed is followed by a new one at its path,
//! as a log rotation wants it.
//!
//! * [`sink`](FileSink) on an `appender` over a `disk`, `shared`: writing
//! * [`source`](FileSource) on a `tail`: reading the same lines; `purge`: taking some of them out

mod appender;
mod config;
mod disk;
mod purge;
mod shared;
mod sink;
mod source;
mod tail;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use weir_sdk::config::Problem;
use weir_sdk::{Context, Error, Sink, SinkConnector};

pub use config::{FileConfig, FileSourceConfig, Until};
use shared::Shared;
use sink::FileSink;
pub use source::FileSource;

/// The connector, and the files that its sinks have open.
#[derive(Clone, Debug, Default)]
pub struct File(Shared);

#[async_trait]
impl SinkConnector for File {
    const NAME: &'static str = "file";
    type Config = FileConfig;

    fn check(&self, config: &FileConfig) -> Vec<Problem> {
        config.check()
    }

    async fn open(&self, config: FileConfig, _context: Context) -> Result<Arc<dyn Sink>, Error> {
        Ok(Arc::new(FileSink::open(self.0.clone(), config.path).await?))
    }
}
