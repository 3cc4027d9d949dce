//! What every table asks of the schema: names as CQL takes them, the columns there are, and a keyspace that is not there.

use std::collections::BTreeMap;

use scylla::client::session::Session;
use weir_sdk::Error;
use weir_sdk::config::Problem;

use super::errors::{Classify, shape};

const COLUMNS: &str =
    "SELECT column_name, type, kind FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?";
const KEYSPACE: &str = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";

/// The columns of a table by name, each with its type in CQL and its kind as the schema calls it; none of a table that
/// is not there.
///
/// # Errors
/// What the database answers.
pub(crate) async fn columns(
    session: &Session,
    keyspace: &str,
    table: &str,
) -> Result<BTreeMap<String, (String, String)>, Error> {
    let asked = session.query_unpaged(COLUMNS, (keyspace, table)).await;
    let answer = asked.map_err(|error| error.classify().context("read the schema"))?;
    let answer = answer.into_rows_result().map_err(shape)?;
    let columns = answer.rows::<(String, String, String)>().map_err(shape)?;
    let column = |(name, of_type, kind)| (name, (of_type, kind));
    columns.map(|read| read.map(column).map_err(shape)).collect()
}

/// Whether there is such a keyspace.
///
/// # Errors
/// What the database answers.
pub(crate) async fn has_keyspace(session: &Session, keyspace: &str) -> Result<bool, Error> {
    let asked = session.query_unpaged(KEYSPACE, (keyspace,)).await;
    let answer = asked.map_err(|error| error.classify().context("read the schema"))?;
    Ok(answer.into_rows_result().map_err(shape)?.rows_num() > 0)
}

/// Whether the column is part of the primary key, by its kind.
pub(crate) fn is_key(kind: &str) -> bool {
    kind == "partition_key" || kind == "clustering"
}

/// There is no such keyspace, with the statement that makes it.
pub(crate) fn no_keyspace(keyspace: &str) -> Problem {
    Problem::new("/keyspace", format!("there is no keyspace `{keyspace}`")).help(format!(
        "CREATE KEYSPACE {} WITH replication = {{'class': 'NetworkTopologyStrategy', 'replication_factor': 3}};",
        quote(keyspace),
    ))
}

/// `"keyspace"."table"`.
pub(crate) fn quoted(keyspace: &str, table: &str) -> String {
    format!("{}.{}", quote(keyspace), quote(table))
}

/// An identifier as CQL takes it letter by letter.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
