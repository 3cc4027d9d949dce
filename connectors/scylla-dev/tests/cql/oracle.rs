//! The same files against a real Apache Cassandra: every difference must be one that is meant.
use std::collections::BTreeSet;

use crate::script::Script;
use crate::{answer, connect, files};

/// `CASSANDRA` is its HOST:PORT. Prints the meant differences by their reasons; fails on any other, and on a reason
/// given where the answers are the same.
#[tokio::test]
#[ignore = "needs a real Cassandra: tests/cassandra/compare starts one"]
async fn cassandra_answers_the_same() {
    #[expect(clippy::disallowed_methods, reason = "the script that starts Cassandra says where it is")]
    let node = std::env::var("CASSANDRA")
        .expect("CASSANDRA is HOST:PORT of a node; tests/cassandra/compare sets it");
    let readme = include_str!("../../README.md");
    let (mut same, mut meant, mut wrong) = (0, BTreeSet::new(), Vec::new());
    for file in files() {
        let script = Script::read(&file);
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if script.steps.first().is_some_and(|step| step.directive("cassandra skips").is_some()) {
            continue;
        }
        let session = connect(&node).await;
        for step in script.steps {
            let theirs = answer::of(&session, &step).await;
            let agree = comparable(&theirs) == comparable(&step.answer);
            let statement = step.statement.trim();
            match step.directive("cassandra") {
                Some(key) if !agree && readme.contains(&format!("* `{key}`: ")) => {
                    meant.insert(format!("{key}: {statement}"));
                }
                Some(key) if !agree => wrong.push(format!("{name}: the README does not explain {key}")),
                None if agree => same += 1,
                _ => wrong.push(format!(
                    "{name}: {statement}\n  here\n{}\n  Cassandra\n{}",
                    step.answer.join("\n"),
                    theirs.join("\n")
                )),
            }
        }
    }
    eprintln!("{same} statements have one answer; {} differ by intent:", meant.len());
    meant.iter().for_each(|difference| eprintln!("  {difference}"));
    assert!(wrong.is_empty(), "{} statements differ without a reason:\n{}", wrong.len(), wrong.join("\n\n"));
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
