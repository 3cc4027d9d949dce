//! `weir dev` as a newcomer and as a script meet it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::get;

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
