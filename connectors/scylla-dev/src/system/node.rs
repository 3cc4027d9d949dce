//! `system.local`, `system.peers` and `system.versions`.
use super::Node;
use super::row::{Writer, elements, inet, int, text, uuid};
use crate::cdc::sharding::IGNORED_BITS;
use crate::schema::DATACENTER;

pub(super) fn write(writer: &mut Writer<'_>, node: &Node) {
    let local = vec![
        ("key", text("local")),
        ("bootstrapped", text("COMPLETED")),
        ("broadcast_address", inet(node.address)),
        ("cluster_name", text(super::CLUSTER)),
        ("cql_version", text("3.3.1")),
        ("data_center", text(DATACENTER)),
        ("gossip_generation", int(1)),
        ("host_id", uuid(node.host_id)),
        ("listen_address", inet(node.address)),
        ("native_protocol_version", text("4")),
        ("partitioner", text(super::PARTITIONER)),
        ("rack", text("rack1")),
        // The Cassandra release that ScyllaDB names as its like.
        ("release_version", text("3.0.8")),
        ("rpc_address", inet(node.address)),
        ("schema_version", uuid(writer.schema.version)),
        ("supported_features", text("")),
        ("tokens", elements(sorted_texts(&node.tokens).iter().map(text))),
        ("scylla_cpu_sharding_algorithm", text("biased-token-round-robin")),
        ("scylla_nr_shards", int(i32::from(node.layout.shards))),
        ("scylla_msb_ignore", int(IGNORED_BITS as i32)),
    ];
    writer.rows("system", "local", [local]);
    let version = vec![
        ("key", text("local")),
        ("build_id", text("")),
        ("build_mode", text("dev")),
        ("version", text(concat!(env!("CARGO_PKG_VERSION"), "-scylla-dev"))),
    ];
    writer.rows("system", "versions", [version]);
}

fn sorted_texts(tokens: &[i64]) -> Vec<String> {
    let mut texts: Vec<String> = tokens.iter().map(i64::to_string).collect();
    texts.sort_unstable();
    texts
}
