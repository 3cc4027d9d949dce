//! The columns of a checkpoint table, and what is wrong with a table.

use scylla::client::session::Session;
use weir_sdk::{Error, ErrorKind};

use super::config::CheckpointConfig;
use crate::session::own_table::{Column, OwnTable};

const COLUMNS: [Column; 10] = [
    ("pipeline", "text", "partition_key"),
    ("sink", "text", "partition_key"),
    ("slot", "int", "clustering"),
    ("identity", "text", "static"),
    ("owner", "uuid", "static"),
    ("holder", "text", "static"),
    ("saves", "bigint", "static"),
    ("saved_at", "timestamp", "static"),
    ("source_partition", "text", "regular"),
    ("source_offset", "blob", "regular"),
];

/// The table, quoted.
pub fn quoted(config: &CheckpointConfig) -> String {
    table(config).quoted()
}

/// Compares the table with what is needed.
///
/// # Errors
/// `Config`, with the statement that repairs each problem.
pub async fn check(session: &Session, config: &CheckpointConfig) -> Result<(), Error> {
    let problems = table(config).problems(session).await?;
    if problems.is_empty() {
        return Ok(());
    }
    let told: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    let message = format!("the checkpoint table will not do: {}", told.join("; "));
    let advice: Vec<_> = problems.iter().filter_map(|problem| problem.help.as_deref()).collect();
    Err(Error::new(ErrorKind::Config, message).advice(advice.join(" ")))
}

fn table(config: &CheckpointConfig) -> OwnTable<'_> {
    OwnTable { keyspace: &config.keyspace, name: &config.table, columns: &COLUMNS }
}
