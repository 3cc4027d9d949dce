//! Prepared statements, found by an id that is a function of keyspace and text.
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use crate::error::{DbError, ErrorCode};
use crate::schema::Schema;
use crate::statements::{self, Prepared};
use crate::value::token::murmur3_128;

/// Above this many statements all are forgotten; clients prepare again on their own.
const LIMIT: usize = 10_000;

/// What was prepared, by whichever connection.
#[derive(Debug, Default)]
pub(super) struct PreparedStatements(RwLock<HashMap<[u8; 16], Arc<Statement>>>);

/// A prepared statement and its text.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) id: [u8; 16],
    pub(super) text: String,
    pub(super) prepared: Arc<Prepared>,
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
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if let Some(known) = known
            && known.prepared.is_current(schema)
        {
            return Ok(known);
        }
        let prepared = Arc::new(statements::prepare(text, keyspace, schema)?);
        let statement = Arc::new(Statement { id, text: text.to_owned(), prepared });
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= LIMIT {
            all.clear();
        }
        all.insert(id, Arc::clone(&statement));
        Ok(statement)
    }

    /// Forgets every statement.
    pub(super) fn clear(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The statement of this id, or the error on which a client prepares it again.
    pub(super) fn get(&self, id: &Bytes, schema: &Schema) -> Result<Arc<Statement>, DbError> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let found = <[u8; 16]>::try_from(&id[..]).ok().and_then(|id| all.get(&id));
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
