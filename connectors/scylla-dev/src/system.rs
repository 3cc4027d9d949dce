//! The server's own tables: what drivers read to know the node, the schema and the CDC streams.
//!
//! They are ordinary tables with ordinary rows, written anew by [`describe`] whenever the schema or the streams change,
//! so that statements read them like any other. [`definitions`] says what they look like.
mod definitions;
mod node;
mod row;
mod schema_tables;
mod streams;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use uuid::Uuid;

use crate::cdc::generation::{self, Generations};
use crate::error::DbError;
use crate::mutation::Mutation;
use crate::schema::{Schema, TableId};
use row::Writer;

/// The one node of this cluster.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where clients reach it.
    pub address: IpAddr,
    /// Its id.
    pub host_id: Uuid,
    /// Where its ranges of the ring end, ascending; each has a CDC stream.
    pub tokens: Vec<i64>,
}

impl Default for Node {
    fn default() -> Self {
        let tokens = generation::range_ends(4);
        Self { address: IpAddr::V4(Ipv4Addr::LOCALHOST), host_id: Uuid::new_v4(), tokens }
    }
}

/// Creates the system keyspaces and tables.
pub(crate) fn create(schema: &mut Schema) -> Result<(), DbError> {
    definitions::create(schema)
}

/// All rows of the system tables that are written by the server, by table.
pub(crate) fn describe(
    schema: &Schema,
    node: &Node,
    generations: &Generations,
) -> BTreeMap<TableId, Vec<Mutation>> {
    let mut writer = Writer::new(schema);
    node::write(&mut writer, node);
    schema_tables::write(&mut writer);
    streams::write(&mut writer, generations);
    writer.finish()
}
