//! Where a page ended: the last row shown, so that the next page is right whatever changed meanwhile.
use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::error::DbError;
use crate::schema::PartitionKey;

/// The last row of a page, and what the limits leave for the following ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) key: PartitionKey,
    /// The row's place; `None` when nothing of the partition is left to show.
    pub(super) place: Option<Vec<u8>>,
    /// Rows already shown of this partition.
    pub(super) shown_here: u32,
    /// Rows that LIMIT leaves.
    pub(super) left: u32,
}

const VERSION: u8 = 1;

impl Position {
    /// The position as clients hand it back.
    pub(super) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(32 + self.key.bytes.len());
        out.put_u8(VERSION);
        out.put_u32(self.shown_here);
        out.put_u32(self.left);
        out.put_i64(self.key.token);
        // Partition keys are at most 65535 bytes long.
        out.put_u16(u16::try_from(self.key.bytes.len()).unwrap_or(u16::MAX));
        out.put_slice(&self.key.bytes);
        if let Some(place) = &self.place {
            out.put_u8(1);
            out.put_slice(place);
        }
        out.freeze()
    }

    /// Reads what [`Position::encode`] wrote; a client may hand back anything.
    pub(super) fn decode(mut state: Bytes) -> Result<Self, DbError> {
        let wrong = || DbError::protocol("Invalid value for the paging state");
        if state.len() < 19 || state.get_u8() != VERSION {
            return Err(wrong());
        }
        let (shown_here, left, token) = (state.get_u32(), state.get_u32(), state.get_i64());
        if left == 0 {
            return Err(wrong());
        }
        let length = usize::from(state.get_u16());
        if state.len() < length {
            return Err(wrong());
        }
        let key = PartitionKey { token, bytes: state.split_to(length) };
        let place = if state.is_empty() { None } else { Some(state.slice(1..).to_vec()) };
        Ok(Self { key, place, shown_here, left })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_the_trip_to_the_client() {
        let key = PartitionKey { token: -7, bytes: Bytes::from_static(b"key") };
        for place in [None, Some(vec![]), Some(vec![2, 1, 0])] {
            let position = Position { key: key.clone(), place, shown_here: 3, left: u32::MAX };
            assert_eq!(Position::decode(position.encode()), Ok(position));
        }
    }

    #[test]
    fn foreign_bytes_are_refused() {
        for state in [&b""[..], b"x", b"\x02aaaaaaaaaaaaaaaaaaaaaaaa", b"\x01aaaaaaaaaaaaaaaa\xff\xffshort"] {
            assert!(Position::decode(Bytes::from_static(state)).is_err(), "{state:?}");
        }
    }
}
