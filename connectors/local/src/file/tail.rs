//! `Tail`: the whole lines of a file from a place on, as records.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use weir_sdk::{Error, ErrorKind, Offset, Origin, Partition, Record, Room};

use super::disk::fault;
use crate::line;

/// Which file, and how far into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) byte: u64,
}

impl Place {
    /// The begin of this file.
    pub(super) fn begin(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino(), byte: 0 })
    }

    pub(super) fn offset(self) -> Offset {
        format!("1:{:x}:{:x}:{}", self.device, self.inode, self.byte).into()
    }

    /// `None` when it is none of ours.
    pub(super) fn read(offset: &Offset) -> Option<Self> {
        let text = std::str::from_utf8(offset.as_bytes()).ok()?;
        let mut parts = text.strip_prefix("1:")?.split(':');
        let hex = |part: &str| u64::from_str_radix(part, 16).ok();
        let (device, inode) = (hex(parts.next()?)?, hex(parts.next()?)?);
        let place = Self { device, inode, byte: parts.next()?.parse().ok()? };
        parts.next().is_none().then_some(place)
    }

    fn is_in(self, file: Self) -> bool {
        (self.device, self.inode) == (file.device, file.inode)
    }
}

/// Reads on from a place, and follows the path to the next file.
pub(super) struct Tail {
    path: PathBuf,
    /// Where the next record begins.
    place: Option<Place>,
    file: Option<BufReader<File>>,
    /// Read, but did not fit the last batch; with where the record behind it begins.
    next: Option<(Record, u64)>,
}

impl Tail {
    pub(super) fn new(path: PathBuf, place: Option<Place>) -> Self {
        Self { path, place, file: None, next: None }
    }

    /// Everything before it was given out; `None` as long as there is no file.
    pub(super) fn place(&self) -> Option<Place> {
        self.place
    }

    /// What is there, as much as fits; nothing at the end.
    pub(super) fn read(&mut self, room: Room, partition: &Partition) -> Result<Vec<Record>, Error> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        while records.len() < room.records {
            let next = match self.next.take() {
                Some(next) => Some(next),
                None => match self.record(partition) {
                    Ok(next) => next,
                    Err(error) => {
                        // Opened anew at its place, the next poll meets the error again; what was read comes first.
                        self.file = None;
                        if records.is_empty() {
                            return Err(error);
                        }
                        break;
                    }
                },
            };
            let Some((record, behind)) = next else { break };
            bytes += record.size();
            if !records.is_empty() && bytes > room.bytes {
                self.next = Some((record, behind));
                break;
            }
            if let Some(place) = &mut self.place {
                place.byte = behind;
            }
            records.push(record);
        }
        Ok(records)
    }

    /// The next record and where the one behind it begins.
    fn record(&mut self, partition: &Partition) -> Result<Option<(Record, u64)>, Error> {
        let failed = |path: &PathBuf, error| fault(path, error);
        if self.file.is_none() && !self.open().map_err(|error| failed(&self.path, error))? {
            return Ok(None);
        }
        let mut moved = false;
        loop {
            let (Some(file), Some(place)) = (&mut self.file, &mut self.place) else { return Ok(None) };
            let mut line = Vec::new();
            file.read_until(b'\n', &mut line).map_err(|error| failed(&self.path, error))?;
            if line.last() != Some(&b'\n') {
                // The end, or a line that is being written: next time it is read from its begin.
                file.seek(SeekFrom::Start(place.byte)).map_err(|error| failed(&self.path, error))?;
                if self.is_current().map_err(|error| failed(&self.path, error))? {
                    return Ok(None);
                }
                // Lines may have come between our look at its end and its move.
                if !std::mem::replace(&mut moved, true) {
                    continue;
                }
                self.file = None;
                if !self.open().map_err(|error| failed(&self.path, error))? {
                    return Ok(None);
                }
                continue;
            }
            let behind = place.byte + line.len() as u64;
            if line::is_blank(&line) {
                place.byte = behind;
                continue;
            }
            let origin = Origin { partition: partition.clone(), offset: place.offset() };
            let record = line::read(&line, origin).map_err(|error| self.foreign(error))?;
            return Ok(Some((record, behind)));
        }
    }

    /// Opens the file at the path, where the place says if it is of this file; `false` when there is none.
    fn open(&mut self) -> io::Result<bool> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        let begin = Place::begin(&file)?;
        let length = file.metadata()?.len();
        let known = self.place.filter(|place| place.is_in(begin) && place.byte <= length);
        if self.place.is_some() && known.is_none() {
            tracing::info!(path = %self.path.display(), "another file, or a shorter one: it is read from its begin");
        }
        let place = known.unwrap_or(begin);
        file.seek(SeekFrom::Start(place.byte))?;
        (self.file, self.place) = (Some(BufReader::new(file)), Some(place));
        Ok(true)
    }

    /// Is the file that is open still the one at the path, and no shorter than what was read of it? A file that was
    /// removed is: there is nothing to go over to.
    fn is_current(&self) -> io::Result<bool> {
        let Some(place) = self.place else { return Ok(true) };
        match std::fs::metadata(&self.path) {
            Ok(there) => {
                let begin = Place { device: there.dev(), inode: there.ino(), byte: 0 };
                Ok(place.is_in(begin) && place.byte <= there.len())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// A line that is no record; the next poll meets it again.
    fn foreign(&self, error: serde_json::Error) -> Error {
        let byte = self.place.map_or(0, |place| place.byte);
        let message = format!("{}: the line at byte {byte} is no record", self.path.display());
        let advice = "name a file that the file sink wrote, or take the line out";
        Error::new(ErrorKind::Config, message).advice(advice).caused_by(error)
    }
}
