//! A checkpoint that cannot be trusted is refused with what to do; it is never taken for an empty one.

use std::path::Path;
use std::time::Duration;

use crate::harness::{Broker, Database, Weir, count, until};
use crate::outbox::pipeline;

const LIMIT: Duration = Duration::from_secs(60);

/// Runs the pipeline until its events have arrived, and stops it.
fn fill(file: &Path, data: &Path, broker: &Broker, topic: &str) {
    let weir = Weir::run(&[file], data, &[]);
    until("records arrive", LIMIT, || (count(&broker.address(), topic) >= 10).then_some(()));
    weir.signal("TERM");
    assert!(weir.wait(LIMIT).0.success());
}

#[test]
fn a_checkpoint_of_another_table_is_refused() {
    let (database, broker, folder) = (Database::embedded(), Broker::start(), tempfile::tempdir().unwrap());
    let file = pipeline(folder.path(), &database, &broker, "other-table");
    let data = folder.path().join("data");
    database.write(uuid::Uuid::new_v4(), 1..=10);
    fill(&file, &data, &broker, "other-table");
    let another = Database::embedded();
    another.write(uuid::Uuid::new_v4(), 1..=10);
    let file = pipeline(folder.path(), &another, &broker, "other-table");
    let mut weir = Weir::run(&[&file], &data, &[]);
    let reason = weir.wait_log("that the task has FAILED", |line| {
        let fields = &line["fields"];
        (fields["to"] == "FAILED").then(|| fields["reason"].as_str().unwrap_or_default().to_owned())
    });
    assert!(reason.starts_with("the checkpoint belongs to source scylla-outbox:"), "{reason}");
    assert_eq!(count(&broker.address(), "other-table"), 10, "nothing was read from the wrong table");
}
