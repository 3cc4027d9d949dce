//! Which shard a connection belongs to, and what a client is told that asked a shard for another one's tablet.
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{BufMut, Bytes};

use crate::outcome::BoundValue;
use crate::schema::Schema;
use crate::statements::Prepared;
use crate::system::Node;

/// How many connections each shard has.
#[derive(Debug, Clone)]
pub(super) struct Shards(Arc<Mutex<Vec<usize>>>);

/// A connection's place on a shard, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    shards: Shards,
    pub(super) shard: u16,
}

/// The extension of the protocol by which clients learn of tablets, and what they are told under.
pub(super) const EXTENSION: &str = "TABLETS_ROUTING_V1";
pub(super) const PAYLOAD: &str = "tablets-routing-v1";

impl Shards {
    pub(super) fn new(count: u16) -> Self {
        Self(Arc::new(Mutex::new(vec![0; usize::from(count.max(1))])))
    }

    /// A seat on the shard with the fewest connections: a client that opens enough of them gets every shard.
    pub(super) fn seat(&self) -> Seat {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fewest = (0..).zip(counts.iter_mut()).min_by_key(|(_, count)| **count);
        let shard = fewest.map_or(0, |(shard, count)| {
            *count += 1;
            shard
        });
        Seat { shards: self.clone(), shard }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.shards.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(usize::from(self.shard)) {
            *count -= 1;
        }
    }
}

/// Where a statement's partition is, if that is a tablet of another shard than the one that was asked:
/// `tuple<bigint, bigint, list<tuple<uuid, int>>>`, the token before the first, the last one, and the replicas.
pub(super) fn tablet_elsewhere(
    schema: &Schema,
    node: &Node,
    (prepared, values): (&Prepared, &[BoundValue]),
    shard: u16,
) -> Option<Vec<u8>> {
    let table = prepared.table()?;
    let tablets = schema.tablets(table)?;
    let markers = prepared.partition_key_markers();
    let value = |marker: &u16| match values.get(usize::from(*marker)) {
        Some(BoundValue::Set(bytes)) => Some(bytes.clone()),
        _ => None,
    };
    let key: Vec<Bytes> = markers.iter().map(value).collect::<Option<_>>()?;
    if key.is_empty() {
        return None;
    }
    let token = table.partition_key(&key).ok()?.token;
    let size = (1_u128 << 64) / u128::from(tablets);
    let index = u128::from(token as u64 ^ 1 << 63) / size;
    let owner = (index % u128::from(node.layout.shards)) as u16;
    let end = |index: u128| ((index * size) as u64).wrapping_sub(1) as i64 ^ i64::MIN;
    let before = if index == 0 { i64::MIN } else { end(index) };
    (owner != shard).then(|| {
        let mut out = Vec::with_capacity(64);
        for token in [before, end(index + 1)] {
            out.put_i32(8);
            out.put_i64(token);
        }
        // One replica of 28 bytes in a list of 36.
        out.extend_from_slice(&[36_i32, 1, 28, 16].map(i32::to_be_bytes).concat());
        out.put_slice(node.host_id.as_bytes());
        out.put_i32(4);
        out.put_i32(i32::from(owner));
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_connections_as_shards_get_one_each() {
        let shards = Shards::new(3);
        let mut seats: Vec<Seat> = (0..6).map(|_| shards.seat()).collect();
        assert_eq!(seats.iter().map(|seat| seat.shard).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2]);
        drop(seats.remove(4));
        assert_eq!(shards.seat().shard, 1, "the one that lost a connection");
    }
}
