//! What names a row of the log: its stream, its time and its number inside the batch.

use std::array::TryFromSliceError;
use std::fmt;

use scylla::value::CqlTimeuuid;

use super::time::{Bucket, Micros, bucket, micros_of};

/// A stream of the log, the partition key of its rows: 16 bytes that mean nothing to us but their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub [u8; 16]);

impl StreamId {
    /// The token that the stream stands for, by which streams are put in order.
    pub fn token(&self) -> i64 {
        i64::from_be_bytes(self.0[..8].try_into().expect("16 bytes hold 8"))
    }
}

impl TryFrom<&[u8]> for StreamId {
    type Error = TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).simple().fmt(f)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A place inside one stream; the order is that of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// `cdc$time`.
    pub time: CqlTimeuuid,
    /// `cdc$batch_seq_no`.
    pub seq: i32,
}

/// The name of a row in the whole log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowId {
    /// Where it lies.
    pub stream: StreamId,
    /// Its place there.
    pub place: Place,
}

impl RowId {
    /// When the row was written.
    pub fn micros(&self) -> Micros {
        micros_of(&self.place.time)
    }

    /// The second in which it was written.
    pub fn bucket(&self) -> Bucket {
        bucket(self.micros())
    }

    /// Eight bytes that stand for the row. They are kept in checkpoints, so this never changes.
    pub fn hash(&self) -> u64 {
        let words = |bytes: &[u8; 16]| {
            let word = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("8 of 16 bytes"));
            [word(0), word(8)]
        };
        let [a, b] = words(&self.stream.0);
        let [c, d] = words(self.place.time.as_bytes());
        // The finalizer of MurmurHash3 over each word: every bit of the input moves every bit of the sum.
        [a, b, c, d, u64::from(self.place.seq.cast_unsigned())].into_iter().fold(
            0x9e37_79b9_7f4a_7c15,
            |sum, word| {
                let mixed = (sum ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
                let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
                mixed ^ (mixed >> 33)
            },
        )
    }
}

/// `stream:time:seq`, which names the row to people and to dead letters.
impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = uuid::Uuid::from_bytes(*self.place.time.as_bytes());
        write!(f, "{}:{}:{}", self.stream, time.hyphenated(), self.place.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, RowId, StreamId};
    use crate::reader::time::first_at;

    #[test]
    fn the_hash_is_the_one_that_checkpoints_hold() {
        let row = RowId {
            stream: StreamId([7; 16]),
            place: Place { time: first_at(1_700_000_000_000_000), seq: 3 },
        };
        assert_eq!(row.hash(), 17_372_002_323_886_152_017);
        assert_eq!(
            row.to_string(),
            "07070707070707070707070707070707:04afc000-833b-11ee-8080-808080808080:3"
        );
        let next = RowId { place: Place { seq: 4, ..row.place }, ..row };
        assert!(next.place > row.place && next.hash() != row.hash());
    }
}
