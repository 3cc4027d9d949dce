//! Prepared statements, found by an id that is a function of keyspace and text.
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use crate::error::{DbError, ErrorCode};
use crate::faults::Asked;
use crate::schema::Schema;
use crate::statements::{self, Prepared};
use crate::value::token::murmur3_128;

/// Above this many statements, or bytes of their text, all are forgotten; clients prepare again on their own.
const LIMIT: usize = 10_000;
const LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// What was prepared, by whichever connection.
#[derive(Debug, Default)]
pub(super) struct PreparedStatements(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    statements: HashMap<[u8; 16], Arc<Statement>>,
    /// Of text, those of statements that were prepared again included.
    bytes: usize,
}

/// A prepared statement and its text.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) id: [u8; 16],
    pub(super) text: String,
    pub(super) prepared: Arc<Prepared>,
    pub(super) counts: Counts,
}

/// How much a prepared statement was used.
#[derive(Debug, Default)]
pub(super) struct Counts {
    runs: AtomicU64,
    partitions: AtomicU64,
}

impl Counts {
    /// It was run, and looked for so many partitions.
    pub(super) fn add(&self, partitions: u64) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.partitions.fetch_add(partitions, Ordering::Relaxed);
    }
}

impl PreparedStatements {
    /// Prepares the text, unless that was done before and is still right.
    pub(super) fn prepare(
        &self,
        text: &str,
        keyspace: Option<&str>,
        schema: &Schema,
    ) -> Result<Arc<Statement>, DbError> {
        let id = id(text, keyspace);
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).statements.get(&id).cloned();
        if let Some(known) = known
            && known.prepared.is_current(schema)
        {
            return Ok(known);
        }
        let prepared = Arc::new(statements::prepare(text, keyspace, schema)?);
        let statement =
            Arc::new(Statement { id, text: text.to_owned(), prepared, counts: Counts::default() });
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.statements.len() >= LIMIT || known.bytes + text.len() > LIMIT_BYTES {
            *known = Known::default();
        }
        known.bytes += text.len();
        known.statements.insert(id, Arc::clone(&statement));
        Ok(statement)
    }

    /// Forgets every statement.
    pub(super) fn clear(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Known::default();
    }

    /// What was asked with the statements whose text begins so, since they were prepared.
    pub(super) fn asked(&self, begin: &str) -> Asked {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let counts = known
            .statements
            .values()
            .filter(|known| known.text.starts_with(begin))
            .map(|known| &known.counts);
        counts.fold(Asked::default(), |asked, counts| Asked {
            statements: asked.statements + counts.runs.load(Ordering::Relaxed),
            partitions: asked.partitions + counts.partitions.load(Ordering::Relaxed),
        })
    }

    /// The statement of this id, or the error on which a client prepares it again.
    pub(super) fn get(&self, id: &Bytes, schema: &Schema) -> Result<Arc<Statement>, DbError> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let found = <[u8; 16]>::try_from(&id[..]).ok().and_then(|id| known.statements.get(&id));
        found.filter(|statement| statement.prepared.is_current(schema)).cloned().ok_or_else(|| {
            let text = format!("No prepared statement with ID {} found.", hex(id));
            DbError::new(ErrorCode::Unprepared { id: id.clone() }, text)
        })
    }
}

fn id(text: &str, keyspace: Option<&str>) -> [u8; 16] {
    let keyspace = keyspace.unwrap_or_default();
    let mut bytes = Vec::with_capacity(keyspace.len() + 1 + text.len());
    bytes.extend_from_slice(keyspace.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(text.as_bytes());
    murmur3_128(&bytes).to_be_bytes()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::storage::Store;

    #[test]
    fn what_clients_prepare_does_not_grow_without_end() {
        let schema = Store::new(Clock::manual(1_700_000_000_000_000)).schema();
        let statements = PreparedStatements::default();
        let comment = "x".repeat(LIMIT_BYTES / 3);
        let prepare = |number: usize| {
            let text = format!("SELECT * FROM system.local /* {number} {comment} */");
            Bytes::copy_from_slice(&statements.prepare(&text, None, &schema).expect("it is a statement").id)
        };
        let ids: Vec<Bytes> = (0..3).map(prepare).collect();
        assert!(statements.get(&ids[0], &schema).is_err(), "forgotten for the third");
        assert!(statements.get(&ids[2], &schema).is_ok());
        assert_eq!(prepare(0), ids[0], "and the same again when it is prepared again");
    }
}
