//! `DataDir`: the directory that keeps what a run must not lose, locked so that only one run has it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use weir_sdk::{Error, ErrorKind};

/// A data directory that is ours while any clone of this lives; the system gives it free even after a kill.
#[derive(Clone, Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: Arc<File>,
}

impl DataDir {
    /// Makes the directory, for its owner's eyes only, and locks it. Blocks for a moment.
    ///
    /// # Errors
    /// When another run has it, which the message names; or when it cannot be made or written.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let shown = path.as_ref().display();
        let held = |holder: &str| {
            Error::new(ErrorKind::Config, format!("the data directory {shown} is in use by {holder}"))
                .advice("stop that one first, or give this one a --data-dir of its own")
        };
        Self::open_unless(&path, held)
    }

    /// As [`open`](Self::open); `held` says what it means that another process, which it is told, has the directory.
    ///
    /// # Errors
    /// When another process has it; or when it cannot be made or written.
    pub fn open_unless(path: impl AsRef<Path>, held: impl FnOnce(&str) -> Error) -> Result<Self, Error> {
        let path = path.as_ref();
        make_private(path).map_err(|error| unusable(path, error))?;
        let lock = path.join("lock");
        let mut file = private(OpenOptions::new().write(true).create(true).truncate(false))
            .open(&lock)
            .map_err(|error| unusable(&lock, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(&holder(&lock))),
            Err(TryLockError::Error(error)) => return Err(unusable(&lock, error)),
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", this_process()))
            .map_err(|error| unusable(&lock, error))?;
        Ok(Self { path: path.to_owned(), _lock: Arc::new(file) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes a directory and those above it, for the owner only, durably; one that is there stays as it is.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !above.is_dir() {
        fs::create_dir_all(above)?;
    }
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made.and_then(|()| sync_dir(above)),
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// A file made with these options is for the owner only.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Who we are, to others who want what we have.
pub(crate) fn this_process() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "this machine".to_owned(), |name| name.trim().to_owned());
    let since = humantime::format_rfc3339_seconds(SystemTime::now());
    format!("process {} on {host}, since {since}", std::process::id())
}

fn holder(lock: &Path) -> String {
    // The holder may be just about to write it.
    let holder = fs::read_to_string(lock).unwrap_or_default();
    match holder.trim() {
        "" => "another process".to_owned(),
        holder => holder.to_owned(),
    }
}

fn unusable(path: &Path, error: io::Error) -> Error {
    let advice =
        if error.kind() == io::ErrorKind::AlreadyExists || error.kind() == io::ErrorKind::NotADirectory {
            "there is a file in its way: give --data-dir the name of a directory, which may be new"
        } else {
            "let the user that runs weir write there, or give --data-dir another place"
        };
    Error::new(ErrorKind::Config, format!("cannot use {}", path.display())).caused_by(error).advice(advice)
}

#[cfg(test)]
mod tests {
    use super::DataDir;

    #[test]
    fn a_second_run_is_told_who_has_the_directory() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("far/weir");
        let first = DataDir::open(&path).unwrap();
        let shared = first.clone();
        drop(first);
        let error = DataDir::open(&path).unwrap_err();
        let me = format!("is in use by process {} on ", std::process::id());
        assert!(error.to_string().contains(&me), "{error}");
        assert!(error.operator_advice().unwrap().contains("--data-dir"), "{error:?}");
        drop(shared);
        DataDir::open(&path).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn it_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("weir");
        let data = DataDir::open(&path).unwrap();
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(data.path()), mode(&path.join("lock"))), (0o700, 0o600));
    }

    #[test]
    fn a_file_in_its_place_is_an_error_with_advice() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("weir");
        std::fs::write(&path, "").unwrap();
        let error = DataDir::open(&path).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot use {}: ", path.display())), "{error}");
        assert!(error.operator_advice().unwrap().contains("a file in its way"), "{error:?}");
        let error = DataDir::open(path.join("below")).unwrap_err();
        assert!(error.operator_advice().unwrap().contains("a file in its way"), "{error:?}");
    }
}
