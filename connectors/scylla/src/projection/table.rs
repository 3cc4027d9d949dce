//! The table as the schema tells it.

use std::collections::BTreeMap;

use scylla::client::session::Session;
use weir_sdk::Error;
use weir_sdk::config::Problem;

use super::config::ProjectionConfig;
use crate::reader::table::quote;
use crate::session::errors::{Classify, shape};

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

const COLUMNS: &str =
    "SELECT column_name, type, kind FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?";

impl Table {
    /// Reads the schema.
    ///
    /// # Errors
    /// `Config` when there is no such table.
    pub async fn read(session: &Session, config: &ProjectionConfig) -> Result<Self, Error> {
        let asked = session.query_unpaged(COLUMNS, (&config.keyspace, &config.table)).await;
        let answer = asked.map_err(|error| error.classify().context("read the schema"))?;
        let answer = answer.into_rows_result().map_err(shape)?;
        let mut columns = BTreeMap::new();
        for column in answer.rows::<(String, String, String)>().map_err(shape)? {
            let (name, of_type, kind) = column.map_err(shape)?;
            let is_key = kind == "partition_key" || kind == "clustering";
            columns.insert(name, Column { of_type, is_key });
        }
        let name = format!("{}.{}", quote(&config.keyspace), quote(&config.table));
        if columns.is_empty() {
            let problem = Problem::new("/table", format!("there is no table {name}"));
            let help = format!("lay it with the columns it is to have: CREATE TABLE {name} (…);");
            return Err(Error::config(vec![problem.help(&help)]).advice(help));
        }
        Ok(Self { name, columns })
    }
}
