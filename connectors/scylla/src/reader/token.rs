//! The position of the reader as a checkpoint: a few kinds of partitions, so that a batch only names what changed.
//!
//! * `log`: how far the front is, the window it is in, and which seconds will be visited again
//! * `log/at/N`: inside the open window, the last row emitted of each stream of part N; retired with the window
//! * `log/ids/N`: ids of emitted rows that a later visit may meet; written once, retired when their seconds settle
//! * `log/sums`: the seconds over the memory budget, as sums
//! * [`tallies`]: where there is housekeeping, what was emitted and is not told yet
//!
//! Each value begins with a version. What cannot be read is an error, never a beginning from zero.

pub mod tallies;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use scylla::value::CqlTimeuuid;
use weir_sdk::{Checkpoint, Error, ErrorKind, Offset, Partition};

use super::row::{Place, StreamId};
use super::tally::first_from;
use super::time::{Bucket, Micros};
use super::unsettled::Sum;
use crate::snapshot::ranges::Ranges;
use tallies::Tallies;

const VERSION: u8 = 1;
const MAIN: &str = "log";
const SUMS: &str = "log/sums";

/// How far the front is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Main {
    /// Every row before this time was emitted, apart from late ones.
    pub cut: Micros,
    /// Nothing was read yet: the cut is where an `earliest` start at this time would begin.
    pub fresh: Option<Micros>,
    /// The window that is being read: its end, and when reading it began.
    pub window: Option<(Micros, Micros)>,
    /// The seconds that will be visited again, in runs.
    pub waiting: Vec<Range<Bucket>>,
}

/// All that a checkpoint says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// How far the front is.
    pub main: Main,
    /// The last row emitted of each stream inside the open window.
    pub places: HashMap<StreamId, Place>,
    /// The numbers of the partitions that hold `places`.
    pub parts: Vec<u64>,
    /// The ids of emitted rows, by the number of their partition.
    pub ids: BTreeMap<u64, Vec<(Bucket, u64)>>,
    /// The seconds that are only sums.
    pub sums: Vec<(Bucket, Sum)>,
    /// What is not told yet; `None` where nothing is to be told.
    pub tallies: Option<Tallies>,
}

impl Position {
    /// Reads a checkpoint; `None` when it is empty.
    ///
    /// # Errors
    /// `Config` when a part of it is missing, damaged or of another version.
    pub fn read(checkpoint: &Checkpoint) -> Result<Option<Self>, Error> {
        if checkpoint.is_empty() {
            return Ok(None);
        }
        let mut position = Self { tallies: Tallies::read(checkpoint)?, ..Self::default() };
        let mut main = None;
        let ours = checkpoint.iter().filter(|(name, _)| !Ranges::owns(name) && !Tallies::owns(name));
        for (partition, offset) in ours.filter_map(|(name, offset)| Some((name, offset?))) {
            let read = |read: Option<()>| read.ok_or_else(|| unreadable(partition));
            let mut bytes = offset.as_bytes().clone();
            read((bytes.try_get_u8().ok() == Some(VERSION)).then_some(()))?;
            let number = |prefix| partition.as_str().strip_prefix(prefix)?.parse().ok();
            match partition.as_str() {
                MAIN => main = Some(Main::get(&mut bytes).ok_or_else(|| unreadable(partition))?),
                SUMS => read(get_sums(&mut bytes, &mut position.sums))?,
                _ => {
                    if let Some(part) = number("log/at/") {
                        position.parts.push(part);
                        read(get_all(&mut bytes, |bytes| {
                            let (stream, place) = get_place(bytes)?;
                            // Two runs may have read the same window, the later one further.
                            let last = position.places.entry(stream).or_insert(place);
                            *last = place.max(*last);
                            Some(())
                        }))?;
                    } else if let Some(chunk) = number("log/ids/") {
                        let ids = position.ids.entry(chunk).or_default();
                        read(get_all(&mut bytes, |bytes| get_ids(bytes, ids)))?;
                    } else {
                        return Err(unreadable(partition));
                    }
                }
            }
        }
        position.main = main.ok_or_else(|| unreadable(&Partition::from(MAIN)))?;
        Ok(Some(position))
    }

    /// The position of one who gives up what was not read and begins anew at `oldest`, as a first start at `now` would.
    /// Late rows of what was read are still looked for, and places inside the window that was open are retired.
    #[must_use]
    pub fn begun_anew(self, oldest: Micros, now: Micros) -> Self {
        let main = Main { cut: oldest, fresh: Some(now), window: None, ..self.main };
        // What lies behind the gap is whole from its first whole minute on.
        let tallies = self.tallies.map(|told| Tallies { next: told.next.max(first_from(oldest)), ..told });
        Self { main, places: HashMap::new(), tallies, ..self }
    }
}

impl Main {
    /// From here on nothing may have expired, or it is lost.
    pub fn unread(&self) -> Micros {
        self.fresh.unwrap_or(self.cut)
    }

    fn get(bytes: &mut Bytes) -> Option<Self> {
        let flags = bytes.try_get_u8().ok()?;
        let cut = bytes.try_get_i64().ok()?;
        let fresh = match flags & 1 {
            0 => None,
            _ => Some(bytes.try_get_i64().ok()?),
        };
        let window = match flags & 2 {
            0 => None,
            _ => Some((bytes.try_get_i64().ok()?, bytes.try_get_i64().ok()?)),
        };
        let runs = bytes.try_get_u32().ok()?;
        let mut waiting = Vec::new();
        for _ in 0..runs {
            waiting.push(bytes.try_get_i64().ok()?..bytes.try_get_i64().ok()?);
        }
        let known = flags & !3 == 0 && bytes.is_empty();
        known.then_some(Self { cut, fresh, window, waiting })
    }

    /// The partition and its offset.
    pub fn put(&self) -> (Partition, Offset) {
        let mut bytes = BytesMut::with_capacity(46);
        bytes.put_u8(VERSION);
        bytes.put_u8(u8::from(self.fresh.is_some()) | u8::from(self.window.is_some()) << 1);
        bytes.put_i64(self.cut);
        self.fresh.into_iter().for_each(|begun| bytes.put_i64(begun));
        if let Some((to, began)) = self.window {
            bytes.put_i64(to);
            bytes.put_i64(began);
        }
        bytes.put_u32(u32::try_from(self.waiting.len()).expect("a few runs"));
        for run in &self.waiting {
            bytes.put_i64(run.start);
            bytes.put_i64(run.end);
        }
        (MAIN.into(), bytes.freeze().into())
    }
}

/// The partition of a part's places.
pub fn at(part: u64) -> Partition {
    format!("log/at/{part}").into()
}

/// The places of a part.
pub fn put_places<'a>(places: impl IntoIterator<Item = (&'a StreamId, &'a Place)>) -> Offset {
    let mut bytes = BytesMut::from(&[VERSION][..]);
    for (stream, place) in places {
        bytes.put_slice(&stream.0);
        bytes.put_slice(place.time.as_bytes());
        bytes.put_i32(place.seq);
    }
    bytes.freeze().into()
}

/// The partition of some ids.
pub fn ids(chunk: u64) -> Partition {
    format!("log/ids/{chunk}").into()
}

/// Ids with their seconds; those of one second that follow each other share it.
pub fn put_ids(ids: &[(Bucket, u64)]) -> Offset {
    let mut bytes = BytesMut::with_capacity(1 + 16 + ids.len() * 8);
    bytes.put_u8(VERSION);
    for run in ids.chunk_by(|(a, _), (b, _)| a == b) {
        bytes.put_i64(run[0].0);
        bytes.put_u32(u32::try_from(run.len()).expect("a batch holds far fewer rows"));
        run.iter().for_each(|(_, id)| bytes.put_u64(*id));
    }
    bytes.freeze().into()
}

/// The partition of the sums.
pub fn sums() -> Partition {
    SUMS.into()
}

/// The seconds that are only sums.
pub fn put_sums(sums: impl IntoIterator<Item = (Bucket, Sum)>) -> Offset {
    let mut bytes = BytesMut::from(&[VERSION][..]);
    sums.into_iter().for_each(|(second, sum)| put_sum(&mut bytes, second, sum));
    bytes.freeze().into()
}

fn put_sum(bytes: &mut BytesMut, second: Bucket, sum: Sum) {
    bytes.put_i64(second);
    bytes.put_u64(sum.rows);
    bytes.put_u64(sum.hashes);
}

fn get_sums(bytes: &mut Bytes, sums: &mut Vec<(Bucket, Sum)>) -> Option<()> {
    get_all(bytes, |bytes| {
        let second = bytes.try_get_i64().ok()?;
        sums.push((second, Sum { rows: bytes.try_get_u64().ok()?, hashes: bytes.try_get_u64().ok()? }));
        Some(())
    })
}

fn get_all(bytes: &mut Bytes, mut one: impl FnMut(&mut Bytes) -> Option<()>) -> Option<()> {
    while bytes.has_remaining() {
        one(bytes)?;
    }
    Some(())
}

fn get_place(bytes: &mut Bytes) -> Option<(StreamId, Place)> {
    let (mut stream, mut time) = ([0; 16], [0; 16]);
    bytes.try_copy_to_slice(&mut stream).ok()?;
    bytes.try_copy_to_slice(&mut time).ok()?;
    Some((StreamId(stream), Place { time: CqlTimeuuid::from_bytes(time), seq: bytes.try_get_i32().ok()? }))
}

fn get_ids(bytes: &mut Bytes, ids: &mut Vec<(Bucket, u64)>) -> Option<()> {
    let (second, rows) = (bytes.try_get_i64().ok()?, bytes.try_get_u32().ok()?);
    for _ in 0..rows {
        ids.push((second, bytes.try_get_u64().ok()?));
    }
    Some(())
}

fn unreadable(partition: &Partition) -> Error {
    let message =
        format!("the checkpoint's partition `{partition}` is missing, damaged or of another version");
    Error::new(ErrorKind::Config, message).advice(
        "restore the checkpoint, or reset the task's offsets: what the log still holds is then read again",
    )
}

#[cfg(test)]
mod tests;
