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
    let output = program.args(["cql", "kafka"].map(|name| ready[name].as_str().unwrap())).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    if output.status.code() == Some(77) {
        eprintln!("*** SKIPPED: no Python clients here ***");
        return;
    }
    assert!(output.status.success(), "{said}");
    dev.interrupt();
    assert_eq!(dev.event("done")["lost"], 0);
    assert_eq!(dev.code(), Some(0));
}
