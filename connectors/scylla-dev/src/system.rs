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

use crate::cdc::generation;
use crate::cdc::streams::Streams;
use crate::error::DbError;
use crate::mutation::Mutation;
use crate::schema::{Layout, Schema, TableId};
use row::Writer;

pub(crate) const CLUSTER: &str = "scylla-dev";
pub(crate) const PARTITIONER: &str = "org.apache.cassandra.dht.Murmur3Partitioner";

/// The one node of this cluster.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where clients reach it.
    pub address: IpAddr,
    /// Its id.
    pub host_id: Uuid,
    /// Where its ranges of the ring end, ascending; each has a CDC stream for each shard.
    pub tokens: Vec<i64>,
    /// Its shards, and what new keyspaces are like.
    pub layout: Layout,
}

impl Default for Node {
    fn default() -> Self {
        let tokens = generation::range_ends(4);
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self { address, host_id: Uuid::new_v4(), tokens, layout: Layout::default() }
    }
}

/// Creates the system keyspaces and tables.
pub(crate) fn create(schema: &mut Schema) -> Result<(), DbError> {
    definitions::create(schema)
}

/// All rows of the system tables that are written by the server, by table.
pub(crate) fn describe(schema: &Schema, node: &Node, streams: &Streams) -> BTreeMap<TableId, Vec<Mutation>> {
    let mut writer = Writer::new(schema);
    node::write(&mut writer, node);
    schema_tables::write(&mut writer);
    streams::write(&mut writer, streams);
    writer.finish()
}
