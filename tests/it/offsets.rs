//! `weir offsets`: how far a task is, and what sending it elsewhere repeats and skips, counted at the destination.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::harness::{Arrived, Broker, Database, Weir, count, read_topic, until};
use crate::outbox::pipeline;

const LIMIT: Duration = Duration::from_secs(60);

/// A pipeline from the outbox to a topic of its own, and one order.
struct Shop {
    folder: tempfile::TempDir,
    database: Database,
    broker: Broker,
    file: PathBuf,
    topic: &'static str,
    order: Uuid,
}

impl Shop {
    fn new(topic: &'static str) -> Self {
        let (database, broker, folder) = (Database::start(), Broker::start(), tempfile::tempdir().unwrap());
        let file = pipeline(folder.path(), &database, &broker, topic);
        Self { folder, database, broker, file, topic, order: Uuid::new_v4() }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn count(&self) -> usize {
        count(&self.broker.address(), self.topic)
    }

    /// Runs until so many records have arrived in all, and stops; what had arrived by then.
    fn run_until(&self, records: usize) {
        let weir = Weir::run(&[&self.file], &self.data(), &[]);
        until("records arrive", LIMIT, || (self.count() >= records).then_some(()));
        weir.signal("TERM");
        assert!(weir.wait(LIMIT).0.success());
        assert_eq!(self.count(), records);
    }

    /// The exit code, standard output and standard error of `weir offsets`.
    fn offsets(&self, arguments: &[&str], data: &Path) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.arg("offsets").args(arguments).arg(&self.file).arg("--data-dir").arg(data);
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// Moves the task, and gives what it is told that does.
    fn reset(&self, to: &str) -> String {
        let arguments = ["reset", self.topic, "--to", to, "--yes", "--json"];
        let (code, out, err) = self.offsets(&arguments, &self.data());
        assert_eq!(code, 0, "{err}");
        let told: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            (&told["tasks"][0]["pipeline"], &told["tasks"][0]["sink"]),
            (&self.topic.into(), &"topic".into())
        );
        told["tasks"][0]["effect"].as_str().unwrap().to_owned()
    }
}

/// Waits for the next second: a place in the log is one to the second.
fn next_second() -> Timestamp {
    let before = Timestamp::now().as_second();
    until("a second begins", LIMIT, || Some(Timestamp::now()).filter(|now| now.as_second() > before))
}

#[test]
fn a_task_is_sent_where_the_operator_says_and_what_that_means_is_told() {
    let shop = Shop::new("sent");
    let (code, out, _) = shop.offsets(&["list"], &shop.data());
    assert_eq!(
        (code, out.as_str()),
        (0, "sent/topic: nothing is saved; it begins where its source's `start` says\n")
    );
    shop.database.write(shop.order, 1..=20);
    shop.run_until(20);
    let between = next_second().to_string();
    shop.database.write(shop.order, 21..=30);
    let running = Weir::run(&[&shop.file], &shop.data(), &[]);
    until("records arrive", LIMIT, || (shop.count() >= 30).then_some(()));
    let (code, out, err) = shop.offsets(&["list"], &shop.data());
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("sent/topic: read up to 2") && out.ends_with(" ago\n"), "{out}");
    let (code, _, err) = shop.offsets(&["reset", "sent", "--to", "earliest", "--yes"], &shop.data());
    assert_eq!(code, 3, "{err}");
    assert!(err.contains(&format!("in use by process {}", running.pid())), "{err}");
    running.signal("TERM");
    assert!(running.wait(LIMIT).0.success());

    let (code, out, err) = shop.offsets(&["reset", "sent/topic", "--to", "earliest"], &shop.data());
    assert_eq!(code, 2, "{err}");
    assert!(
        out.contains(": repeats what was written in the ") && err.contains("nothing was changed"),
        "{out}{err}"
    );
    let effect = shop.reset(&between);
    assert!(effect.starts_with("repeats what was written in the "), "{effect}");
    shop.run_until(40);
    assert!(shop.reset("earliest").starts_with("repeats what was written in the "));
    shop.run_until(70);
    shop.database.write(shop.order, 31..=40);
    next_second();
    let effect = shop.reset("latest");
    assert!(effect.starts_with("skips what was written in the "), "{effect}");
    shop.database.write(shop.order, 41..=45);
    shop.run_until(75);
    let read = read_topic(&shop.broker.address(), "sent", LIMIT, |read| read.len() >= 75);
    let numbers: Vec<i64> = (1..=30).chain(41..=45).collect();
    assert_eq!(Arrived::of(&read).by_key[&shop.order.to_string()], numbers);
}

#[test]
fn a_task_whose_checkpoint_is_in_the_database_is_moved_only_where_nobody_runs_it() {
    let shop = Shop::new("moved");
    let mut text = std::fs::read_to_string(&shop.file).unwrap();
    text += &format!(
        "checkpoint:
  store: scylla
  config: {{ session: {{ contact_points: ['{}'] }}, keyspace: orders_ks, table: checkpoints }}
",
        shop.database.address()
    );
    std::fs::write(&shop.file, text).unwrap();
    shop.database.write(shop.order, 1..=20);
    let running = Weir::run(&[&shop.file], &shop.data(), &[]);
    until("records arrive", LIMIT, || (shop.count() >= 20).then_some(()));
    let elsewhere = shop.folder.path().join("elsewhere");
    let list = || shop.offsets(&["list", "--json"], &elsewhere);
    let told = until("something is saved", LIMIT, || {
        let told: Value = serde_json::from_str(&list().1).unwrap();
        (!told["tasks"][0]["age_seconds"].is_null()).then_some(told)
    });
    assert_eq!(told["tasks"][0]["store"], "scylla", "{told}");
    let (code, _, err) = shop.offsets(&["reset", "moved", "--to", "earliest", "--yes"], &elsewhere);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains(&format!("moved/topic is in use by process {}", running.pid())), "{err}");
    running.signal("TERM");
    assert!(running.wait(LIMIT).0.success());
    assert!(shop.reset("earliest").starts_with("repeats what was written in the "));
    shop.run_until(40);
    // What the table holds, and then what its log holds.
    assert_eq!(shop.reset("everything"), "repeats everything that is still there");
    shop.run_until(80);
    let (code, _, err) = shop.offsets(&["reset", "nobody", "--to", "earliest"], &elsewhere);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("nobody"), "{err}");
}
