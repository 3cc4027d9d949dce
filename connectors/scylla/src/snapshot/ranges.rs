//! How far each range of a snapshot is: the pure half, with its checkpoint.
//!
//! * `snapshot`: when it began and how many ranges there are; retired with the last of them
//! * `snapshot/of`: the table, since what was read of one says nothing about another
//! * `snapshot/N`: the last token of range N that was read as a whole
//!
//! A partition has one token and its rows come one after the other, so a range that goes on behind a token has every
//! row up to it and repeats at most the rows of the partition that it was in. Each value begins with a version.

use bytes::{Buf, BufMut, BytesMut};
use uuid::Uuid;
use weir_sdk::{Checkpoint, Error, ErrorKind, Offset, Partition};

use crate::reader::time::Micros;

const VERSION: u8 = 1;
const MAIN: &str = "snapshot";
const PREFIX: &str = "snapshot/";
const OF: &str = "snapshot/of";
/// Enough that progress shows and that a few in parallel end at about the same time; few enough for a checkpoint.
const RANGES: u32 = 256;

/// How far each range is.
#[derive(Debug, PartialEq, Eq)]
pub struct Ranges {
    began: Micros,
    of: Option<Uuid>,
    ranges: Vec<Range>,
    begun_saved: bool,
    of_saved: bool,
}

/// What is left to read of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// The number of the range.
    pub number: u32,
    /// The token behind which to go on.
    pub after: i64,
    /// The last token.
    pub end: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    /// Every row up to this token was emitted.
    after: i64,
    end: i64,
    /// The token whose rows are being emitted.
    open: Option<i64>,
    changed: bool,
}

impl Ranges {
    /// Nothing is read; it begins at this time of the server.
    pub fn begin(began: Micros) -> Self {
        Self { began, of: None, ranges: split(RANGES), begun_saved: false, of_saved: false }
    }

    /// Goes on where a checkpoint is; `None` when no snapshot is under way.
    ///
    /// # Errors
    /// `Config` when a part of it is damaged or of another version.
    pub fn read(checkpoint: &Checkpoint) -> Result<Option<Self>, Error> {
        let Some(main) = checkpoint.get(&MAIN.into()) else { return Ok(None) };
        let mut bytes = main.as_bytes().clone();
        let main = (|| {
            let version = bytes.try_get_u8().ok()?;
            let (began, count) = (bytes.try_get_i64().ok()?, bytes.try_get_u32().ok()?);
            // A count is a power of two, and no version has more.
            (version == VERSION && bytes.is_empty() && (1..=RANGES).contains(&count))
                .then_some((began, count))
        })();
        let (began, count) = main.ok_or_else(|| unreadable(MAIN))?;
        let mut ranges = split(count);
        let mut of = None;
        for (name, offset) in checkpoint.iter() {
            let (Some(number), Some(offset)) = (name.as_str().strip_prefix(PREFIX), offset) else { continue };
            let mut bytes = offset.as_bytes().clone();
            if name.as_str() == OF {
                let id = (bytes.try_get_u8() == Ok(VERSION)).then(|| Uuid::from_slice(&bytes).ok()).flatten();
                of = Some(id.ok_or_else(|| unreadable(OF))?);
                continue;
            }
            let range = number.parse::<usize>().ok().and_then(|number| ranges.get_mut(number));
            let after = (bytes.try_get_u8() == Ok(VERSION)).then(|| bytes.try_get_i64().ok()).flatten();
            match (range, after) {
                (Some(range), Some(after)) if (range.after..=range.end).contains(&after) => {
                    range.after = after;
                }
                _ => return Err(unreadable(name.as_str())),
            }
        }
        Ok(Some(Self { began, of, ranges, begun_saved: true, of_saved: of.is_some() }))
    }

    /// It is this table that is read, from the first call on.
    ///
    /// # Errors
    /// `Config` when it was another one.
    pub fn read_table(&mut self, id: Uuid) -> Result<(), Error> {
        if *self.of.get_or_insert(id) == id {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Config, "the snapshot that is under way is of another table").advice(
            "let `snapshot_from` name that one until the snapshot is done; or begin anew with this one: `weir offsets \
             reset` with `--to everything`, and `weir rebuild` with `--anew`",
        ))
    }

    /// Is this partition of a checkpoint one of ours?
    pub fn owns(partition: &Partition) -> bool {
        partition.as_str() == MAIN || partition.as_str().starts_with(PREFIX)
    }

    /// When it began, by the server's clock.
    pub fn began(&self) -> Micros {
        self.began
    }

    /// What is left of each range that is not read to its end.
    pub fn left(&self) -> Vec<Left> {
        let numbered = (0..).zip(&self.ranges);
        numbered
            .filter(|(_, range)| range.after < range.end)
            .map(|(number, range)| Left { number, after: range.after, end: range.end })
            .collect()
    }

    /// Everything is read.
    pub fn is_done(&self) -> bool {
        self.ranges.iter().all(|range| range.after == range.end)
    }

    /// The share that is read, 0 to 1.
    pub fn done(&self) -> f64 {
        let left = |range: &Range| range.end.abs_diff(range.after) as f64;
        1.0 - self.ranges.iter().map(left).sum::<f64>() / u64::MAX as f64
    }

    /// A row of this token is in the batch.
    pub fn pass(&mut self, range: u32, token: i64) {
        let range = &mut self.ranges[range as usize];
        if range.open != Some(token)
            && let Some(before) = range.open.replace(token)
        {
            (range.after, range.changed) = (before, true);
        }
    }

    /// Every row of the range is in this batch or an earlier one.
    pub fn end(&mut self, range: u32) {
        let range = &mut self.ranges[range as usize];
        *range = Range { after: range.end, end: range.end, open: None, changed: true };
    }

    /// What changed since the last call.
    pub fn checkpoint(&mut self) -> Checkpoint {
        let mut checkpoint = Checkpoint::default();
        if self.is_done() {
            self.retire_in(&mut checkpoint);
            return checkpoint;
        }
        if !std::mem::replace(&mut self.begun_saved, true) {
            let mut bytes = BytesMut::with_capacity(13);
            bytes.put_u8(VERSION);
            bytes.put_i64(self.began);
            bytes.put_u32(u32::try_from(self.ranges.len()).expect("256 ranges at most"));
            checkpoint.set(MAIN.into(), bytes.freeze());
        }
        if let Some(of) = self.of.filter(|_| !std::mem::replace(&mut self.of_saved, true)) {
            checkpoint.set(OF.into(), [&[VERSION], of.as_bytes().as_slice()].concat());
        }
        for (number, range) in self.ranges.iter_mut().enumerate().filter(|(_, range)| range.changed) {
            range.changed = false;
            checkpoint.set(partition(number), put(range.after));
        }
        checkpoint
    }

    /// Retires all that a checkpoint may hold of this snapshot.
    pub fn retire_in(&self, checkpoint: &mut Checkpoint) {
        checkpoint.retire(MAIN.into());
        checkpoint.retire(OF.into());
        (0..self.ranges.len()).for_each(|number| checkpoint.retire(partition(number)));
    }
}

/// All tokens, in `count` ranges of equal length. The smallest of all is no partition's.
fn split(count: u32) -> Vec<Range> {
    let step = (1_u128 << 64) / u128::from(count);
    let at = |number: u128| (number * step) as u64 as i64 ^ i64::MIN;
    let range = |number: u128| {
        let end = if number + 1 == u128::from(count) { i64::MAX } else { at(number + 1) };
        Range { after: at(number), end, open: None, changed: false }
    };
    (0..u128::from(count)).map(range).collect()
}

fn partition(number: usize) -> Partition {
    format!("{PREFIX}{number}").into()
}

fn put(after: i64) -> Offset {
    let mut bytes = BytesMut::with_capacity(9);
    bytes.put_u8(VERSION);
    bytes.put_i64(after);
    bytes.freeze().into()
}

fn unreadable(partition: &str) -> Error {
    let message = format!("the checkpoint's partition `{partition}` is damaged or of another version");
    Error::new(ErrorKind::Config, message)
        .advice("restore the checkpoint, or reset the task's offsets: the snapshot is then taken anew")
}

#[cfg(test)]
mod tests {
    use super::{Left, RANGES, Ranges, split};
    use proptest::prelude::*;
    use uuid::Uuid;
    use weir_sdk::{Checkpoint, Partition};

    #[test]
    fn ranges_cover_every_token_once() {
        let ranges = split(RANGES);
        assert_eq!((ranges[0].after, ranges[255].end), (i64::MIN, i64::MAX));
        assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].after && pair[0].after < pair[0].end));
        assert_eq!((split(1)[0].after, split(1)[0].end), (i64::MIN, i64::MAX));
    }

    #[test]
    fn a_token_is_passed_when_the_next_one_begins() {
        let mut ranges = Ranges::begin(7);
        assert!(!ranges.checkpoint().is_empty(), "that it began");
        let first = ranges.left()[3];
        ranges.pass(3, first.after + 5);
        ranges.pass(3, first.after + 5);
        assert!(ranges.checkpoint().is_empty(), "more rows of it may follow");
        ranges.pass(3, first.after + 9);
        let saved = ranges.checkpoint();
        assert_eq!(saved.len(), 1);
        assert_eq!(ranges.left()[3], Left { after: first.after + 5, ..first });
        ranges.end(3);
        assert_eq!(ranges.left()[3].number, 4);
        assert!((ranges.done() - 1.0 / 256.0).abs() < 1e-9, "{}", ranges.done());
    }

    #[test]
    fn what_was_read_of_one_table_says_nothing_about_another() {
        let (one, another) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut ranges = Ranges::begin(7);
        let mut saved = ranges.checkpoint();
        // As it was kept by those who knew one table only.
        let mut former = Ranges::read(&saved).unwrap().unwrap();
        former.read_table(another).unwrap();
        ranges.read_table(one).unwrap();
        saved.merge(ranges.checkpoint());
        let mut resumed = Ranges::read(&saved).unwrap().unwrap();
        assert!(resumed.checkpoint().is_empty(), "it is kept once");
        resumed.read_table(one).unwrap();
        let error = resumed.read_table(another).unwrap_err();
        assert!(error.operator_advice().unwrap().contains("--to everything"), "{error:?}");
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let sound = Ranges::begin(7).checkpoint();
        assert!(Ranges::read(&sound).unwrap().is_some());
        assert_eq!(Ranges::read(&Checkpoint::default()).unwrap(), None);
        for (name, offset) in [
            ("snapshot", vec![9]),
            ("snapshot/3", vec![1, 0]),
            ("snapshot/of", vec![1, 0]),
            ("snapshot/256", vec![1, 0, 0, 0, 0, 0, 0, 0, 0]),
        ] {
            let mut damaged = sound.clone();
            damaged.set(Partition::from(name), offset);
            let error = Ranges::read(&damaged).unwrap_err();
            assert!(error.to_string().contains(name) && error.operator_advice().is_some(), "{error:?}");
        }
    }

    proptest! {
        /// Whatever is read in whatever order: a checkpoint resumes with the same ranges, and ends with nothing.
        #[test]
        fn a_checkpoint_says_what_is_known(steps in prop::collection::vec((0u32..RANGES, any::<prop::sample::Index>()), 0..300)) {
            let mut ranges = Ranges::begin(7);
            let mut saved = Checkpoint::default();
            for (number, step) in steps {
                if let Some(Left { after, end, .. }) = ranges.left().into_iter().find(|left| left.number == number) {
                    match step.index(4) {
                        0 => ranges.end(number),
                        part => ranges.pass(number, after.max(ranges.ranges[number as usize].open.unwrap_or(after)) + (end - after) / (part as i64 * 9) ),
                    }
                }
                saved.merge(ranges.checkpoint());
                let resumed = Ranges::read(&saved).unwrap().unwrap();
                prop_assert_eq!(resumed.left(), ranges.left());
                prop_assert_eq!(resumed.began(), 7);
            }
            ranges.left().into_iter().for_each(|left| ranges.end(left.number));
            saved.merge(ranges.checkpoint());
            prop_assert!(ranges.is_done() && saved.without_retired().is_empty());
        }
    }
}
