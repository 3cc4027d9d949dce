//! The rules of the house that no compiler checks: file size, first lines, and which crate may know which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every file of ours below the top folders, with its path relative to the root.
fn files(ending: &str) -> Vec<(String, String)> {
    let (root, mut found) = (root(), Vec::new());
    let mut open: Vec<_> = ["host", "connectors", "pipelines", "tests"].map(|top| root.join(top)).into();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                open.push(path);
            } else if name.ends_with(ending) {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(&root).unwrap().display().to_string(), text));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no file ends with {ending}");
    found
}

#[test]
fn a_file_is_one_idea_said_in_its_first_line() {
    for (path, text) in files(".rs") {
        let lines = text.lines().count();
        assert!(lines <= 500, "{path} has {lines} lines: split it by idea; 500 is the limit, 200 the aim");
        let first = text.lines().next().unwrap_or_default();
        let is_sentence = first.strip_prefix("//! ").is_some_and(|said| said.len() > 8);
        assert!(is_sentence, "{path} must open with a `//!` sentence that says its idea");
    }
}

#[test]
fn nothing_is_left_for_later() {
    for (path, text) in files(".rs") {
        for (number, line) in text.lines().enumerate() {
            let word = ["TODO", "FIXME", "XXX", "todo!", "unimplemented!"]
                .into_iter()
                .find(|word| line.contains(word));
            let is_here = path == "tests/it/tidy.rs";
            assert!(
                word.is_none() || is_here,
                "{path}:{}: {word:?}: do it now, or file an issue",
                number + 1
            );
        }
    }
}

#[test]
fn every_crate_forbids_unsafe_code() {
    for (path, _) in files("Cargo.toml") {
        let folder = root().join(path.strip_suffix("Cargo.toml").unwrap());
        for crate_root in ["src/lib.rs", "src/main.rs"] {
            let Ok(text) = fs::read_to_string(folder.join(crate_root)) else { continue };
            let forbids = text.contains("#![forbid(unsafe_code)]");
            assert!(forbids, "{path}: {crate_root} must say #![forbid(unsafe_code)]");
        }
    }
}

/// The names in `[dependencies]`, by package; dev-dependencies are nobody's business.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let manifests = files("Cargo.toml").into_iter().map(|(_, text)| {
        let (mut section, mut name, mut names) = ("", String::new(), BTreeSet::new());
        for line in text.lines() {
            if line.starts_with('[') {
                section = line;
            } else if let Some(value) = line.strip_prefix("name = ").filter(|_| section == "[package]") {
                name = value.trim_matches('"').to_owned();
            } else if section == "[dependencies]" && line.starts_with(|c: char| c.is_ascii_lowercase()) {
                names.insert(line.split(['.', ' ', '=']).next().unwrap().to_owned());
            }
        }
        (name, names)
    });
    manifests.collect()
}

#[test]
fn dependencies_point_one_way() {
    let dependencies = dependencies();
    let ours = |package: &str| -> BTreeSet<&str> {
        let names = dependencies[package].iter().map(String::as_str);
        names.filter(|name| name.starts_with("weir-")).collect()
    };
    assert!(ours("weir-sdk").is_empty(), "the sdk knows no other crate of ours");
    assert_eq!(ours("weir-host"), ["weir-sdk"].into(), "the host names no connector");
    for connector in ["weir-local", "weir-redpanda", "weir-scylla", "weir-transforms"] {
        assert_eq!(
            ours(connector),
            ["weir-sdk"].into(),
            "{connector} knows the sdk and nothing else of ours"
        );
    }
    for alone in ["weir-scylla-dev", "weir-redpanda-dev", "weir-event-store"] {
        assert!(ours(alone).is_empty(), "{alone} is no connector: it knows no other crate of ours");
    }
    for (package, names) in &dependencies {
        let may_read_yaml = package == "weir-host";
        assert!(
            may_read_yaml || !names.contains("serde_yaml"),
            "{package}: only the host's config reads YAML"
        );
    }
    let banned = ["axum", "clap", "serde_yaml", "prometheus", "scylla", "rdkafka"];
    let known: Vec<_> = banned.iter().filter(|name| dependencies["weir-sdk"].contains(**name)).collect();
    assert!(known.is_empty(), "the sdk knows no YAML, no HTTP and no far side, but depends on {known:?}");
}

#[test]
fn only_config_reads_yaml() {
    for (path, text) in files(".rs") {
        let reads = text.contains("serde_yaml::") && path != "tests/it/tidy.rs";
        assert!(!reads || path.starts_with("host/src/config/"), "{path}: only host::config reads YAML");
    }
}

/// Metric names stand in one file, so that a dashboard has one place to look.
#[test]
fn metric_names_stand_in_one_file() {
    for (path, text) in files(".rs") {
        let stated = ["metrics().counter((", "metrics.counter((", "metrics().gauge((", "metrics().seconds(("];
        let named_here = stated.iter().any(|call| text.contains(call));
        let allowed = path.ends_with("sdk/src/metrics.rs") || path.contains("tests/");
        assert!(!named_here || allowed, "{path}: name the metric in connectors/sdk/src/metrics/names.rs");
    }
}

#[test]
fn each_row_of_the_fault_matrix_has_the_test_that_wrote_it() {
    let tests = files(".rs").into_iter().filter(|(path, _)| path.starts_with("tests/it/"));
    let tests: String = tests.map(|(_, text)| text).collect();
    // A long literal goes on over the end of a line.
    let tests = tests.split("\\\n").map(str::trim_start).collect::<String>();
    let matrix = fs::read_to_string(root().join("docs/fault-matrix.md")).unwrap();
    let rows = matrix.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let rows: Vec<_> = rows.filter(|fault| *fault != "fault").collect();
    assert!(!rows.is_empty(), "docs/fault-matrix.md has no rows");
    for fault in rows {
        assert!(tests.contains(&format!("\"{fault}\"")), "no test provokes the fault of this row: {fault}");
    }
}
