//! Which streams the log has at which time: the generations of a cluster with vnodes.
//!
//! A topology change announces a new set of streams, some time ahead, for all writes from a certain time on. One set
//! is read to its end before the next one begins, so that order by key survives the change. The list of sets is asked
//! for again and again, and the reader never goes beyond what the last answer is good for: a look-up that fails is an
//! error, never "no new streams". With tablets a table has streams of its own; they will live here too.

use std::sync::Arc;

use scylla::client::session::Session;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlTimestamp;
use weir_sdk::{Error, ErrorKind};

use super::row::StreamId;
use super::statement::Part;
use super::time::{Micros, SECOND, first_at};
use crate::session::errors::{Classify, shape};

/// Streams that one query names at most: the server refuses more.
const GROUP: usize = 100;
/// New sets are announced at least five seconds ahead; one is left for clocks.
const AHEAD: Micros = 4 * SECOND;

const TIMES: &str =
    "SELECT time FROM system_distributed.cdc_generation_timestamps WHERE key = 'timestamps' AND time > ?";
const SETS: &str = "SELECT streams FROM system_distributed.cdc_streams_descriptions_v2 WHERE time = ?";

/// Every set of streams, by the time from which it is written to.
pub struct Streams {
    session: Arc<Session>,
    times: PreparedStatement,
    sets: PreparedStatement,
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
    pub async fn prepare(session: Arc<Session>) -> Result<Self, Error> {
        // The tables have three replicas wherever there are three nodes, and reading one replica may be reading old.
        let nodes = session.get_cluster_state().get_nodes_info().len();
        let consistency = if nodes <= 1 { Consistency::One } else { Consistency::Quorum };
        let mut times = prepare(&session, TIMES).await?;
        let mut sets = prepare(&session, SETS).await?;
        times.set_consistency(consistency);
        sets.set_consistency(consistency);
        Ok(Self { session, times, sets, generations: Vec::new(), known_until: Micros::MIN })
    }

    /// Looks for new sets. `now` is a time before the answer was made.
    pub async fn refresh(&mut self, now: Micros) -> Result<(), Error> {
        let last = self.generations.last().map_or(-1, |last| last.since / 1_000);
        let answer = self.session.execute_unpaged(&self.times, (CqlTimestamp(last),)).await;
        let answer = answer.map_err(|error| error.classify().context("look up the log's streams"))?;
        let answer = answer.into_rows_result().map_err(shape)?;
        for row in answer.rows::<(CqlTimestamp,)>().map_err(shape)? {
            let since = row.map_err(shape)?.0.0.saturating_mul(1_000);
            if let Err(at) = self.generations.binary_search_by_key(&since, |generation| generation.since) {
                self.generations.insert(at, Generation { since, groups: None });
            }
        }
        if self.generations.is_empty() {
            return Err(Error::new(ErrorKind::Transient, "the cluster has no streams for its logs yet")
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
            let streams = self.read(self.generations[index].since).await?;
            self.generations[index].groups = Some(groups(streams));
        }
        Ok(self.generations[index].groups.as_deref().unwrap_or_default())
    }

    async fn read(&self, since: Micros) -> Result<Vec<StreamId>, Error> {
        let failed = || {
            Error::new(ErrorKind::Transient, format!("the streams since {} ms are not there", since / 1_000))
        };
        let mut streams = Vec::new();
        let mut state = scylla::response::PagingState::start();
        loop {
            let time = (CqlTimestamp(since / 1_000),);
            let (answer, next) = self
                .session
                .execute_single_page(&self.sets, time, state)
                .await
                .map_err(|error| error.classify().context("look up the log's streams"))?;
            let answer = answer.into_rows_result().map_err(shape)?;
            for row in answer.rows::<(Vec<&[u8]>,)>().map_err(shape)? {
                for id in row.map_err(shape)?.0 {
                    streams.push(StreamId(id.try_into().map_err(|_| failed())?));
                }
            }
            match next.into_paging_control_flow().continue_value() {
                Some(next) => state = next,
                None if streams.is_empty() => return Err(failed()),
                None => return Ok(streams),
            }
        }
    }
}

/// Groups of neighbours, so that a query asks few replicas.
fn groups(mut streams: Vec<StreamId>) -> Vec<Arc<[StreamId]>> {
    streams.sort_unstable_by_key(|stream| (stream.token(), *stream));
    streams.dedup();
    streams.chunks(GROUP).map(Arc::from).collect()
}

async fn prepare(session: &Session, text: &str) -> Result<PreparedStatement, Error> {
    session.prepare(text).await.map_err(|error| {
        error.classify().context("prepare the look-up of the log's streams").advice(
            "the server must be a ScyllaDB whose logs use vnodes, and the user must be able to read system_distributed",
        )
    })
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
