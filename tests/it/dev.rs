//! `weir dev` as a newcomer and as a script meet it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Database, get, task, until, written};
use crate::operate::order;
use crate::projections::{place, projected};

const LIMIT: Duration = Duration::from_secs(60);

/// A running `weir dev --json`, killed when dropped.
pub(crate) struct Dev {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Dev {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_weir"))
            .args([
                "dev",
                "--json",
                "--listen",
                "127.0.0.1:0",
                "--cql",
                "127.0.0.1:0",
                "--kafka",
                "127.0.0.1:0",
            ])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line that tells of this event.
    pub(crate) fn event(&mut self, name: &str) -> Value {
        loop {
            let line = self.lines.next().unwrap_or_else(|| panic!("ended without a {name} line")).unwrap();
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["event"] == name {
                return line;
            }
        }
    }

    pub(crate) fn interrupt(&self) {
        let status = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    pub(crate) fn code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It may have ended long ago.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

const TABLES: [&str; 3] = ["order_read_model", "orders_by_customer", "orders_by_status"];

/// What the summary says of each table: orders as they should be, and others.
fn shown(done: &Value) -> Vec<(String, u64, u64)> {
    let tables = done["tables"].as_array().unwrap().iter();
    let number = |table: &Value, name: &str| table[name].as_u64().unwrap();
    tables
        .map(|table| {
            (table["table"].as_str().unwrap().to_owned(), number(table, "right"), number(table, "wrong"))
        })
        .collect()
}

#[test]
fn a_finite_load_ends_with_counts_taken_at_the_destination() {
    let mut dev = Dev::start(&["--orders", "30"]);
    let ready = dev.lines.next().unwrap().unwrap();
    assert!(ready.starts_with(r#"{"event":"ready","cql":"127.0.0.1:"#), "{ready}");
    let http = serde_json::from_str::<Value>(&ready).unwrap()["http"].as_str().unwrap().parse().unwrap();
    assert_eq!(get(http, "/live").0, 200);
    let record = dev.event("record");
    assert_eq!((&record["topic"], &record["event_type"]), (&"order-events".into(), &"OrderCreated".into()));
    let done = dev.event("done");
    assert!(done["events_written"].as_u64().unwrap() >= 60, "{done}");
    assert_eq!(done["events_delivered"], done["events_written"]);
    let counts =
        ["duplicates", "lost", "dead_lettered", "out_of_order"].map(|name| done[name].as_u64().unwrap());
    assert_eq!(counts, [0; 4], "{done}");
    assert_eq!(done["orders"], 30);
    assert_eq!(shown(&done), TABLES.map(|table| (table.to_owned(), 30, 0)));
    assert!(dev.lines.next().is_none(), "done is the last line");
    assert_eq!(dev.code(), Some(0));
}

#[test]
fn an_interrupt_drains_and_prints_the_summary() {
    let began = Instant::now();
    let mut dev = Dev::start(&["--rate", "200"]);
    for _ in 0..100 {
        dev.event("record");
    }
    assert!(began.elapsed() < Duration::from_secs(60));
    dev.interrupt();
    let done = dev.event("done");
    assert!(done["events_written"].as_u64().unwrap() >= 100, "{done}");
    assert_eq!((&done["lost"], &done["events_delivered"]), (&0.into(), &done["events_written"]));
    let orders = done["orders"].as_u64().unwrap();
    assert_eq!(shown(&done), TABLES.map(|table| (table.to_owned(), orders, 0)));
    assert_eq!(dev.code(), Some(0));
}

#[test]
fn four_consumers_each_with_its_own_failures() {
    let mut dev = Dev::start(&["--no-load"]);
    let ready = dev.event("ready");
    let (cql, http) = (ready["cql"].as_str().unwrap(), ready["http"].as_str().unwrap().parse().unwrap());
    let status = dev.event("status");
    let told = status["tasks"].as_array().unwrap();
    let names: Vec<_> = told.iter().map(|task| task["task"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "order-projections/order-read-model",
            "order-projections/orders-by-customer",
            "order-projections/orders-by-status",
            "orders/redpanda-publisher"
        ]
    );
    for figure in ["lag_seconds", "checkpoint_age_seconds", "records_written"] {
        assert!(told.iter().all(|task| task[figure].is_number()), "{figure}: {status}");
    }
    let state = |sink: &str| task(http, sink)["state"].as_str().unwrap_or_default().to_owned();
    until("all run", LIMIT, || {
        names.iter().all(|name| state(name.split_once('/').unwrap().1) == "RUNNING").then_some(())
    });

    let database = Database::served(cql);
    database.execute("DROP TABLE orders_ks.orders_by_customer");
    order("pause", "order-projections/order-read-model", http);
    place(&database, 20, 1);
    let events = database.numbers("SELECT count(*) FROM orders_ks.event_store")[0];
    for sink in ["orders-by-status", "redpanda-publisher"] {
        until(sink, LIMIT, || (written(http, sink) >= events as f64).then_some(()));
        assert_eq!(state(sink), "RUNNING");
    }
    until("the one without a table fails", LIMIT, || (state("orders-by-customer") == "FAILED").then_some(()));
    let failed = task(http, "orders-by-customer");
    assert!(failed["reason"].as_str().unwrap().contains("there is no table"), "{failed}");
    assert_eq!(state("order-read-model"), "PAUSED");
    assert_eq!(database.numbers("SELECT count(*) FROM orders_ks.order_read_model"), [0]);

    database.lay_orders();
    order("restart", "order-projections/orders-by-customer", http);
    order("resume", "order-projections/order-read-model", http);
    assert_eq!(projected(&database), 20);
    dev.interrupt();
    dev.event("done");
    assert_eq!(dev.code(), Some(0));
}

#[test]
fn ones_own_pipelines_run_on_the_embedded_services_and_anew_when_saved() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.yaml");
    let save = |topic: &str| {
        let pipeline = format!(
            "name: own
source: {{ connector: generator, config: {{ records: 25 }} }}
sinks:
  - {{ name: to-{topic}, connector: redpanda, config: {{ brokers: '${{env:REDPANDA_BROKERS}}', topic: {topic} }} }}
"
        );
        std::fs::write(&file, pipeline).unwrap();
    };
    save("mine");
    let mut dev = Dev::start(&[file.to_str().unwrap()]);
    for _ in 0..25 {
        assert_eq!(dev.event("record")["topic"], "mine");
    }
    std::fs::write(&file, "name: own\nsurce: {}\n").unwrap();
    dev.event("status");
    save("yours");
    for _ in 0..25 {
        assert_eq!(dev.event("record")["topic"], "yours");
    }
    dev.interrupt();
    dev.event("done");
    assert_eq!(dev.code(), Some(0));
}
