//! Where ScyllaDB tells which streams there are: one list for all logs on vnodes, one for each log on tablets.
//!
//! On vnodes the list lies in tables of the cluster; on tablets every node tells it from its own memory. Both say from
//! which time on a set of streams is written to, and both say it ahead of that time.

use std::sync::Arc;

use scylla::client::session::Session;
use scylla::response::PagingState;
use scylla::response::query_result::QueryRowsResult;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlTimestamp, CqlValue};
use weir_sdk::{Error, ErrorKind};

use super::row::StreamId;
use super::table::Table;
use super::time::Micros;
use crate::session::errors::{Classify, shape};

const VNODES: [&str; 2] = [
    "SELECT time FROM system_distributed.cdc_generation_timestamps WHERE key = 'timestamps' AND time > ?",
    "SELECT streams FROM system_distributed.cdc_streams_descriptions_v2 WHERE time = ?",
];
/// State 0 is the whole set; the others tell what it closed and what it opened.
const TABLETS: [&str; 2] = [
    "SELECT timestamp FROM system.cdc_timestamps WHERE keyspace_name = ? AND table_name = ? AND timestamp > ?",
    "SELECT stream_id FROM system.cdc_streams WHERE keyspace_name = ? AND table_name = ? AND timestamp = ? AND stream_state = 0",
];

/// Looks up the sets of streams of one log.
pub struct Directory {
    session: Arc<Session>,
    /// The keyspace and the table, where streams are those of one table.
    of: Option<[String; 2]>,
    times: PreparedStatement,
    sets: PreparedStatement,
}

impl Directory {
    /// The one that tells of this table's log.
    pub async fn prepare(session: Arc<Session>, table: &Table) -> Result<Self, Error> {
        let of = table.uses_tablets().then(|| [table.keyspace().to_owned(), table.name().to_owned()]);
        let [times, sets] = if of.is_some() { TABLETS } else { VNODES };
        // Tables of the cluster have three replicas wherever there are three nodes, and one may be behind.
        let alone = session.get_cluster_state().get_nodes_info().len() <= 1;
        let consistency = if alone || of.is_some() { Consistency::One } else { Consistency::Quorum };
        let prepare = async |text| {
            let mut statement = session.prepare(text).await.map_err(|error| unknown(error, of.is_some()))?;
            statement.set_consistency(consistency);
            statement.set_is_idempotent(true);
            Ok::<_, Error>(statement)
        };
        let (times, sets) = (prepare(times).await?, prepare(sets).await?);
        Ok(Self { session, of, times, sets })
    }

    /// The times from which sets are written to, those after `after`, in any order.
    pub async fn times(&self, after: Micros) -> Result<Vec<Micros>, Error> {
        let mut times = Vec::new();
        self.ask(&self.times, after, |page| {
            for row in page.rows::<(CqlTimestamp,)>().map_err(shape)? {
                times.push(row.map_err(shape)?.0.0.saturating_mul(1_000));
            }
            Ok(())
        })
        .await?;
        Ok(times)
    }

    /// The streams of the set that is written to from `since` on.
    ///
    /// # Errors
    /// `Transient` when they are not there, or not all of them in their form.
    pub async fn streams(&self, since: Micros) -> Result<Vec<StreamId>, Error> {
        let mut streams = Vec::new();
        self.ask(&self.sets, since, |page| {
            if self.of.is_some() {
                for row in page.rows::<(&[u8],)>().map_err(shape)? {
                    streams.push(StreamId::try_from(row.map_err(shape)?.0).map_err(|_| missing(since))?);
                }
            } else {
                for row in page.rows::<(Vec<&[u8]>,)>().map_err(shape)? {
                    for id in row.map_err(shape)?.0 {
                        streams.push(StreamId::try_from(id).map_err(|_| missing(since))?);
                    }
                }
            }
            Ok(())
        })
        .await?;
        if streams.is_empty() { Err(missing(since)) } else { Ok(streams) }
    }

    async fn ask(
        &self,
        statement: &PreparedStatement,
        at: Micros,
        mut page: impl FnMut(&QueryRowsResult) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let names = self.of.iter().flatten().map(|name| CqlValue::Text(name.clone()));
        let time = CqlValue::Timestamp(CqlTimestamp(at.div_euclid(1_000)));
        let values: Vec<CqlValue> = names.chain([time]).collect();
        let mut state = PagingState::start();
        loop {
            let answer = self.session.execute_single_page(statement, &values, state).await;
            let (answer, next) =
                answer.map_err(|error| error.classify().context("look up the log's streams"))?;
            page(&answer.into_rows_result().map_err(shape)?)?;
            match next.into_paging_control_flow().continue_value() {
                Some(next) => state = next,
                None => return Ok(()),
            }
        }
    }
}

fn missing(since: Micros) -> Error {
    Error::new(ErrorKind::Transient, format!("the streams since {} ms are not there", since / 1_000))
}

fn unknown(error: scylla::errors::PrepareError, tablets: bool) -> Error {
    let advice = if tablets {
        "logs on tablets want ScyllaDB 2025.4 or later, and a user who can read the keyspace system"
    } else {
        "the server must be a ScyllaDB, and the user must be able to read system_distributed"
    };
    error.classify().context("prepare the look-up of the log's streams").advice(advice)
}
