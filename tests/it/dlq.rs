//! `weir dlq` over its three places: a poison record is found with its reason, shown, sent once more after repair, and
//! removed; and one that is never repaired does not go round for ever.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Broker, Database, Read, Weir, count, read_topic, until};

const LIMIT: Duration = Duration::from_secs(60);
const RECORDS: usize = 30;
/// Every tenth record is larger than the sink takes, until it is repaired.
const POISON: usize = 3;

/// A pipeline from a file to a topic, with its dead letters at `place`.
struct Shop {
    folder: tempfile::TempDir,
    brokers: String,
    place: Value,
}

impl Shop {
    fn new(brokers: String, place: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shop = Self { folder, brokers, place };
        let lines: Vec<_> = (0..RECORDS).map(|n| line(n).to_string() + "\n").collect();
        std::fs::write(shop.path("in.jsonl"), lines.concat()).unwrap();
        shop
    }

    /// With its dead letters in a file of its own.
    fn with_file(brokers: String) -> Self {
        let mut shop = Self::new(brokers, Value::Null);
        shop.place = json!({"connector": "file", "config": {"path": shop.path("dead.jsonl")}});
        shop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// JSON is YAML.
    fn pipeline(&self, max_record: &str) -> PathBuf {
        let file = self.path("orders.yaml");
        let text = json!({
            "name": "orders",
            "source": {"connector": "file", "config": {"path": self.path("in.jsonl"), "until": "end"}},
            "transforms": [{"transform": "headers", "config": {"set": {"passed": "the transforms"}}}],
            "sinks": [{"name": "topic", "connector": "redpanda", "config":
                {"brokers": self.brokers, "topic": "orders", "create": {"partitions": 2}, "max_record": max_record}}],
            "dead_letter": self.place,
        });
        std::fs::write(&file, text.to_string()).unwrap();
        file
    }

    /// Runs the pipeline to the end of its file.
    fn run(&self) {
        let file = self.pipeline("1KB");
        let (status, log) = Weir::run(&[&file], &self.path("data"), &[]).wait(LIMIT);
        assert!(status.success(), "{log}");
    }

    fn dlq(&self, command: &str, more: &[&str]) -> Said {
        dlq(command, Some(&self.path("orders.yaml")), more)
    }

    fn listed(&self, more: &[&str]) -> Vec<Value> {
        let said = self.dlq("list", &[more, &["--json"]].concat());
        assert_eq!(said.code, 0, "{}", said.err);
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn arrived(&self) -> usize {
        count(&self.brokers, "orders")
    }
}

struct Said {
    code: i32,
    out: String,
    err: String,
}

fn dlq(command: &str, file: Option<&Path>, more: &[&str]) -> Said {
    let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
    weir.args(["dlq", command]).args(file).args(more).env_remove("RUST_LOG");
    let output = weir.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn is_poison(n: usize) -> bool {
    n % 10 == 5
}

fn value(n: usize) -> String {
    let size = if is_poison(n) { 3000 } else { 20 };
    format!("{n}:{}", "x".repeat(size))
}

fn line(n: usize) -> Value {
    json!({
        "key": format!("order-{n}"),
        "value": value(n),
        "headers": [["event_type", if n == 5 { "OrderShipped" } else { "OrderCreated" }], ["number", n.to_string()]],
        "timestamp_us": 1_700_000_000_000_000_i64 + i64::try_from(n).unwrap() * 1_000,
    })
}

/// The whole life of poison, at any place. `leaves` is whether a purge may leave what stands behind what stays.
fn life(shop: &Shop) {
    shop.run();
    assert_eq!(shop.arrived(), RECORDS - POISON);
    found(shop);
    again(shop);
    repaired(shop);
}

/// The poison is there with its reason, and filters pick.
fn found(shop: &Shop) {
    let listed = shop.listed(&[]);
    assert_eq!(listed.len(), POISON, "{listed:?}");
    for (letter, n) in listed.iter().zip([5, 15, 25]) {
        assert_eq!(letter["key"], format!("order-{n}"));
        assert_eq!(letter["value"], value(n));
        let own = json!([["event_type", line(n)["headers"][0][1]], ["number", n.to_string()]]);
        assert_eq!(letter["headers"], own, "as the source gave it");
        let facts = ["sink", "stage", "kind", "replays"].map(|fact| letter[fact].clone());
        assert_eq!(facts, [json!("topic"), json!("sink"), json!("record"), json!(0)]);
        assert!(letter["message"].as_str().unwrap().contains("MessageSizeTooLarge"), "{letter}");
    }
    let id = listed[1]["id"].as_str().unwrap();
    let shown = shop.dlq("show", &["--id", id]);
    assert!(shown.out.contains("MessageSizeTooLarge") && shown.out.contains(&value(15)), "{}", shown.out);
    assert_eq!(shop.dlq("show", &["--id", "00000000-0000-8000-8000-000000000000"]).code, 1);
    for (filter, picked) in [
        (["--type", "OrderShipped"], 1),
        (["--reason", "record"], 3),
        (["--reason", "sizetoolarge"], 3),
        (["--reason", "timeout"], 0),
        (["--key", "order-25"], 1),
        (["--sink", "other"], 0),
        (["--since", "1h"], 3),
        (["--until", "1h"], 0),
        (["--limit", "2"], 2),
    ] {
        assert_eq!(shop.listed(&filter).len(), picked, "{filter:?}");
    }
    let table = shop.dlq("list", &[]).out;
    assert!(table.starts_with("ID ") && table.lines().count() == 1 + POISON, "{table}");
}

/// Without a repair it fails again, is the same dead letter, and is counted.
fn again(shop: &Shop) {
    let dry = shop.dlq("replay", &["--dry-run"]);
    assert_eq!((dry.code, dry.out.as_str()), (0, "3 dead letters would be sent\n  3 to topic\n"));
    let ids: Vec<_> = shop.listed(&[]).iter().map(|letter| letter["id"].clone()).collect();
    let sent = shop.dlq("replay", &["--key", "order-5"]);
    assert_eq!((sent.code, sent.out.as_str()), (1, "sent 1 dead letters, 1 failed again\n"), "{}", sent.err);
    let listed = shop.listed(&[]);
    assert_eq!(listed.iter().map(|letter| letter["id"].clone()).collect::<Vec<_>>(), ids);
    assert_eq!(listed.iter().map(|letter| letter["replays"].clone()).collect::<Vec<_>>(), [1, 0, 0]);
    let guarded = shop.dlq("replay", &["--key", "order-5", "--max-replays", "1"]);
    assert_eq!((guarded.code, guarded.out.as_str()), (0, "sent 0 dead letters, 0 failed again\n"));
    assert!(guarded.err.contains("1 dead letters were replayed 1 times already"), "{}", guarded.err);
    assert_eq!(shop.arrived(), RECORDS - POISON);
}

/// After the repair everything arrives, once, as it was written; and the place is empty.
fn repaired(shop: &Shop) {
    shop.pipeline("100KB");
    let sent = shop.dlq("replay", &["--purge"]);
    assert_eq!(sent.code, 0, "{}", sent.err);
    assert!(sent.out.starts_with("sent 3 dead letters, 0 failed again\nremoved"), "{}", sent.out);
    let read = read_topic(&shop.brokers, "orders", LIMIT, |read| read.len() >= RECORDS);
    assert_eq!((read.len(), shop.arrived()), (RECORDS, RECORDS));
    for n in [5, 15, 25] {
        let is_it = |read: &&Read| read.key == format!("order-{n}");
        let [record] = read.iter().filter(is_it).collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(record.value, value(n));
        assert_eq!(record.timestamp, Some(1_700_000_000_000 + i64::try_from(n).unwrap()));
        let header = |name: &str| record.headers.get(name).map(String::as_str);
        assert_eq!(header("number"), Some(n.to_string().as_str()));
        assert_eq!(header("passed"), Some("the transforms"));
        assert_eq!(header("weir.dlq.replays"), Some(if n == 5 { "2" } else { "1" }));
        assert_eq!(header("weir.dlq.message"), None, "a replayed record is no dead letter");
    }
    assert_eq!(shop.listed(&[]), Vec::<Value>::new());
    assert_eq!(shop.dlq("list", &[]).out, "no dead letters\n");
}

#[test]
fn dead_letters_in_a_file() {
    let broker = Broker::start();
    let shop = Shop::with_file(broker.address());
    life(&shop);
    // Another run with a sink that takes little again: removed one by one, then all.
    std::fs::remove_dir_all(shop.path("data")).unwrap();
    shop.run();
    assert_eq!(shop.listed(&[]).len(), POISON);
    let refused = shop.dlq("purge", &[]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("--yes"), "{}", refused.err);
    assert_eq!(shop.dlq("purge", &["--key", "order-15"]).out, "removed 1 dead letters\n");
    assert_eq!(shop.dlq("purge", &["--dry-run"]).out, "2 dead letters would be removed\n");
    let config = shop.place["config"].to_string();
    let place = ["--connector", "file", "--config", &config];
    assert_eq!(dlq("list", None, &[&place[..], &["--json"]].concat()).out.lines().count(), 2);
    assert_eq!(dlq("purge", None, &[&place[..], &["--yes"]].concat()).out, "removed 2 dead letters\n");
    assert_eq!(shop.listed(&[]).len(), 0);
}

#[test]
fn dead_letters_in_a_topic() {
    let broker = Broker::start();
    let place = json!({"connector": "redpanda", "config":
        {"brokers": broker.address(), "topic": "orders.dead", "create": {"partitions": 2}}});
    life(&Shop::new(broker.address(), place));
}

#[test]
fn dead_letters_in_a_table() {
    let (broker, database) = (Broker::start(), Database::start());
    let place = json!({"connector": "scylla-dead-letter", "config":
        {"session": {"contact_points": [database.address()]}, "keyspace": "orders_ks", "table": "dead_letter_queue"}});
    life(&Shop::new(broker.address(), place));
}

/// Ctrl-C while the broker is away: nothing is removed, and a later replay sends all of them.
#[test]
fn a_replay_that_is_broken_off_loses_nothing() {
    let broker = weir_redpanda_dev::RedpandaDev::start("127.0.0.1:0").unwrap();
    let shop = Shop::with_file(broker.address().to_string());
    shop.run();
    let file = shop.pipeline("100KB");
    broker.pause().unwrap();
    let mut replay = Command::new(env!("CARGO_BIN_EXE_weir"));
    let replay = Weir::start(replay.args(["dlq", "replay", "--purge"]).arg(&file));
    until("it hears signals", LIMIT, || hears_interrupts(replay.pid()).then_some(()));
    replay.signal("INT");
    let (status, said) = replay.wait(LIMIT);
    assert!(
        status.code() == Some(1) && said.contains("nothing was removed; replay again"),
        "{status} {said}"
    );
    broker.resume().unwrap();
    assert_eq!(shop.listed(&[]).len(), POISON);
    let sent = shop.dlq("replay", &["--purge"]);
    assert!(
        sent.out.starts_with("sent 3 dead letters, 0 failed again\nremoved"),
        "{} {}",
        sent.out,
        sent.err
    );
    assert_eq!(shop.arrived(), RECORDS);
}

/// Its handler of SIGINT is there, as the kernel tells.
fn hears_interrupts(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & 0b10 != 0)
}

#[test]
fn what_cannot_be_done_is_said_with_its_code() {
    let broker = Broker::start();
    let mut shop = Shop::new(broker.address(), json!({"connector": "stdout"}));
    shop.pipeline("1KB");
    let said = shop.dlq("list", &[]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("dead letters at `stdout` cannot be read"), "{}", said.err);
    shop.place = json!({"connector": "redpanda", "config": {"brokers": broker.address(), "topic": "none"}});
    shop.pipeline("1KB");
    let said = shop.dlq("list", &[]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains("create the topic"), "{}", said.err);
    assert_eq!(dlq("list", None, &[]).code, 2);
    let config = json!({"path": shop.path("dead.jsonl")}).to_string();
    let said = dlq("replay", None, &["--connector", "file", "--config", &config]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("a replay needs the pipeline"), "{}", said.err);
}
