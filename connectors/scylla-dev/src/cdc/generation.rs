//! Stream generations: which stream a partition's changes go to, from when on.
use bytes::Bytes;

use crate::error::{DbError, ErrorCode};
use crate::schema::PartitionKey;

/// How far a write's timestamp may be from the server's clock without knowledge of its streams, µs.
const LEEWAY: i64 = 5_000_000;
const STREAM_VERSION: u64 = 1;

/// One generation of streams.
#[derive(Debug, Clone)]
pub struct Generation {
    /// From when on writes use its streams, ms since 1970.
    pub since_millis: i64,
    /// By the last token of their range, ascending; one stream for each.
    pub streams: Vec<(i64, PartitionKey)>,
}

/// All generations, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Generations(Vec<Generation>);

/// The tokens at which `vnodes` ranges of equal length end, ascending.
pub fn range_ends(vnodes: u16) -> Vec<i64> {
    let step = (1_u128 << 64) / u128::from(vnodes.max(1));
    (0..u128::from(vnodes.max(1))).map(|i| (i * step + step / 2) as u64 as i64 ^ i64::MIN).collect()
}

impl Generation {
    /// A stream for each of the ranges that end at `ends`; `random` makes the ids unlike those of other generations.
    pub fn new(since_millis: i64, ends: &[i64], mut random: impl FnMut() -> u64) -> Self {
        let last = ends.last().copied().unwrap_or(i64::MAX);
        let starts = std::iter::once(last).chain(ends.iter().copied());
        let streams = starts.zip(ends).enumerate().map(|(index, (before, end))| {
            let low = (random() << 26) | ((index as u64 & 0x3F_FFFF) << 4) | STREAM_VERSION;
            (*end, stream_key(before.wrapping_add(1), low))
        });
        Self { since_millis, streams: streams.collect() }
    }

    /// The stream of the partition with this token.
    fn stream(&self, token: i64) -> Option<&PartitionKey> {
        let index = self.streams.partition_point(|(end, _)| *end < token);
        self.streams.get(index).or_else(|| self.streams.first()).map(|(_, stream)| stream)
    }
}

fn stream_key(token: i64, low: u64) -> PartitionKey {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&token.to_be_bytes());
    id[8..].copy_from_slice(&low.to_be_bytes());
    PartitionKey { token, bytes: Bytes::copy_from_slice(&id) }
}

impl Generations {
    /// All generations, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Generation> {
        self.0.iter()
    }

    /// Adds a generation.
    pub(crate) fn add(&mut self, generation: Generation) {
        self.0.push(generation);
        self.0.sort_by_key(|generation| generation.since_millis);
    }

    /// The stream for a write at `timestamp` (µs) to a partition with this token, or why there is none.
    pub(crate) fn stream(&self, timestamp: i64, token: i64, now: i64) -> Result<&PartitionKey, DbError> {
        if timestamp > now.saturating_add(LEEWAY) {
            return Err(DbError::invalid(from_the_future(timestamp, now)));
        }
        let in_use =
            |time: i64| self.0.iter().rev().find(|generation| generation.since_millis * 1000 <= time);
        let Some(generation) = in_use(timestamp) else {
            let text = format!(
                "cdc::metadata::get_stream: could not find any CDC stream for timestamp {timestamp}."
            );
            return Err(DbError::new(ErrorCode::Server, text));
        };
        let is_current = in_use(now).is_some_and(|current| current.since_millis <= generation.since_millis);
        if timestamp <= now.saturating_sub(LEEWAY) && !is_current {
            return Err(DbError::invalid(from_the_past(timestamp, now)));
        }
        generation.stream(token).ok_or_else(|| DbError::server("the CDC generation has no streams"))
    }
}

fn from_the_future(timestamp: i64, now: i64) -> String {
    format!(
        "cdc: attempted to get a stream \"from the future\" ({timestamp}; current server time: {now}). With CDC you cannot send \
         writes with timestamps arbitrarily into the future, because we don't know what streams will be used at that time.\n\
         We *do* allow sending writes into the near future, but our ability to do that is limited. If you really must use your \
         own timestamps, then make sure your clocks are well-synchronized  with the database's clocks."
    )
}

fn from_the_past(timestamp: i64, now: i64) -> String {
    format!(
        "cdc: attempted to get a stream \"from the past\" ({timestamp}; current server time: {now}). With CDC you cannot send \
         writes with timestamps too far into the past, because that would break consistency properties.\n\
         We *do* allow sending writes into the near past, but our ability to do that is limited. If you really must use your \
         own timestamps, then make sure your clocks are well-synchronized with the database's clocks."
    )
}
