//! Other people's clients, unmodified, from their package registries, against the server's own program.
//!
//! The clients lie in `tests/clients` of the repository, and know nothing of the server but its address. Where a language
//! or its registry is missing, its test says loudly that it was skipped.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where it was")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What a client script exits with when it has nothing to run with; it has said so itself.
const SKIPPED: i32 = 77;
const NAME: &str = "ada";
const WORD: &str = "correct horse";

#[test]
fn python_on_vnodes() {
    let server = Server::start(&[]);
    server.meet("python", &["driver.py"], &[]);
    server.meet("python", &["cqlsh.py"], &[path("pipelines/orders/schema.cql").to_str().unwrap()]);
}

#[test]
fn python_on_two_shards_with_tablets_and_a_password() {
    let server = Server::start(&["--shards", "2", "--tablets", "--user", NAME]);
    let more = ["--shards", "2", "--tablets", "--user", NAME, "--password", WORD];
    server.meet("python", &["driver.py"], &more);
}

#[test]
fn python_with_the_driver_of_cassandra() {
    let server = Server::start(&[]);
    server.meet("python", &["--with", "requirements-cassandra.txt", "driver.py"], &[]);
}

#[test]
fn java_and_its_reader_of_cdc_logs() {
    let server = Server::start(&[]);
    server.meet("java/run", &["Driver"], &[]);
    server.meet("java/run", &["Changes"], &[&server.control, "vnodes", "tablets"]);
}

#[test]
fn go_and_its_reader_of_cdc_logs() {
    let server = Server::start(&[]);
    server.meet("go/run", &["driver"], &[]);
    server.meet("go/run", &["changes"], &[&server.control, "vnodes"]);
    server.meet("go/run", &["changes"], &[&server.control, "tablets"]);
}

#[test]
fn go_with_the_drivers_of_cassandra() {
    for driver in ["driver-upstream", "driver-apache"] {
        let server = Server::start(&["--user", NAME]);
        server.meet("go/run", &[driver, "-user", NAME, "-password", WORD], &[]);
    }
}

/// The program, until it is dropped.
struct Server {
    process: Child,
    address: String,
    /// Where it takes the commands of an operator.
    control: String,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir-scylla-dev"));
        command.args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]).args(arguments);
        command.env_remove("SCYLLA_DEV_PASSWORD");
        if arguments.contains(&"--user") {
            command.env("SCYLLA_DEV_PASSWORD", WORD);
        }
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut told = |what: &str| {
            let line = lines.next().expect("the program says where it is").unwrap();
            line.strip_prefix(what).unwrap_or_else(|| panic!("{line:?} is not {what}")).to_owned()
        };
        let (address, control) = (told("listening on "), told("commands on "));
        Self { process, address, control }
    }

    /// Runs a client to its end; what it prints, a skip among it, goes where nothing catches it.
    fn meet(&self, script: &str, program: &[&str], arguments: &[&str]) {
        let clients = path("tests/clients");
        let mut command = Command::new(clients.join(script));
        command.current_dir(&clients).args(program).arg(&self.address).args(arguments);
        let status = command.stdin(Stdio::null()).status().unwrap();
        assert!(
            status.success() || status.code() == Some(SKIPPED),
            "{script} {program:?} ended with {status}"
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; the client will have said so.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A path of the repository.
fn path(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(of)
}
