//! What sinks of rows share: each record a write of its own, many on their way at a time, and whether anybody is there.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use scylla::client::session::Session;
use weir_sdk::{Error, Failed, Records, WriteError};

use super::errors::Classify;

/// Writes each record, by its index, at most so many at a time; those that failed are told by index, with why.
///
/// As many writers take the next record each, one after the other. A write is a large future: so it stays in its place,
/// and the next one uses the same memory.
pub(crate) async fn write_each<F>(
    records: &Records,
    at_a_time: usize,
    write: impl Fn(usize) -> F,
) -> Result<(), WriteError>
where
    F: Future<Output = Result<(), Error>>,
{
    let next = AtomicUsize::new(0);
    let writer = async || {
        let mut failed = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= records.len() {
                return failed;
            }
            if let Err(error) = write(index).await {
                failed.push(Failed { index, error });
            }
        }
    };
    let writers: FuturesUnordered<_> = (0..at_a_time.min(records.len())).map(|_| writer()).collect();
    let mut failed: Vec<Failed> = writers.concat().await;
    failed.sort_unstable_by_key(|failed| failed.index);
    if failed.is_empty() { Ok(()) } else { Err(WriteError::Some(failed)) }
}

/// Asks a node something that every node knows.
pub(crate) async fn probe(session: &Session) -> Result<(), Error> {
    let asked = session.query_unpaged("SELECT key FROM system.local", ()).await;
    asked.map(drop).map_err(Classify::classify)
}
