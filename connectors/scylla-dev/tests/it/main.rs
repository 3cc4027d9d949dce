//! The server as clients meet it: the Rust driver, the scylla-cdc reader, and clients that misbehave.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where it was")]

mod bad_clients;
mod cdc_log;
mod cdc_reader;
mod cdc_replica;
mod cdc_rows;
mod cdc_topology;
mod describe;
mod driver;
mod faults;
mod login;
mod memory;
mod program;
mod protocol;
mod system_tables;

use std::time::Duration;

use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::value::{CqlValue, Row};
use weir_scylla_dev::ScyllaDev;

/// Connects the Rust driver.
async fn connect(server: &ScyllaDev) -> Session {
    SessionBuilder::new()
        .known_node_addr(server.address())
        .connection_timeout(Duration::from_secs(30))
        .build()
        .await
        .expect("the driver connects")
}

/// A server with keyspace `ks`, and a session on it.
async fn start() -> (ScyllaDev, Session) {
    let server = ScyllaDev::builder().start().await.expect("a port of 127.0.0.1 is free");
    let session = connect(&server).await;
    run(
        &session,
        "CREATE KEYSPACE ks WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}",
    )
    .await;
    session.use_keyspace("ks", false).await.expect("the keyspace exists");
    (server, session)
}

/// Runs statements without values.
async fn run(session: &Session, cql: &str) {
    session.query_unpaged(cql, ()).await.unwrap_or_else(|error| panic!("{cql}: {error}"));
}

/// The rows of a statement.
async fn rows(session: &Session, cql: &str) -> Vec<Row> {
    let result = session.query_unpaged(cql, ()).await.unwrap_or_else(|error| panic!("{cql}: {error}"));
    let result = result.into_rows_result().expect("the statement gives rows");
    result.rows::<Row>().expect("any columns fit").map(|row| row.expect("the row can be read")).collect()
}

/// The rows of a statement as text, null as `-`.
async fn texts(session: &Session, cql: &str) -> Vec<String> {
    let show = |value: Option<CqlValue>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let line = |row: Row| row.columns.into_iter().map(show).collect::<Vec<_>>().join(" ");
    rows(session, cql).await.into_iter().map(line).collect()
}

/// What the statement is refused with.
async fn refused(session: &Session, cql: &str) -> String {
    match session.query_unpaged(cql, ()).await {
        Ok(_) => panic!("{cql} is not refused"),
        Err(error) => error.to_string(),
    }
}
