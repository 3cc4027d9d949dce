//! Where checkpoints are kept: the host's own files, or a store with a configuration of its own.

use std::sync::Arc;

use weir_sdk::connector::{self, StoreConnector};
use weir_sdk::{CheckpointStore, Error};

use super::{GOOD, connectors, good, report};
use crate::config::schema;

fn with(checkpoint: &str) -> String {
    format!("{GOOD}checkpoint: {checkpoint}\n")
}

#[test]
fn files_are_the_default_and_another_store_has_a_block() {
    assert!(good(GOOD).checkpoints.is_none());
    assert!(good(&with("{ store: file, interval: 1s }")).checkpoints.is_none());
    let store = good(&with("{ store: table, config: { name: places } }")).checkpoints.expect("a store");
    assert_eq!((store.connector.as_str(), &store.config()["name"]), ("table", &"places".into()));
}

#[test]
fn each_mistake_is_told_at_its_place() {
    let told = |checkpoint: &str| report(&with(checkpoint)).to_string();
    for (checkpoint, message, help) in [
        ("{ store: tabel }", "there is no such checkpoint store", "did you mean `table`?"),
        ("{ store: etcd }", "there is no such checkpoint store", "checkpoint stores: file, table"),
        ("{ store: file, config: { name: a } }", "the file store has no configuration", "--data-dir"),
        ("{ config: { name: a } }", "the file store has no configuration", "--data-dir"),
        ("{ store: table, config: { name: '' } }", "the name is empty", "checkpoint: "),
        ("{ store: table }", "name", "checkpoint: "),
    ] {
        let told = told(checkpoint);
        assert!(told.contains(message) && told.contains(help), "{checkpoint}:\n{told}");
        assert!(told.ends_with("1 problem in 1 file"), "{checkpoint}:\n{told}");
    }
}

#[test]
fn the_schema_knows_each_store_and_its_block() {
    let schema = schema(&connectors::registry());
    let at = |pointer: &str| schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer} in {schema:#}"));
    let names = at("/$defs/Checkpoint/properties/store/anyOf/0/enum");
    assert_eq!(names, &serde_json::json!(["file", "table"]));
    assert_eq!(at("/$defs/Checkpoint/allOf/1/then/properties/config/$ref"), "#/$defs/store.table");
    assert_eq!(at("/$defs/store.file/maxProperties"), 0);
    assert_eq!(at("/$defs/store.table/required"), &serde_json::json!(["name"]));
}

struct Pretender;

impl StoreConnector for Pretender {
    const NAME: &'static str = "file";
    type Config = connectors::TableConfig;

    fn open(&self, config: connectors::TableConfig, _: String) -> Arc<dyn CheckpointStore> {
        panic!("{config:?} is never opened")
    }
}

#[test]
fn nobody_else_is_called_file() {
    let factory = connector::store(Pretender);
    let refused: Result<_, Error> = factory.open(&serde_json::json!({}), String::new());
    assert!(refused.is_err(), "a block that cannot be read makes no store");
    let refused = connectors::registry().add_store(factory).expect_err("the host's own name");
    assert_eq!(refused.to_string(), "two checkpoint stores are called `file`");
}
