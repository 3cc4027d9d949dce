//! Removes records from a file, also while a sink appends to it.
//!
//! Where no sink has the file, it is written anew without them and takes the old one's place. Where one has, lines
//! cannot move, or what it appends meanwhile would be lost: the line is then blanked where it stands. Its first byte
//! goes first, and a line that begins with a space is no record, so a crash leaves no half line.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use weir_sdk::Origin;

use super::disk::sync_folder;
use super::source::PARTITION;
use super::tail::Place;
use crate::line;

/// Removes the records of these origins; how many were there.
pub(super) fn purge(path: &Path, origins: &[Origin]) -> io::Result<usize> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let begin = Place::begin(&file)?;
    let here = origins.iter().filter(|origin| origin.partition.as_str() == PARTITION);
    let places = here.filter_map(|origin| Place::read(&origin.offset));
    let of_this = places.filter(|place| (place.device, place.inode) == (begin.device, begin.inode));
    let chosen: HashSet<u64> = of_this.map(|place| place.byte).collect();
    if chosen.is_empty() {
        return Ok(0);
    }
    match file.try_lock() {
        Ok(()) => rewrite(path, &file, &chosen),
        Err(TryLockError::WouldBlock) => blank(&file, &chosen),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Writes the file anew without the chosen lines; it stays locked until the new one stands in its place.
fn rewrite(path: &Path, file: &File, chosen: &HashSet<u64>) -> io::Result<usize> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".purge");
    let beside = path.with_file_name(name);
    let new = File::create(&beside)?;
    new.set_permissions(file.metadata()?.permissions())?;
    let mut kept = BufWriter::new(new);
    let mut purged = 0;
    each_line(file, |byte, line| {
        if chosen.contains(&byte) && !line::is_blank(line) {
            purged += 1;
            return Ok(());
        }
        if line::is_blank(line) { Ok(()) } else { kept.write_all(line) }
    })?;
    kept.into_inner()?.sync_all()?;
    fs::rename(&beside, path)?;
    sync_folder(path)?;
    Ok(purged)
}

/// Blanks the chosen lines where they stand.
fn blank(file: &File, chosen: &HashSet<u64>) -> io::Result<usize> {
    let mut found = Vec::new();
    each_line(file, |byte, line| {
        if chosen.contains(&byte) && !line::is_blank(line) && line.ends_with(b"\n") {
            found.push((byte, line.len() - 1));
        }
        Ok(())
    })?;
    for (byte, _) in &found {
        file.write_all_at(b" ", *byte)?;
    }
    file.sync_data()?;
    for (byte, length) in &found {
        file.write_all_at(&vec![b' '; *length], *byte)?;
    }
    file.sync_data()?;
    Ok(found.len())
}

/// Every line with where it begins; the last one may have no end.
fn each_line(file: &File, mut see: impl FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<()> {
    let (mut lines, mut byte, mut line) = (BufReader::new(file), 0, Vec::new());
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        see(byte, &line)?;
        byte += line.len() as u64;
    }
}
