//! What this machine does not give, or what contradicts itself: said before anything runs, with what to do, and exit 3.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// `weir`, which must end with 3; what it said.
fn refused(arguments: &[&str], token: &str) -> String {
    let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
    let output = weir.args(arguments).env_remove("RUST_LOG").env("WEIR_TOKEN", token).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{arguments:?}: {said}");
    said
}

/// A pipeline that needs no server, and a data directory that is not there yet.
fn folder() -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("numbers.yaml");
    let text = "name: numbers\nsource: { connector: generator, config: { rate: 10 } }\n\
                sinks: [{ name: out, connector: stdout }]\n";
    std::fs::write(&file, text).unwrap();
    let data = folder.path().join("data");
    (folder, file, data)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_port_in_use_is_named_with_the_flag_that_moves_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flag, what) in [("--kafka", "Kafka"), ("--cql", "CQL")] {
        let said = refused(&["dev", "--no-load", "--listen", "127.0.0.1:0", flag, &address], "");
        assert!(said.contains(&format!("cannot serve {what} on {address}")), "{said}");
        assert!(said.contains("help: ") && said.contains(&format!("give {flag} another address")), "{said}");
    }
    let (_folder, file, data) = folder();
    let said = refused(&["run", text(&file), "--listen", &address, "--data-dir", text(&data)], "");
    assert!(said.contains(&format!("cannot listen on {address}")) && said.contains("--listen"), "{said}");
    assert!(!data.exists(), "nothing is made or locked for a run that does not begin");
}

#[test]
fn a_file_in_the_place_of_the_data_directory_is_called_that() {
    let (_folder, file, _) = folder();
    let said = refused(&["run", text(&file), "--listen", "127.0.0.1:0", "--data-dir", text(&file)], "");
    assert!(said.contains("cannot use") && said.contains("there is a file in its way"), "{said}");
}

#[test]
fn no_token_and_a_token_are_not_both_asked_for() {
    let (_folder, file, data) = folder();
    let run = ["run", text(&file), "--listen", "127.0.0.1:0", "--data-dir", text(&data), "--insecure"];
    let said = refused(&run, "a-long-random-text");
    assert!(said.contains("WEIR_TOKEN") && said.contains("leave out --insecure"), "{said}");
    assert!(!said.contains("a-long-random-text"), "{said}");
}
