//! `FileSource`: reads the JSON lines that the file sink writes, and goes on where its checkpoint ends.
//!
//! A torn last line is left alone until its end is written; a line that is no record is refused, and the next is read.
//! A file that was moved away is read to its end, also after a restart if it is still in its folder, and then the new
//! one at its path from its begin. Without a file there are no records, which is no fault: a dead-letter file is made
//! with its first record.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;
use weir_sdk::config::Problem;
use weir_sdk::metrics::names;
use weir_sdk::{
    Batch, Checkpoint, Context, Error, ErrorKind, Origin, Partition, Refused, Room, Source, SourceConnector,
    Start, To,
};

use super::config::{FileSourceConfig, Until};
use super::disk::fault;
use super::purge;
use super::tail::{Place, Tail};
use crate::begin_only;

/// How often the end of the file is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// The one partition of a file.
pub(super) const PARTITION: &str = "file";

/// The connector.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileSource;

#[async_trait]
impl SourceConnector for FileSource {
    const NAME: &'static str = "file";
    type Config = FileSourceConfig;

    fn check(&self, config: &FileSourceConfig) -> Vec<Problem> {
        config.check()
    }

    async fn open(
        &self,
        config: FileSourceConfig,
        resume: Checkpoint,
        context: Context,
    ) -> Result<Box<dyn Source>, Error> {
        let partition = Partition::from(PARTITION);
        let place = match resume.get(&partition) {
            Some(offset) => Some(Place::read(offset).ok_or_else(unreadable)?),
            None => None,
        };
        let identity = identity(&config.path).map_err(|error| fault(&config.path, error))?;
        let tail = Some(Tail::new(config.path, place, context.metrics().counter(names::FILE_RESTS_LOST)));
        Ok(Box::new(OpenFile { tail, until: config.until, partition, identity, refused: Vec::new() }))
    }

    async fn seek(&self, config: FileSourceConfig, to: To, _context: Context) -> Result<Start, Error> {
        if !matches!(to, To::Earliest | To::Everything) {
            return Err(begin_only(Self::NAME));
        }
        let identity = identity(&config.path).map_err(|error| fault(&config.path, error))?;
        Ok(Start { identity, checkpoint: Checkpoint::default() })
    }

    /// Works while a sink appends to the file, too.
    async fn purge(
        &self,
        config: FileSourceConfig,
        origins: Vec<Origin>,
        _context: Context,
    ) -> Result<usize, Error> {
        let path = config.path.clone();
        let purging = move || purge::purge(&config.path, &origins);
        match tokio::task::spawn_blocking(purging).await {
            Ok(purged) => purged.map_err(|error| fault(&path, error)),
            Err(stopped) => Err(Error::new(ErrorKind::Bug, stopped.to_string())),
        }
    }
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Config, "the checkpoint is damaged, or of another version")
        .advice("give the pipeline or the sink another name, which begins at the begin of the file")
}

/// The path, the same however it is written; the file itself may not be there yet.
fn identity(path: &Path) -> std::io::Result<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder: PathBuf = folder.unwrap_or(Path::new(".")).canonicalize()?;
    Ok(folder.join(path.file_name().unwrap_or_default()).display().to_string())
}

struct OpenFile {
    /// Away only while a poll reads.
    tail: Option<Tail>,
    until: Until,
    partition: Partition,
    identity: String,
    /// What the last batch lacks.
    refused: Vec<Refused>,
}

#[async_trait]
impl Source for OpenFile {
    fn start(&self) -> Start {
        Start { identity: self.identity.clone(), checkpoint: Checkpoint::default() }
    }

    async fn poll(&mut self, room: Room) -> Result<Option<Batch>, Error> {
        let gone = || Error::new(ErrorKind::Bug, "a dropped poll took the file along");
        let (mut tail, partition) = (self.tail.take().ok_or_else(gone)?, self.partition.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let read = tail.read(room, &partition);
            (tail, read)
        });
        let (tail, read) =
            reading.await.map_err(|error| Error::new(ErrorKind::Bug, "reading the file").caused_by(error))?;
        let place = tail.place();
        self.tail = Some(tail);
        let read = read?;
        if read.is_empty() {
            if self.until == Until::End {
                return Ok(None);
            }
            sleep(LOOK).await;
        }
        let mut checkpoint = Checkpoint::default();
        if let Some(place) = place {
            checkpoint.set(self.partition.clone(), place.offset());
        }
        self.refused = read.refused;
        Ok(Some(Batch { records: read.records.into(), checkpoint }))
    }

    fn refused(&mut self) -> Vec<Refused> {
        std::mem::take(&mut self.refused)
    }
}
