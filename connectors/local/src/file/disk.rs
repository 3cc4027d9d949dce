//! `Disk`: what the appender asks of a file, and the real one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tracing::warn;
use weir_sdk::{Error, ErrorKind};

/// A file that is only appended to. Tests put one in its place that fails.
pub(super) trait Disk: Send + 'static {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts off everything behind `length`.
    fn cut(&mut self, length: u64) -> io::Result<()>;
    /// Goes over to the file that is at the path now, if it is another one; its length.
    fn follow(&mut self) -> io::Result<Option<u64>>;
}

/// A locked file that ends with a whole line.
#[derive(Debug)]
pub(super) struct RealDisk {
    path: PathBuf,
    file: File,
}

impl RealDisk {
    /// Opens or makes the file and cuts off a torn last line; its length.
    pub(super) fn open(path: PathBuf) -> io::Result<(Self, u64)> {
        let is_new = !path.exists();
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process writes to it"));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let length = whole_lines(&mut file)?;
        let torn = file.metadata()?.len() - length;
        if torn > 0 {
            warn!(path = %path.display(), bytes = torn, "cut off a torn last line");
            file.set_len(length)?;
            file.sync_all()?;
        }
        if is_new {
            sync_folder(&path)?;
        }
        Ok((Self { path, file }, length))
    }
}

/// How long the file is up to its last newline.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    const CHUNK: u64 = 64 * 1024;
    let mut end = file.metadata()?.len();
    let mut chunk = Vec::new();
    while end > 0 {
        let begin = end.saturating_sub(CHUNK);
        file.seek(SeekFrom::Start(begin))?;
        chunk.clear();
        let reader: &File = file;
        reader.take(end - begin).read_to_end(&mut chunk)?;
        if let Some(newline) = chunk.iter().rposition(|byte| *byte == b'\n') {
            return Ok(begin + newline as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

/// Without it a crash could forget that there is a new file at all.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

impl Disk for RealDisk {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn follow(&mut self) -> io::Result<Option<u64>> {
        let ours = self.file.metadata()?;
        match std::fs::metadata(&self.path) {
            Ok(there) if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) => return Ok(None),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(_) | Err(_) => {}
        }
        let (next, length) = Self::open(self.path.clone())?;
        *self = next;
        Ok(Some(length))
    }
}

/// What a failure of the file means, and what to do about it.
pub(super) fn fault(path: &Path, error: io::Error) -> Error {
    use io::ErrorKind as Io;
    let (kind, advice) = match error.kind() {
        Io::NotFound => (ErrorKind::Config, Some("make its folder, or correct `path`")),
        Io::ResourceBusy => (ErrorKind::Config, Some("give each process a file of its own")),
        Io::IsADirectory | Io::NotADirectory | Io::InvalidInput => {
            (ErrorKind::Config, Some("`path` must name a regular file"))
        }
        Io::PermissionDenied | Io::ReadOnlyFilesystem => {
            (ErrorKind::Auth, Some("give this process the right to write there"))
        }
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => {
            (ErrorKind::Unavailable, Some("make room on the disk; writing goes on by itself"))
        }
        _ => (ErrorKind::Transient, None),
    };
    let fault = Error::new(kind, path.display().to_string()).caused_by(error);
    match advice {
        Some(advice) => fault.advice(advice),
        None => fault,
    }
}
