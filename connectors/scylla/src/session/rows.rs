//! What sinks of rows share: each record a write of its own, many on their way at a time, and whether anybody is there.

use futures::{StreamExt as _, stream};
use scylla::client::session::Session;
use weir_sdk::{Error, Failed, Record, Records, WriteError};

use super::errors::Classify;

/// Writes each record, at most so many at a time; those that failed are told by index, with why.
pub(crate) async fn write_each<F>(
    records: &Records,
    at_a_time: usize,
    write: impl Fn(Record) -> F,
) -> Result<(), WriteError>
where
    F: Future<Output = Result<(), Error>>,
{
    let writes = (0..records.len()).map(|index| {
        let written = write(records[index].clone());
        async move { written.await.map_err(|error| Failed { index, error }) }
    });
    let answers: Vec<_> = stream::iter(writes).buffered(at_a_time).collect().await;
    let failed: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    if failed.is_empty() { Ok(()) } else { Err(WriteError::Some(failed)) }
}

/// Asks a node something that every node knows.
pub(crate) async fn probe(session: &Session) -> Result<(), Error> {
    let asked = session.query_unpaged("SELECT key FROM system.local", ()).await;
    asked.map(drop).map_err(Classify::classify)
}
