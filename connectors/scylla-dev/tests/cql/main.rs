//! What CQL statements answer, as readable files beside this one: a statement, then what comes back as comments.
//!
//! * `-- column type | column type` and one line a row; nothing where nothing comes back;
//! * `--! Code: message` for a refusal, `--~ text` for a warning;
//! * `//@ bind 1, 'x', 0x00, null, unset` gives the next statement values, `//@ page 2` a page size, `//@ prepare` shows
//!   what preparing it tells, `//@ clock 10` moves the server's clock so many seconds first;
//! * `//@ cassandra KEY` says that the next statement's answer differs from Apache Cassandra's by intent: the reason
//!   stands under KEY in the README. A file that begins with it is not for Cassandra at all.
//!
//! `UPDATE_EXPECT=1 cargo test -p weir-scylla-dev --test cql` writes the answers into the files: read the difference
//! before it is committed. `tests/cassandra/compare` runs the same files against a real Cassandra.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where it was")]

mod answer;
mod oracle;
mod script;
mod show;

use std::path::{Path, PathBuf};
use std::time::Duration;

use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use weir_scylla_dev::{Clock, ScyllaDev};

use script::Script;

/// 2023-11-14 22:13:20 UTC: where the clock of every file begins, µs.
const START: i64 = 1_700_000_000_000_000;

#[tokio::test]
async fn every_file_is_answered_as_it_says() {
    for file in files() {
        let clock = Clock::manual(START);
        let server = ScyllaDev::builder().clock(clock.clone()).start().await.unwrap();
        let session = connect(&server.address().to_string()).await;
        let mut script = Script::read(&file);
        for step in &mut script.steps {
            clock.advance(Duration::from_secs(step.seconds()));
            step.answer = answer::of(&session, step).await;
        }
        expect_test::expect_file![file].assert_eq(&script.to_string());
    }
}

/// All files, by name.
fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cql");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "cql")).collect();
    files.sort();
    assert!(!files.is_empty(), "the files lie beside this one");
    files
}

/// A session in an empty keyspace `ks`.
async fn connect(node: &str) -> Session {
    let session = SessionBuilder::new()
        .known_node(node)
        .connection_timeout(Duration::from_secs(30))
        .auto_await_schema_agreement(false)
        .build()
        .await
        .unwrap();
    let replication = "{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}";
    session.query_unpaged("DROP KEYSPACE IF EXISTS ks", ()).await.unwrap();
    session.query_unpaged(format!("CREATE KEYSPACE ks WITH replication = {replication}"), ()).await.unwrap();
    session.query_unpaged("USE ks", ()).await.unwrap();
    session.use_keyspace("ks", false).await.unwrap();
    session
}
