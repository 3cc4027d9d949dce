//! The table as the schema tells it.

use std::collections::BTreeMap;

use scylla::client::session::Session;
use weir_sdk::Error;
use weir_sdk::config::Problem;

use super::config::ProjectionConfig;
use crate::session::schema;

/// The table that is projected into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// `"keyspace"."table"`.
    pub name: String,
    /// Its columns by name.
    pub columns: BTreeMap<String, Column>,
}

/// A column as the schema tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// In CQL.
    pub of_type: String,
    /// It is part of the primary key.
    pub is_key: bool,
}

impl Table {
    /// Reads the schema.
    ///
    /// # Errors
    /// `Config` when there is no such table.
    pub async fn read(session: &Session, config: &ProjectionConfig) -> Result<Self, Error> {
        let columns = schema::columns(session, &config.keyspace, &config.table).await?;
        let column = |(name, (of_type, kind)): (String, (String, String))| {
            (name, Column { of_type, is_key: schema::is_key(&kind) })
        };
        let columns: BTreeMap<_, _> = columns.into_iter().map(column).collect();
        let name = schema::quoted(&config.keyspace, &config.table);
        if columns.is_empty() {
            let problem = Problem::new("/table", format!("there is no table {name}"));
            let help = format!("lay it with the columns it is to have: CREATE TABLE {name} (…);");
            return Err(Error::config(vec![problem.help(&help)]).advice(help));
        }
        Ok(Self { name, columns })
    }
}
