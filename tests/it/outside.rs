//! From outside, with clients that we did not write: Python's ScyllaDB driver in, Confluent's Kafka client out.

use std::path::Path;
use std::process::Command;

use crate::dev::Dev;

#[test]
fn a_row_written_from_python_is_read_from_its_topic() {
    let mut dev = Dev::start(&["--no-load"]);
    let ready = dev.event("ready");
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients");
    let mut program = Command::new(clients.join("python"));
    program.arg(clients.join("outside.py"));
    // Its own words, a skip among them, go where nothing catches them.
    let status = program.args(["cql", "kafka"].map(|name| ready[name].as_str().unwrap())).status().unwrap();
    if status.code() == Some(77) {
        return;
    }
    assert!(status.success(), "the outsider did not find what it wrote");
    dev.interrupt();
    assert_eq!(dev.event("done")["lost"], 0);
    assert_eq!(dev.code(), Some(0));
}
