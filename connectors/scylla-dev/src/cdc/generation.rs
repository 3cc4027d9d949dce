//! Stream generations: which stream a partition's changes go to, from when on.
use bytes::Bytes;

use super::sharding;
use crate::error::{DbError, ErrorCode};
use crate::schema::PartitionKey;

/// How far a write's timestamp may be from the server's clock without knowledge of its streams, µs.
const LEEWAY: i64 = 5_000_000;
const STREAM_VERSION: u64 = 1;

/// One generation of streams: of the node's vnodes, or of the tablets of one table.
#[derive(Debug, Clone)]
pub struct Generation {
    /// From when on writes use its streams, ms since 1970.
    pub since_millis: i64,
    /// In the order of tokens.
    pub ranges: Vec<StreamRange>,
}

/// The streams of the tokens up to `end`, from where the range before ends.
#[derive(Debug, Clone)]
pub struct StreamRange {
    /// The last token.
    pub end: i64,
    /// Of a vnode one for each shard, in their order; of a tablet the one it has.
    pub streams: Vec<PartitionKey>,
}

/// Generations that follow each other, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Generations(Vec<Generation>);

/// The tokens at which `vnodes` ranges of equal length end, ascending.
pub fn range_ends(vnodes: u16) -> Vec<i64> {
    let step = (1_u128 << 64) / u128::from(vnodes.max(1));
    (0..u128::from(vnodes.max(1))).map(|i| (i * step + step / 2) as u64 as i64 ^ i64::MIN).collect()
}

/// The last token of each of `count` tablets (a power of two), ascending.
pub fn tablet_ends(count: u32) -> impl Iterator<Item = i64> {
    let step = (1_u128 << 64) / u128::from(count.max(1));
    (1..=u128::from(count.max(1))).map(move |i| (i * step - 1) as u64 as i64 ^ i64::MIN)
}

impl Generation {
    /// A stream for each shard in each of the ranges that end at `ends`; `random` makes the ids unlike all others.
    pub fn of_vnodes(since_millis: i64, ends: &[i64], shards: u16, mut random: impl FnMut() -> u64) -> Self {
        let last = ends.last().copied().unwrap_or(i64::MAX);
        let starts = std::iter::once(last).chain(ends.iter().copied());
        let ranges = starts.zip(ends).zip(0..).map(|((after, end), index)| {
            let first = |shard| sharding::first_token(after, *end, shard, shards);
            let streams = (0..shards).map(|shard| stream_key(first(shard), index, random()));
            StreamRange { end: *end, streams: streams.collect() }
        });
        Self { since_millis, ranges: ranges.collect() }
    }

    /// A stream for each of `count` tablets, which is a power of two.
    pub fn of_tablets(since_millis: i64, count: u32, mut random: impl FnMut() -> u64) -> Self {
        let range = |end| StreamRange { end, streams: vec![stream_key(end, 0, random())] };
        Self { since_millis, ranges: tablet_ends(count).map(range).collect() }
    }

    /// All streams.
    pub fn streams(&self) -> impl Iterator<Item = &PartitionKey> {
        self.ranges.iter().flat_map(|range| &range.streams)
    }

    /// The stream of the partition with this token.
    fn stream(&self, token: i64) -> Option<&PartitionKey> {
        let index = self.ranges.partition_point(|range| range.end < token);
        let streams = &self.ranges.get(index).or_else(|| self.ranges.first())?.streams;
        streams.get(usize::from(sharding::shard_of(token, streams.len() as u16)))
    }
}

/// Token, then 38 random bits, 22 of the range's index, 4 of the version.
fn stream_key(token: i64, index: u64, random: u64) -> PartitionKey {
    let low = (random << 26) | ((index & 0x3F_FFFF) << 4) | STREAM_VERSION;
    let id = [token.to_be_bytes(), low.to_be_bytes()].concat();
    PartitionKey { token, bytes: Bytes::from(id) }
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
        let generation = in_use(timestamp);
        if timestamp <= now.saturating_sub(LEEWAY) {
            let current = in_use(now).map(|current| current.since_millis);
            if generation.is_none_or(|generation| Some(generation.since_millis) != current) {
                return Err(DbError::invalid(from_the_past(timestamp, now)));
            }
        }
        let missing = || {
            let text = format!(
                "cdc::metadata::get_stream: could not find any CDC stream for timestamp {}.",
                show(timestamp)
            );
            DbError::new(ErrorCode::Server, text)
        };
        generation.and_then(|generation| generation.stream(token)).ok_or_else(missing)
    }
}

/// A write timestamp as ScyllaDB's messages show it.
fn show(timestamp: i64) -> String {
    let time = jiff::Timestamp::from_microsecond(timestamp);
    time.map_or_else(|_| timestamp.to_string(), |time| time.strftime("%Y/%m/%d %H:%M:%S").to_string())
}

fn from_the_future(timestamp: i64, now: i64) -> String {
    format!(
        "cdc: attempted to get a stream \"from the future\" ({}; current server time: {}). With CDC you cannot send \
         writes with timestamps arbitrarily into the future, because we don't know what streams will be used at that time.\n\
         We *do* allow sending writes into the near future, but our ability to do that is limited. If you really must use your \
         own timestamps, then make sure your clocks are well-synchronized  with the database's clocks.",
        show(timestamp),
        show(now)
    )
}

fn from_the_past(timestamp: i64, now: i64) -> String {
    format!(
        "cdc: attempted to get a stream \"from the past\" ({}; current server time: {}). With CDC you cannot send \
         writes with timestamps too far into the past, because that would break consistency properties.\n\
         We *do* allow sending writes into the near past, but our ability to do that is limited. Are you using client-side \
         timestamps? Make sure your clocks are well-synchronized with the database's clocks.",
        show(timestamp),
        show(now)
    )
}
