//! The tallies that are not told yet, as partitions of the checkpoint.
//!
//! * `housekeeping`: the first minute that may still change, and where telling began, until that is told
//! * `housekeeping/N`: what was emitted of minute N, and whether that is all; retired once it is told
//!
//! Where a large checkpoint is saved in parts, that is by name: these before the position that covers them.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use weir_sdk::{Checkpoint, Error, Offset, Partition};

use super::{VERSION, get_sums, put_sum, unreadable};
use crate::reader::tally::{Minute, Tally, Word, first_from, seconds};
use crate::reader::token::Position;

const NEXT: &str = "housekeeping";
const OF: &str = "housekeeping/";
const OPEN: u8 = 0;
const WHOLE: u8 = 1;
/// Whole, and the first one.
const BEGIN: u8 = 2;

/// What a checkpoint says of tallies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallies {
    /// The first minute that may still change.
    pub next: Minute,
    /// The first minute that is told, where the position is older; `None` once it was.
    pub begun: Option<Minute>,
    /// Those that are not told yet, and whether they are whole.
    pub minutes: BTreeMap<Minute, (Tally, bool)>,
}

impl Position {
    /// With tallies from the begin of this position on; what that changes in the checkpoint is added to it.
    pub fn tally(&mut self, checkpoint: &mut Checkpoint) {
        let begin = || Tallies { next: first_from(self.main.cut), ..Tallies::default() };
        let tallies = self.tallies.get_or_insert_with(begin);
        checkpoint.set(next(), put_next(tallies.next, tallies.begun));
    }

    /// With tallies from here on, where nobody has tallied what was read so far.
    pub fn tally_from_here(&mut self) {
        let read = self.main.window.map_or(self.main.cut, |(to, _)| to);
        let next = first_from(read);
        self.tallies.get_or_insert_with(|| Tallies { next, begun: Some(next), ..Tallies::default() });
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
        let (next, begun) = get_next(offset).ok_or_else(|| unreadable(&partition))?;
        let minutes = all(checkpoint)?.into_iter();
        let minutes = minutes.map(|(minute, (tally, state))| (minute, (tally, state != OPEN))).collect();
        Ok(Some(Self { next, begun, minutes }))
    }

    /// What is to be told of whole minutes, as this checkpoint says.
    ///
    /// # Errors
    /// `Config` when a tally is damaged or of another version.
    pub fn whole(checkpoint: &Checkpoint) -> Result<BTreeMap<Minute, Word>, Error> {
        let words = all(checkpoint)?.into_iter().filter(|(_, (_, state))| *state != OPEN);
        let word = |(minute, (tally, state))| (minute, Word { tally, begins: state == BEGIN });
        Ok(words.map(word).collect())
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

/// The first minute that may still change, and where telling began.
pub fn put_next(next: Minute, begun: Option<Minute>) -> Offset {
    let mut bytes = BytesMut::from(&[VERSION][..]);
    bytes.put_i64(next);
    begun.into_iter().for_each(|begun| bytes.put_i64(begun));
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

/// The same of the first one that is told.
pub fn put_first(tally: &Tally) -> Offset {
    put(tally, BEGIN)
}

fn put(tally: &Tally, state: u8) -> Offset {
    let mut bytes = BytesMut::from(&[VERSION, state][..]);
    tally.iter().for_each(|(second, sum)| put_sum(&mut bytes, second, sum));
    bytes.freeze().into()
}

fn all(checkpoint: &Checkpoint) -> Result<BTreeMap<Minute, (Tally, u8)>, Error> {
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

fn get_next(offset: &Offset) -> Option<(Minute, Option<Minute>)> {
    let mut bytes = versioned(offset)?;
    let next = bytes.try_get_i64().ok()?;
    let begun = if bytes.is_empty() { None } else { Some(bytes.try_get_i64().ok()?) };
    bytes.is_empty().then_some((next, begun))
}

fn get(minute: Minute, offset: &Offset) -> Option<(Tally, u8)> {
    let mut bytes = versioned(offset)?;
    let state = bytes.try_get_u8().ok().filter(|state| [OPEN, WHOLE, BEGIN].contains(state))?;
    let mut sums = Vec::new();
    get_sums(&mut bytes, &mut sums)?;
    let is_of_minute = sums.iter().all(|(second, _)| seconds(minute).contains(second));
    is_of_minute.then(|| (sums.into_iter().collect(), state))
}

fn versioned(offset: &Offset) -> Option<Bytes> {
    let mut bytes = offset.as_bytes().clone();
    (bytes.try_get_u8().ok()? == VERSION).then_some(bytes)
}
