//! `Tail`: the whole lines of a file from a place on, as records.
//!
//! A file that was moved away while nobody read it is looked for in its folder, by its inode, and read to its end
//! before the new one at its path begins. Where it cannot be found, that is said and counted.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use weir_sdk::metrics::Counter;
use weir_sdk::{Error, ErrorKind, Headers, Offset, Origin, Partition, Record, Refused, Room, Timestamp};

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
    /// Where the next line begins.
    place: Option<Place>,
    file: Option<BufReader<File>>,
    /// Read, but did not fit the last batch; with where the line behind it begins.
    next: Option<(Line, u64)>,
    /// Files that could not be read to their end.
    lost: Counter,
}

/// A line as a record, or why it is none.
type Line = Result<Record, Refused>;

/// What a read brought.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) records: Vec<Record>,
    pub(super) refused: Vec<Refused>,
}

impl Read {
    fn len(&self) -> usize {
        self.records.len() + self.refused.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Tail {
    pub(super) fn new(path: PathBuf, place: Option<Place>, lost: Counter) -> Self {
        Self { path, place, file: None, next: None, lost }
    }

    /// Everything before it was given out; `None` as long as there is no file.
    pub(super) fn place(&self) -> Option<Place> {
        self.place
    }

    /// What is there, as much as fits; nothing at the end.
    pub(super) fn read(&mut self, room: Room, partition: &Partition) -> Result<Read, Error> {
        let (mut read, mut bytes) = (Read::default(), 0);
        while read.len() < room.records {
            let next = match self.next.take() {
                Some(next) => Some(next),
                None => match self.line(partition) {
                    Ok(next) => next,
                    Err(error) => {
                        // Opened anew at its place, the next poll meets the error again; what was read comes first.
                        self.file = None;
                        if read.is_empty() {
                            return Err(error);
                        }
                        break;
                    }
                },
            };
            let Some((line, behind)) = next else { break };
            bytes += line.as_ref().map_or_else(|refused| refused.record.size(), Record::size);
            if !read.is_empty() && bytes > room.bytes {
                self.next = Some((line, behind));
                break;
            }
            if let Some(place) = &mut self.place {
                place.byte = behind;
            }
            match line {
                Ok(record) => read.records.push(record),
                Err(refused) => read.refused.push(refused),
            }
        }
        Ok(read)
    }

    /// The next line that was not blanked, and where the one behind it begins.
    fn line(&mut self, partition: &Partition) -> Result<Option<(Line, u64)>, Error> {
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
                self.place = None;
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
            let read = line::read(&line, origin.clone());
            return Ok(Some((read.map_err(|error| self.foreign(line, origin, error)), behind)));
        }
    }

    /// Opens the file that the place is in, wherever it is by now, or else the one at the path; `false` when there is
    /// none.
    fn open(&mut self) -> io::Result<bool> {
        let there = match File::open(&self.path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if there.as_ref().is_some_and(|file| file.metadata().is_ok_and(|metadata| !metadata.is_file())) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        let Some(place) = self.place else { return self.begin(there) };
        if let Some(file) = &there
            && place.is_in(Place::begin(file)?)
        {
            return if place.byte <= file.metadata()?.len() {
                self.resume(there, place)
            } else {
                self.lose(there)
            };
        }
        match self.moved(place)? {
            Some(moved) => {
                tracing::info!(path = %self.path.display(), "it was moved meanwhile: its rest is read first");
                self.resume(Some(moved), place)
            }
            None if there.is_none() => Ok(false),
            None => self.lose(there),
        }
    }

    /// The file of this place under another name in its folder.
    fn moved(&self, place: Place) -> io::Result<Option<File>> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        for entry in std::fs::read_dir(folder.unwrap_or(Path::new(".")))? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let begin = Place { device: metadata.dev(), inode: metadata.ino(), byte: 0 };
            // A system gives the numbers of removed files to new ones, but never to one that is longer already.
            if metadata.is_file() && place.is_in(begin) && place.byte <= metadata.len() {
                return File::open(entry.path()).map(Some);
            }
        }
        Ok(None)
    }

    fn begin(&mut self, file: Option<File>) -> io::Result<bool> {
        let Some(file) = file else { return Ok(false) };
        let begin = Place::begin(&file)?;
        self.resume(Some(file), begin)
    }

    fn resume(&mut self, file: Option<File>, place: Place) -> io::Result<bool> {
        let Some(mut file) = file else { return Ok(false) };
        file.seek(SeekFrom::Start(place.byte))?;
        (self.file, self.place) = (Some(BufReader::new(file)), Some(place));
        Ok(true)
    }

    /// Goes over to a file that is not the one that was read.
    fn lose(&mut self, file: Option<File>) -> io::Result<bool> {
        self.lost.add(1);
        tracing::warn!(
            path = %self.path.display(),
            "it was replaced or cut short while nobody read it, and the one before is not in its folder: what was not \
             read of that is not known; the new one is read from its begin"
        );
        self.begin(file)
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

    /// A line that is no record: its bytes are the value.
    fn foreign(&self, mut line: Vec<u8>, origin: Origin, error: serde_json::Error) -> Refused {
        line.pop();
        let byte = self.place.map_or(0, |place| place.byte);
        let message = format!("{}: the line at byte {byte} is no record", self.path.display());
        let advice = "name a file that the file sink wrote, or take the line out";
        let (key, value, headers) = (None, Some(line.into()), Headers::default());
        let record = Record { key, value, headers, timestamp: Timestamp(0), origin };
        Refused { record, error: Error::new(ErrorKind::Record, message).advice(advice).caused_by(error) }
    }
}
