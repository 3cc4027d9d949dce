//! The tallies that are not told yet, as partitions of the checkpoint.
//!
//! * `housekeeping`: the first minute that may still change
//! * `housekeeping/N`: what was emitted of minute N, and whether that is all; retired once it is told
//!
//! Where a large checkpoint is saved in parts, that is by name: these before the position that covers them.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use weir_sdk::{Checkpoint, Error, Offset, Partition};

use super::{VERSION, get_sums, put_sum, unreadable};
use crate::reader::tally::{Minute, Tally, first_from, seconds};
use crate::reader::token::Position;

const NEXT: &str = "housekeeping";
const OF: &str = "housekeeping/";
const OPEN: u8 = 0;
const WHOLE: u8 = 1;

/// What a checkpoint says of tallies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallies {
    /// The first minute that may still change.
    pub next: Minute,
    /// Those that are not told yet, and whether they are whole.
    pub minutes: BTreeMap<Minute, (Tally, bool)>,
}

impl Position {
    /// With tallies; what that changes in the checkpoint is added to it. What was emitted before they begin is not known,
    /// so they begin behind it.
    pub fn tally(&mut self, checkpoint: &mut Checkpoint) {
        let read = self.main.window.map_or(self.main.cut, |(to, _)| to);
        let begin = || Tallies { next: first_from(read), ..Tallies::default() };
        let tallies = self.tallies.get_or_insert_with(begin);
        checkpoint.set(next(), put_next(tallies.next));
    }

    /// Without tallies; what that changes in the checkpoint is added to it.
    pub fn tally_no_more(&mut self, checkpoint: &mut Checkpoint) {
        if let Some(over) = self.tallies.take() {
            checkpoint.retire(next());
            over.minutes.keys().for_each(|minute| checkpoint.retire(of(*minute)));
        }
    }
}

impl Tallies {
    /// Is this partition one of tallies?
    pub fn owns(partition: &Partition) -> bool {
        partition.as_str() == NEXT || partition.as_str().starts_with(OF)
    }

    /// Reads what a checkpoint says of tallies; `None` when nothing was tallied.
    ///
    /// # Errors
    /// `Config` when a part of it is damaged or of another version.
    pub fn read(checkpoint: &Checkpoint) -> Result<Option<Self>, Error> {
        let partition = next();
        let Some(offset) = checkpoint.get(&partition) else { return Ok(None) };
        let next = get_next(offset).ok_or_else(|| unreadable(&partition))?;
        Ok(Some(Self { next, minutes: all(checkpoint)? }))
    }

    /// The whole tallies that are in this checkpoint.
    ///
    /// # Errors
    /// `Config` when one is damaged or of another version.
    pub fn whole(checkpoint: &Checkpoint) -> Result<BTreeMap<Minute, Tally>, Error> {
        let whole =
            |(minute, (tally, is_whole)): (Minute, (Tally, bool))| is_whole.then_some((minute, tally));
        Ok(all(checkpoint)?.into_iter().filter_map(whole).collect())
    }
}

/// The partition of the first minute that may still change.
pub fn next() -> Partition {
    NEXT.into()
}

/// The partition of a minute.
pub fn of(minute: Minute) -> Partition {
    format!("{OF}{minute}").into()
}

/// The first minute that may still change.
pub fn put_next(minute: Minute) -> Offset {
    let mut bytes = BytesMut::from(&[VERSION][..]);
    bytes.put_i64(minute);
    bytes.freeze().into()
}

/// The tally of a minute that may still change.
pub fn put_open(tally: &Tally) -> Offset {
    put(tally, OPEN)
}

/// The tally of a minute that changes no more.
pub fn put_whole(tally: &Tally) -> Offset {
    put(tally, WHOLE)
}

fn put(tally: &Tally, state: u8) -> Offset {
    let mut bytes = BytesMut::from(&[VERSION, state][..]);
    tally.iter().for_each(|(second, sum)| put_sum(&mut bytes, second, sum));
    bytes.freeze().into()
}

fn all(checkpoint: &Checkpoint) -> Result<BTreeMap<Minute, (Tally, bool)>, Error> {
    let minutes = checkpoint.iter().filter_map(|(name, offset)| {
        let minute = name.as_str().strip_prefix(OF)?;
        Some((minute.parse(), name, offset?))
    });
    let read = |(minute, name, offset): (Result<_, _>, &Partition, &Offset)| {
        let tally = minute.ok().and_then(|minute| Some((minute, get(minute, offset)?)));
        tally.ok_or_else(|| unreadable(name))
    };
    minutes.map(read).collect()
}

fn get_next(offset: &Offset) -> Option<Minute> {
    let mut bytes = versioned(offset)?;
    let next = bytes.try_get_i64().ok()?;
    bytes.is_empty().then_some(next)
}

fn get(minute: Minute, offset: &Offset) -> Option<(Tally, bool)> {
    let mut bytes = versioned(offset)?;
    let is_whole = match bytes.try_get_u8().ok()? {
        OPEN => false,
        WHOLE => true,
        _ => return None,
    };
    let mut sums = Vec::new();
    get_sums(&mut bytes, &mut sums)?;
    let is_of_minute = sums.iter().all(|(second, _)| seconds(minute).contains(second));
    is_of_minute.then(|| (sums.into_iter().collect(), is_whole))
}

fn versioned(offset: &Offset) -> Option<Bytes> {
    let mut bytes = offset.as_bytes().clone();
    (bytes.try_get_u8().ok()? == VERSION).then_some(bytes)
}
