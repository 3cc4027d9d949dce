//! The same files against real databases: ScyllaDB, which is right, and Apache Cassandra, where a difference must be meant.
use std::collections::BTreeSet;

use crate::script::{Script, Step};
use crate::{answer, connect, files};

/// `SCYLLA_NODES` is a ScyllaDB's HOST:PORT; without it nothing is compared, and that is said. Words of refusals are not
/// compared, nor the files whose answers hold the time of the server.
#[tokio::test]
async fn a_real_scylladb_answers_the_same() {
    #[expect(clippy::disallowed_methods, reason = "tests take the server from the environment")]
    let Some(node) = std::env::var("SCYLLA_NODES").ok().filter(|nodes| !nodes.is_empty()) else {
        eprintln!("*** SKIPPED: SCYLLA_NODES names no real ScyllaDB to compare with ***");
        return;
    };
    let mut wrong = Vec::new();
    let same = compare(node.split(',').next().unwrap(), |step, told| {
        // What such an answer says is the time of the server that gave it.
        if step.directive("cassandra") != Some("clock") {
            wrong.push(format!("{}{told}", step.statement));
        }
    });
    let same = same.await;
    eprintln!("{same} statements have one answer");
    assert!(wrong.is_empty(), "{} statements differ:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// `CASSANDRA` is its HOST:PORT. Prints the meant differences by their reasons; fails on any other, and on a reason
/// given where the answers are the same.
#[tokio::test]
#[ignore = "needs a real Cassandra: tests/cassandra/compare starts one"]
async fn cassandra_answers_the_same() {
    #[expect(clippy::disallowed_methods, reason = "the script that starts Cassandra says where it is")]
    let node = std::env::var("CASSANDRA")
        .expect("CASSANDRA is HOST:PORT of a node; tests/cassandra/compare sets it");
    let readme = include_str!("../../README.md");
    let (mut meant, mut wrong) = (BTreeSet::new(), Vec::new());
    let mut reasons = BTreeSet::new();
    let same = compare(&node, |step, told| match step.directive("cassandra") {
        Some(key) if readme.contains(&format!("* `{key}`: ")) => {
            reasons.insert(step.statement.clone());
            meant.insert(format!("{key}: {}", step.statement.trim()));
        }
        Some(key) => wrong.push(format!("the README does not explain {key}")),
        None => wrong.push(format!("{}{told}", step.statement)),
    });
    let same = same.await;
    for step in files().iter().flat_map(|file| compared(file)) {
        if step.directive("cassandra").is_some() && !reasons.contains(&step.statement) {
            wrong.push(format!("a reason is given where the answers are the same: {}", step.statement));
        }
    }
    eprintln!("{same} statements have one answer; {} differ by intent:", meant.len());
    meant.iter().for_each(|difference| eprintln!("  {difference}"));
    assert!(wrong.is_empty(), "{} statements differ without a reason:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// The statements of a file, none of one whose answers another server cannot give.
fn compared(file: &std::path::Path) -> Vec<Step> {
    let steps = Script::read(file).steps;
    let skips = steps.first().is_some_and(|step| step.directive("cassandra skips").is_some());
    if skips { Vec::new() } else { steps }
}

/// Runs every file against the node; how many statements have the answer that the file says. `differs` is told of the
/// others, with both answers.
async fn compare(node: &str, mut differs: impl FnMut(&Step, String)) -> usize {
    let mut same = 0;
    for file in files() {
        let session = connect(node).await;
        for step in compared(&file) {
            let theirs = answer::of(&session, &step).await;
            if comparable(&theirs) == comparable(&step.answer) {
                same += 1;
            } else {
                let name = file.file_name().unwrap().to_string_lossy();
                differs(
                    &step,
                    format!("  {name}\n{}\n  there\n{}", step.answer.join("\n"), theirs.join("\n")),
                );
            }
        }
    }
    same
}

/// What both databases must agree on. Of a refusal that is the code, as each has its own words. Of a condition, whether it
/// held: ScyllaDB shows the old row in any case. Of pages, the rows: where a page ends is nobody's promise.
fn comparable(answer: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (at, line) in answer.iter().enumerate() {
        match line.split_once(':') {
            Some((code, _)) if line.starts_with("--!") => lines.push(code.to_owned()),
            _ if line.starts_with("--~") || (at > 0 && *line == answer[0]) => {}
            _ if line.starts_with("-- gives [applied]") => lines.push("-- gives ".to_owned()),
            _ => lines.push(line.replace("IN(", "in(")),
        }
    }
    if lines.first().is_some_and(|head| head.starts_with("-- [applied]")) {
        let first = lines.get(1).and_then(|row| row.split(" | ").next()).unwrap_or_default();
        return vec![first.to_owned()];
    }
    lines
}
