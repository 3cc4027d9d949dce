//! `weir rebuild`: a projection is filled anew while everything else runs, and what comes of it is counted by its readers.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use weir_orders::{LoadOptions, PROJECTIONS};

use crate::harness::{Database, Weir, task, until, written};
use crate::operate::order;
use crate::projections::{place, projected, shown, told};

pub(crate) const LIMIT: Duration = Duration::from_secs(60);
pub(crate) const SINK: &str = "order-read-model";

/// The example's projections, of which the log is read from 2 s ago on where a rebuild begins with the event store.
pub(crate) struct Shop {
    pub(crate) database: Database,
    folder: tempfile::TempDir,
}

impl Shop {
    pub(crate) fn new() -> Self {
        let shop = Self { database: Database::embedded(), folder: tempfile::tempdir().unwrap() };
        shop.edit("    table: outbox_messages\n", "    table: outbox_messages\n    safety: 2s\n");
        shop
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("projections.yaml")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Writes this in the place of that in the pipeline's file.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.file()).unwrap_or_else(|_| PROJECTIONS.to_owned());
        assert!(text.contains(from), "{from}");
        std::fs::write(self.file(), text.replacen(from, to, 1)).unwrap();
    }

    /// The sink writes no faster than this.
    pub(crate) fn slow(&self, records: usize) {
        self.edit(
            "  - name: order-read-model\n",
            &format!("  - name: order-read-model\n    rate_limit: {{ records: {records} }}\n"),
        );
    }

    pub(crate) fn run(&self) -> Weir {
        Weir::run(&[&self.file()], &self.data(), &[("SCYLLA_NODES", self.database.address())])
    }

    fn command(&self, sink: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(["rebuild", sink]).arg(self.file()).arg("--data-dir").arg(self.data()).args(arguments);
        command.env("SCYLLA_NODES", self.database.address());
        command
    }

    /// The exit code, standard output and standard error of `weir rebuild order-read-model`.
    pub(crate) fn rebuild(&self, arguments: &[&str]) -> (i32, String, String) {
        self.rebuild_of(SINK, arguments)
    }

    fn rebuild_of(&self, sink: &str, arguments: &[&str]) -> (i32, String, String) {
        let output = self.command(sink, arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// The same as a process that goes on.
    pub(crate) fn rebuilding(&self, arguments: &[&str]) -> Weir {
        Weir::start(&mut self.command(SINK, arguments))
    }

    /// A rebuild that is killed when it has filled some of the table, and not all; how many rows.
    pub(crate) fn killed(&self, table: &str, arguments: &[&str]) -> i64 {
        let (fewest, rebuilding) = (Cell::new(self.rows(table)), self.rebuilding(arguments));
        let filled = || {
            let rows = self.rows(table);
            fewest.set(rows.min(fewest.get()));
            (rows >= fewest.get() + 8).then_some(())
        };
        until("some rows are there", LIMIT, filled);
        rebuilding.signal("KILL");
        let (status, told) = rebuilding.wait(LIMIT);
        assert_eq!(status.code(), None, "it had ended: {told}");
        self.rows(table)
    }

    /// Waits until the rebuild has kept that it has caught up.
    fn caught_up(&self) {
        let state = self.data().join("rebuilds/order-projections/order-read-model/state.json");
        let says_so = || std::fs::read_to_string(&state).is_ok_and(|state| state.contains("caught_up"));
        until("it has caught up", LIMIT, || says_so().then_some(()));
    }

    /// Rebuilds to the end, and gives what is told of it.
    pub(crate) fn rebuilt(&self, arguments: &[&str]) -> Value {
        let (code, out, err) = self.rebuild(&[&["--json"], arguments].concat());
        assert_eq!(code, 0, "{out}{err}");
        serde_json::from_str(&out).unwrap()
    }

    pub(crate) fn events(&self) -> u64 {
        self.database.numbers("SELECT count(*) FROM orders_ks.event_store")[0].unsigned_abs()
    }

    fn has(&self, table: &str) -> bool {
        let tables =
            "SELECT count(*) FROM system_schema.tables WHERE keyspace_name = 'orders_ks' AND table_name = ";
        self.database.count(&format!("{tables}'{table}'")) > 0
    }

    /// How many there are; none in a table that is not there.
    pub(crate) fn rows(&self, table: &str) -> i64 {
        match self.has(table) {
            true => self.database.count(&format!("SELECT count(*) FROM orders_ks.{table}")),
            false => 0,
        }
    }

    /// Waits until the table says of each order what its history says; how many orders there are.
    pub(crate) fn says_what_the_events_say(&self, table: &str) -> usize {
        until(table, LIMIT, || {
            self.database.with(async |session| {
                let told = told(session).await;
                (shown(session, table).await == told).then_some(told.len())
            })
        })
    }

    /// Places orders at a moderate pace while `work` is done.
    pub(crate) fn under_load<T>(&self, seed: u64, work: impl FnOnce() -> T) -> T {
        std::thread::scope(|scope| {
            let load = scope.spawn(move || {
                let options =
                    LoadOptions { orders: Some(40), rate: Some(80.0), seed, ..LoadOptions::default() };
                self.database.place_orders(options)
            });
            let done = work();
            assert!(load.join().unwrap().events() > 40);
            done
        })
    }
}

#[test]
fn beside_the_table_in_use_and_then_in_its_place() {
    let shop = Shop::new();
    place(&shop.database, 40, 1);
    let mut weir = shop.run();
    let http = weir.http();
    assert_eq!(projected(&shop.database), 40);
    let before = shop.events();

    let told = shop.under_load(2, || shop.rebuilt(&[]));
    assert_eq!(
        (&told["place"], &told["caught_up"]),
        (&"order_read_model_rebuilt".into(), &true.into()),
        "{told}"
    );
    assert!(told["written"].as_u64().unwrap() >= before, "{told}");
    let next = told["next"].as_str().unwrap();
    let line = PROJECTIONS.lines().position(|line| line.contains("table: order_read_model")).unwrap() + 2;
    let named = format!("set `table: order_read_model_rebuilt` at {}:{line} ", shop.file().display());
    assert!(next.starts_with(&named), "{next}");
    for sink in [SINK, "orders-by-customer", "orders-by-status"] {
        assert_eq!(task(http, sink)["state"], "RUNNING", "{sink}");
    }
    assert_eq!(projected(&shop.database), 80, "the others go on, and so does the table in use");

    place(&shop.database, 20, 3);
    weir.signal("TERM");
    assert!(weir.wait(LIMIT).0.success());
    place(&shop.database, 20, 4);
    shop.edit("table: order_read_model\n", "table: order_read_model_rebuilt\n");
    let mut weir = shop.run();
    weir.http();
    weir.wait_log("that the task goes on where its rebuild is", |line| {
        (line["fields"]["message"] == "goes on where its rebuild is").then_some(())
    });
    weir.kill();
    let mut weir = shop.run();
    let http = weir.http();
    shop.under_load(5, || assert!(shop.says_what_the_events_say("order_read_model_rebuilt") >= 120));
    assert_eq!(shop.says_what_the_events_say("order_read_model_rebuilt"), 160);
    let written = written(http, SINK) as u64;
    assert!(
        written <= shop.events() - before,
        "{written} written: what was there before the rebuild came again"
    );
    assert!(!shop.data().join("rebuilds/order-projections/order-read-model/state.json").exists());
}

#[test]
fn in_place_while_its_task_goes_on_writing() {
    let shop = Shop::new();
    place(&shop.database, 40, 1);
    let mut weir = shop.run();
    let http = weir.http();
    assert_eq!(projected(&shop.database), 40);
    // Of no order, so only an emptied table is without it.
    let by_hand = "INSERT INTO orders_ks.order_read_model (order_id, status) VALUES (uuid(), 'BY HAND')";
    shop.database.execute(by_hand);

    let (code, out, err) = shop.rebuild(&["--truncate"]);
    assert_eq!(code, 2, "{out}{err}");
    assert!(
        out.contains("all that is in `order_read_model` goes") && err.contains("nothing was changed"),
        "{out}{err}"
    );
    assert_eq!(shop.rows("order_read_model"), 41);

    let told = shop.under_load(2, || shop.rebuilt(&["--truncate", "--yes"]));
    assert_eq!((&told["place"], &told["way"]), (&"order_read_model".into(), &"in_place".into()), "{told}");
    assert!(told["next"].is_null(), "{told}");
    assert_eq!(projected(&shop.database), 80);
    assert_eq!(shop.rows("order_read_model"), 80);
    // One whose rows move, so that what is deleted meanwhile must not come back.
    shop.under_load(3, || {
        let (code, out, err) = shop.rebuild_of("orders-by-status", &["--truncate", "--yes"]);
        assert_eq!(code, 0, "{out}{err}");
    });
    assert_eq!(projected(&shop.database), 120);
    assert_eq!(shop.rows("orders_by_status"), 120);
    assert_eq!(task(http, SINK)["state"], "RUNNING");
}

#[test]
fn one_that_still_runs_keeps_its_table_and_its_sink_to_itself() {
    let shop = Shop::new();
    // What is handed over goes where the checkpoints of the pipeline are.
    let address = shop.database.address();
    let store = format!(
        "checkpoint:\n  store: scylla\n  config: {{ session: {{ contact_points: ['{address}'] }}, keyspace: orders_ks, \
         table: checkpoints }}\nsource:\n"
    );
    shop.edit("source:\n", &store);
    place(&shop.database, 20, 1);
    let following = shop.rebuilding(&["--follow"]);
    shop.caught_up();
    let holder = format!("is in use by process {} on ", following.pid());
    let (code, _, err) = shop.rebuild(&[]);
    assert!(code == 3 && err.contains("the rebuild of order-projections/order-read-model"), "{code} {err}");
    assert!(err.contains(&holder), "{err}");
    place(&shop.database, 20, 2);
    assert_eq!(shop.says_what_the_events_say("order_read_model_rebuilt"), 40, "it follows");

    shop.edit("table: order_read_model\n", "table: order_read_model_rebuilt\n");
    let mut weir = shop.run();
    let http = weir.http();
    until("it fails", LIMIT, || (task(http, SINK)["state"] == "FAILED").then_some(()));
    let reason = task(http, SINK)["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains(&holder), "{reason}");
    for sink in ["orders-by-customer", "orders-by-status"] {
        until(sink, LIMIT, || (task(http, sink)["state"] == "RUNNING").then_some(()));
    }
    following.signal("TERM");
    let (status, told) = following.wait(LIMIT);
    assert!(status.success(), "{told}");
    place(&shop.database, 20, 3);
    order("restart", "order-projections/order-read-model", http);
    assert_eq!(shop.says_what_the_events_say("order_read_model_rebuilt"), 60);
}

#[test]
fn one_that_is_not_finished_goes_on_as_it_was_begun_or_begins_again() {
    let shop = Shop::new();
    place(&shop.database, 40, 1);
    shop.slow(60);
    shop.killed("order_read_model_rebuilt", &[]);
    let refused = |arguments: &[&str], why: &str| {
        let (code, out, err) = shop.rebuild(arguments);
        assert!(code == 2 && err.contains(why) && err.contains("help: "), "{code} {out}{err}");
    };
    refused(
        &["--truncate", "--yes"],
        "a rebuild into `order_read_model_rebuilt` was begun, not one in place",
    );
    refused(
        &["--into", "another"],
        "a rebuild of `order_read_model_rebuilt` was begun, not one into `another`",
    );

    shop.edit("table: order_read_model\n", "table: order_read_model_rebuilt\n");
    let mut weir = shop.run();
    let http = weir.http();
    until("it fails", LIMIT, || (task(http, SINK)["state"] == "FAILED").then_some(()));
    let reason = task(http, SINK)["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("`order_read_model_rebuilt` is not finished"), "{reason}");
    weir.kill();
    refused(&["--anew"], "`order_read_model_rebuilt` is what the former rebuild has filled, and in use");
    shop.edit("table: order_read_model_rebuilt\n", "table: order_read_model\n");

    shop.edit(", signature: $.signature }", " }");
    refused(&[], "the sink of order-projections/order-read-model changed since its rebuild began");
    // Of what the former mapping wrote nothing is left.
    let told = shop.rebuilt(&["--anew"]);
    assert!(told["written"].as_u64().unwrap() >= shop.events(), "{told}");
    let signed = "SELECT signature FROM orders_ks.order_read_model_rebuilt";
    let signed: Vec<(Option<String>,)> = shop.database.rows(signed);
    assert!(signed.len() == 40 && signed.iter().all(|(signature,)| signature.is_none()), "{signed:?}");
}

#[test]
fn an_outage_parks_it_with_the_reason_and_a_stop_is_gone_on_from() {
    let mut shop = Shop::new();
    place(&shop.database, 40, 1);
    shop.slow(30);
    shop.edit("    rate_limit:", "    circuit_breaker: { open_for: 1s }\n    rate_limit:");
    let mut rebuilding = shop.rebuilding(&[]);
    until("some rows are there", LIMIT, || (shop.rows("order_read_model_rebuilt") >= 8).then_some(()));
    shop.database.stop();
    rebuilding.wait_line("PARKED ");
    shop.database.restart();
    rebuilding.wait_line("RUNNING");
    let rows = shop.rows("order_read_model_rebuilt");
    rebuilding.signal("TERM");
    let (status, told) = rebuilding.wait(LIMIT);
    assert_eq!(status.code(), Some(1), "it was not finished: {told}");
    assert!(rows < 40, "{rows} rows: it was nearly done");
    let (code, out, err) = shop.rebuild(&[]);
    assert!(code == 0 && err.contains("goes on filling `order_read_model_rebuilt`: "), "{code} {out}{err}");
    assert_eq!(shop.says_what_the_events_say("order_read_model_rebuilt"), 40);
}

#[test]
fn what_cannot_be_rebuilt_is_refused_with_what_to_do() {
    let shop = Shop::new();
    place(&shop.database, 5, 1);
    shop.database.execute("CREATE TABLE orders_ks.taken (order_id uuid PRIMARY KEY)");
    shop.database.execute("INSERT INTO orders_ks.taken (order_id) VALUES (uuid())");
    shop.database.execute("CREATE TABLE orders_ks.narrow (order_id uuid PRIMARY KEY, status text)");
    let refused = |arguments: &[&str], why: &str| {
        let (code, out, err) = shop.rebuild(arguments);
        assert!(code == 2 && err.contains(why), "{code} {out}{err}");
    };
    refused(&["--into", "taken"], "there are rows in the table \"orders_ks\".\"taken\"");
    refused(&["--into", "order_read_model"], "is the table that is in use");
    refused(&["--into", "no-name"], "`no-name` is no name of a table");
    refused(&["--into", "narrow"], "has no column `version`");
    assert_eq!(shop.rebuilt(&["--into", "wide"])["place"], "wide");
    assert_eq!(shop.says_what_the_events_say("wide"), 5);
    assert_eq!(shop.rebuilt(&["--anew", "--into", "wider"])["place"], "wider");
    assert_eq!(shop.says_what_the_events_say("wider"), 5, "it begins again, in another table");

    let publisher = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines/orders/publisher.yaml");
    let other = |sink: &str, files: &[&Path]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(["rebuild", sink]).args(files).arg("--data-dir").arg(shop.data());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let told = other("redpanda-publisher", &[&publisher]);
    assert!(told.contains("a sink of the kind `redpanda` cannot be rebuilt"), "{told}");
    let told = other("redpanda-publishr", &[&publisher]);
    assert!(told.contains("did you mean"), "{told}");
    let lines = shop.folder.path().join("lines.yaml");
    let config = json!({
        "session": {"contact_points": [shop.database.address()]}, "keyspace": "orders_ks", "table": "taken",
        "events": {"*": {"upsert": {"order_id": "{key}"}}},
    });
    let pipeline = json!({
        "name": "lines",
        "source": {"connector": "file", "config": {"path": shop.folder.path().join("in.jsonl")}},
        "sinks": [{"name": "list", "connector": "scylla-projection", "config": config}],
    });
    std::fs::write(&lines, pipeline.to_string()).unwrap();
    let told = other("list", &[&lines]);
    assert!(!shop.has("taken_rebuilt"), "nothing is made");
    assert!(told.contains("a source of the kind `file` does not tell how far it is by time"), "{told}");
    let copy = shop.folder.path().join("copy.yaml");
    std::fs::write(&copy, PROJECTIONS.replace("name: order-projections", "name: copy")).unwrap();
    let told = other(SINK, &[&shop.file(), &copy]);
    assert!(told.contains("several pipelines have") && told.contains("copy/order-read-model"), "{told}");
}

#[test]
fn the_guide_names_every_option() {
    let guide = include_str!("../../docs/rebuilds.md");
    let help = Command::new(env!("CARGO_BIN_EXE_weir")).args(["rebuild", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let options = help.split_whitespace().filter(|word| word.starts_with("--") && *word != "--log-format");
    let options: Vec<_> = options.filter(|option| !["--help", "--version"].contains(option)).collect();
    assert!(options.len() >= 7, "{help}");
    for option in options {
        assert!(guide.contains(&format!("`{option}")), "docs/rebuilds.md says nothing of {option}");
    }
}
