//! `weir validate`, `schema` and `connectors` as scripts and people call them, on files with every common mistake.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use expect_test::expect_file;
use serde_json::Value;

const SECRET: &str = "planted-secret-4711";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The binary at the root of the repository, with nothing of ours in its environment but the planted secret.
fn weir(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.current_dir(root()).args(arguments);
    for unset in ["RUST_LOG", "SCYLLA_NODES", "REDPANDA_BROKERS", "FIXTURE_NOT_SET", "FIXTURE_BROKERS"] {
        command.env_remove(unset);
    }
    command.env("FIXTURE_SECRET", SECRET).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The pipeline files of a folder of fixtures, relative to the root.
fn fixtures(folder: &str) -> Vec<String> {
    let folder = format!("tests/fixtures/{folder}");
    let names = std::fs::read_dir(root().join(&folder)).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> =
        names.filter(|name| name.ends_with(".yaml")).map(|name| format!("{folder}/{name}")).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} has no fixtures");
    files
}

/// `UPDATE_EXPECT=1 cargo test -p weir --test it validate` renews the expected reports.
#[test]
fn each_bad_file_is_reported_as_the_report_beside_it_says() {
    for file in fixtures("bad") {
        let output = weir(&["validate", &file]);
        let report = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{file}: {report}");
        assert!(output.stdout.is_empty() && !report.contains(SECRET), "{file}: {report}");
        expect_file![root().join(file.replace(".yaml", ".stderr"))].assert_eq(&report);
    }
}

#[test]
fn the_problems_of_a_whole_folder_come_in_one_run() {
    let alone: usize = fixtures("bad").iter().map(|file| problems(&["validate", "--json", file]).len()).sum();
    let together = problems(&["validate", "--json", "tests/fixtures/bad"]);
    let shared_names =
        together.iter().filter(|problem| problem["message"] == "another pipeline has this name");
    assert_eq!(together.len(), alone + shared_names.count());
}

fn problems(arguments: &[&str]) -> Vec<Value> {
    let output = weir(arguments);
    assert_eq!(output.status.code(), Some(2));
    assert!(!text(&output.stdout).contains(SECRET));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["problems"].as_array().unwrap().clone()
}

#[test]
fn programs_get_places_and_pointers() {
    let problems = problems(&["validate", "--json", "tests/fixtures/bad/dead-letter.yaml"]);
    let record = problems.iter().find(|problem| problem["pointer"] == "/sinks/0/on_record_error").unwrap();
    assert_eq!((&record["line"], &record["column"]), (&9.into(), &22.into()));
    assert_eq!(record["file"], "tests/fixtures/bad/dead-letter.yaml");
    assert!(record["help"].is_string());
}

#[test]
fn each_good_file_gets_its_line() {
    let files = fixtures("good");
    let output = weir(&["validate", "tests/fixtures/good", "pipelines/orders"]);
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for file in &files {
        assert_eq!(
            shown.lines().filter(|line| line.starts_with(&format!("{file}: pipeline "))).count(),
            1,
            "{shown}"
        );
    }
    assert!(shown.contains("pipelines/orders/publisher.yaml: pipeline "), "{shown}");
}

/// Each block of `docs/transforms.md`, with the rest of a pipeline around it.
#[test]
fn the_examples_of_the_documentation_are_good() {
    let page = std::fs::read_to_string(root().join("docs/transforms.md")).unwrap();
    let examples: Vec<&str> =
        page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let names: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert!(examples.len() > 4 && names.contains(&"extract"), "{names:?}");
    let folder = tempfile::tempdir().unwrap();
    for (index, example) in examples.iter().enumerate() {
        let mut text = format!("name: example-{index}\nsource: {{ connector: generator }}\n{example}");
        if !example.contains("sinks:") {
            text += "sinks: [{ name: out, connector: stdout }]\n";
        }
        std::fs::write(folder.path().join(format!("{index}.yaml")), text).unwrap();
    }
    let output = weir(&["validate", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn the_pipeline_of_the_guide_to_changes_is_good() {
    let page = std::fs::read_to_string(root().join("docs/scylla-cdc.md")).unwrap();
    let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let example = example.replace("${env:SCYLLA_NODES}", "127.0.0.1:9042");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("changes.yaml");
    std::fs::write(&file, example.replace("${env:REDPANDA_BROKERS}", "127.0.0.1:9092")).unwrap();
    let output = weir(&["validate", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn a_file_that_is_not_there_is_a_problem_of_the_configuration() {
    let output = weir(&["validate", "tests/fixtures/none.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("there is no such file"), "{}", text(&output.stderr));
}

#[test]
fn run_refuses_what_validate_refuses_before_it_touches_anything() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("data");
    let arguments = ["run", "tests/fixtures/bad/references.yaml", "--data-dir", folder.to_str().unwrap()];
    let output = weir(&arguments);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stderr), text(&weir(&["validate", arguments[1]]).stderr));
    assert!(!folder.exists());
}

/// The schema's own keys, and those that the reader knows, are the same: neither may know more.
#[test]
fn the_schema_knows_the_connectors_and_the_keys_of_the_frame() {
    let output = weir(&["schema"]);
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    let keys = |pointer: &str| -> Vec<String> {
        schema.pointer(pointer).unwrap().as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(keys("/properties"), ["checkpoint", "dead_letter", "name", "sinks", "source", "transforms"]);
    let sink = [
        "batch",
        "circuit_breaker",
        "config",
        "connector",
        "in_flight",
        "lanes",
        "name",
        "on_record_error",
        "rate_limit",
        "retry",
        "retry_failed",
        "timeout",
    ];
    assert_eq!(keys("/$defs/Sink/properties"), sink);
    for block in [
        "source.generator",
        "source.scylla-outbox",
        "source.scylla-dead-letter",
        "source.redpanda",
        "source.file",
        "sink.scylla-dead-letter",
        "sink.redpanda",
        "sink.stdout",
        "sink.file",
        "transform.filter",
    ] {
        assert!(schema["$defs"][block].is_object(), "{block}");
    }
}

#[test]
fn connectors_are_listed_and_shown() {
    let list = text(&weir(&["connectors"]).stdout);
    for line in [
        "source     generator ",
        "source     scylla-outbox ",
        "transform  filter ",
        "sink       redpanda ",
        "store      scylla ",
    ] {
        assert!(list.lines().any(|shown| shown.starts_with(line)), "{line}: {list}");
    }
    let one = text(&weir(&["connectors", "redpanda"]).stdout);
    for kind in ["sink redpanda: ", "source redpanda: "] {
        assert!(one.lines().any(|line| line.starts_with(kind)), "{one}");
    }
    assert!(
        one.contains("(list of address, required)") && one.contains("none|gzip|snappy|lz4|zstd"),
        "{one}"
    );
    let unknown = weir(&["connectors", "redpnda"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("did you mean `redpanda`?"), "{}", text(&unknown.stderr));
}
