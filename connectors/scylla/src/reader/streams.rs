//! Which streams the log has at which time: the generations of vnodes, and the splits and merges of tablets.
//!
//! A change announces a new set of streams, some time ahead, for all writes from a certain time on. One set is read to
//! its end before the next one begins, so that order by key survives the change. The list of sets is asked for again
//! and again, and the reader never goes beyond what the last answer is good for: a look-up that fails is an error,
//! never "no new streams". A set that is closed stays in the list, since rows of it may still come late.

use std::sync::Arc;

use weir_sdk::{Error, ErrorKind};

use super::directory::Directory;
use super::row::StreamId;
use super::statement::Part;
use super::time::{Micros, SECOND, first_at};

/// Streams that one query names at most: the server refuses more.
const GROUP: usize = 100;
/// New sets are announced at least five seconds ahead; one is left for clocks.
const AHEAD: Micros = 4 * SECOND;

/// Every set of streams, by the time from which it is written to.
pub struct Streams {
    directory: Directory,
    generations: Vec<Generation>,
    known_until: Micros,
}

struct Generation {
    since: Micros,
    /// In groups of [`GROUP`], in the order of their tokens; read when first needed.
    groups: Option<Vec<Arc<[StreamId]>>>,
}

impl Streams {
    /// Knows nothing before the first [`refresh`](Self::refresh).
    pub fn of(directory: Directory) -> Self {
        Self { directory, generations: Vec::new(), known_until: Micros::MIN }
    }

    /// Looks for new sets. `now` is a time before the answer was made.
    pub async fn refresh(&mut self, now: Micros) -> Result<(), Error> {
        let last = self.generations.last().map_or(-1, |last| last.since);
        for since in self.directory.times(last).await? {
            if let Err(at) = self.generations.binary_search_by_key(&since, |generation| generation.since) {
                self.generations.insert(at, Generation { since, groups: None });
            }
        }
        if self.generations.is_empty() {
            return Err(Error::new(ErrorKind::Transient, "there are no streams for the log yet")
                .advice("wait for the first node to finish starting"));
        }
        self.known_until = self.known_until.max(now.saturating_add(AHEAD));
        Ok(())
    }

    /// The reader may go up to here with what is known.
    pub fn known_until(&self) -> Micros {
        self.known_until
    }

    /// The begin of the oldest set that is known.
    pub fn oldest(&self) -> Option<Micros> {
        self.generations.first().map(|first| first.since)
    }

    /// The begin of the set that is written to at `at`; `None` before the first one.
    pub fn since(&self, at: Micros) -> Option<Micros> {
        let next = self.generations.partition_point(|generation| generation.since <= at);
        next.checked_sub(1).map(|last| self.generations[last].since)
    }

    /// The end of the set that is written to at `at`; `None` before the first one.
    pub fn end(&self, at: Micros) -> Option<Micros> {
        let next = self.generations.partition_point(|generation| generation.since <= at);
        (next > 0).then(|| self.generations.get(next).map_or(Micros::MAX, |next| next.since))
    }

    /// The queries that read `from..to`: one for each group of each set that was written to in that time.
    pub async fn parts(&mut self, from: Micros, to: Micros) -> Result<Vec<Part>, Error> {
        let mut parts = Vec::new();
        for index in 0..self.generations.len() {
            let since = self.generations[index].since;
            let until = self.generations.get(index + 1).map_or(Micros::MAX, |next| next.since);
            let (from, to) = (from.max(since), to.min(until));
            if from < to {
                let (from, to) = (first_at(from), first_at(to));
                let groups = self.groups(index).await?.iter();
                parts.extend(groups.map(|streams| Part { streams: streams.clone(), from, to }));
            }
        }
        Ok(parts)
    }

    async fn groups(&mut self, index: usize) -> Result<&[Arc<[StreamId]>], Error> {
        if self.generations[index].groups.is_none() {
            let streams = self.directory.streams(self.generations[index].since).await?;
            self.generations[index].groups = Some(groups(streams));
        }
        Ok(self.generations[index].groups.as_deref().unwrap_or_default())
    }
}

/// Groups of neighbours, so that a query asks few replicas.
fn groups(mut streams: Vec<StreamId>) -> Vec<Arc<[StreamId]>> {
    streams.sort_unstable_by_key(|stream| (stream.token(), *stream));
    streams.dedup();
    streams.chunks(GROUP).map(Arc::from).collect()
}

#[cfg(test)]
mod tests {
    use super::{GROUP, groups};
    use crate::reader::row::StreamId;

    #[test]
    fn groups_hold_neighbours_and_no_more_than_the_server_takes() {
        let id = |n: u8, sign: u8| StreamId(std::array::from_fn(|at| if at == 0 { sign } else { n }));
        let streams: Vec<_> = (0..=255).map(|n| id(n, if n % 2 == 0 { 0x80 } else { 0 })).collect();
        let groups = groups([streams.clone(), streams].concat());
        assert_eq!(groups.iter().map(|group| group.len()).collect::<Vec<_>>(), [GROUP, GROUP, 56]);
        let tokens: Vec<_> = groups.iter().flat_map(|group| group.iter().map(StreamId::token)).collect();
        assert!(tokens.is_sorted(), "negative tokens come first");
    }
}
