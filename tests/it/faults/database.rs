//! The bad days of ScyllaDB: what a user of the outbox publisher sees, and that every event arrives.

mod dead_letters;
mod refused;
mod schema;
mod troubled;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use uuid::Uuid;
use weir_redpanda_dev::RedpandaDev;
use weir_scylla_dev::faults::Faults;

use crate::harness::{Arrived, Database, Fault, Outcome, Read, Weir, read_topic, task, until};

pub(super) const LIMIT: Duration = Duration::from_secs(60);
/// Aggregates that events are written for.
const ORDERS: usize = 5;

/// A publisher of an outbox, its database, its broker, and what was written so far.
pub(super) struct Scene {
    folder: tempfile::TempDir,
    name: &'static str,
    pub(super) database: Database,
    broker: RedpandaDev,
    /// `None` only between two runs.
    weir: Option<Weir>,
    pub(super) http: SocketAddr,
    orders: Vec<Uuid>,
    /// Events of each order.
    written: i64,
}

impl Scene {
    /// Everything is well: the first events have arrived.
    pub(super) fn start(name: &'static str) -> Self {
        Self::start_with(name, "")
    }

    /// The same, with more in the source's block.
    pub(super) fn start_with(name: &'static str, source: &str) -> Self {
        let (database, folder) = (Database::embedded(), tempfile::tempdir().unwrap());
        let broker = RedpandaDev::start("127.0.0.1:0").unwrap();
        let file = pipeline(&folder, name, "outbox", &place(&database, source), &broker);
        let mut weir = Weir::run(&[&file], &folder.path().join("data"), &[]);
        let http = weir.http();
        let orders = (0..ORDERS).map(|_| Uuid::new_v4()).collect();
        let mut scene = Self { folder, name, database, broker, weir: Some(weir), http, orders, written: 0 };
        scene.write(2);
        scene.arrived();
        scene
    }

    pub(super) fn weir(&mut self) -> &mut Weir {
        self.weir.as_mut().unwrap()
    }

    pub(super) fn faults(&self) -> Faults {
        self.database.server().faults()
    }

    /// Writes so many more events of each order.
    pub(super) fn write(&mut self, events: i64) {
        for number in self.written + 1..=self.written + events {
            for order in &self.orders {
                self.database.write(*order, [number]);
            }
        }
        self.written += events;
    }

    /// The task's state, and the reason that is shown with it.
    pub(super) fn shown(&self) -> (String, String) {
        let task = task(self.http, "topic");
        let text = |key: &str| task[key].as_str().unwrap_or_default().to_owned();
        (text("state"), text("reason"))
    }

    /// How often the task was built anew.
    fn restarts(&self) -> u64 {
        task(self.http, "topic")["restarts"].as_u64().unwrap()
    }

    /// Waits for a state; the reason that is shown with it.
    pub(super) fn until(&self, state: &str) -> String {
        until(state, LIMIT, || Some(self.shown()).filter(|(shown, _)| shown == state)).1
    }

    /// Waits until every event that was written has arrived; what has.
    pub(super) fn arrived(&self) -> Arrived {
        self.read("outbox").1
    }

    /// The same, of another topic, record by record, too.
    pub(super) fn read(&self, topic: &str) -> (Vec<Read>, Arrived) {
        let wanted = self.orders.len() * usize::try_from(self.written).unwrap();
        let broker = self.broker.address().to_string();
        let read = read_topic(&broker, topic, LIMIT, |read| Arrived::of(read).distinct() >= wanted);
        let arrived = Arrived::of(&read);
        (read, arrived)
    }

    /// All has arrived, in order, with no more than `repeats`, `limit` after `since`, and the task runs.
    pub(super) fn recovered(&self, since: Instant, limit: Duration, repeats: usize) -> Outcome {
        let arrived = self.arrived();
        let recovered = since.elapsed();
        assert!(recovered < limit, "{recovered:?} from the repair until all had arrived");
        arrived.assert_whole(1);
        assert!(arrived.repeats <= repeats, "{} repeats, {repeats} allowed", arrived.repeats);
        self.until("RUNNING");
        Outcome { lost: 0, repeated: arrived.repeats, recovered: Some(recovered) }
    }

    /// The host is killed and started again.
    fn weir_again(&mut self) {
        let (folder, name) = (self.folder.path(), self.name);
        // The data folder is locked by the one before.
        self.weir = None;
        let mut weir = Weir::run(&[&folder.join(format!("{name}.yaml"))], &folder.join("data"), &[]);
        self.http = weir.http();
        self.weir = Some(weir);
    }

    /// Another pipeline of this name instead.
    fn rename(&mut self, name: &str) {
        let file = pipeline(&self.folder, name, "outbox", &place(&self.database, ""), &self.broker);
        let mut weir = Weir::run(&[&file], &self.folder.path().join(name), &[]);
        self.http = weir.http();
        self.weir = Some(weir);
    }
}

/// The source's block: requests fail soon, so that tests need not wait for it.
fn place(database: &Database, more: &str) -> String {
    let session = format!("session: {{ contact_points: ['{}'], request_timeout: 1s }}", database.address());
    format!("{{ {session}, keyspace: orders_ks, table: outbox_messages{more} }}")
}

fn pipeline(
    folder: &tempfile::TempDir,
    name: &str,
    topic: &str,
    source: &str,
    broker: &RedpandaDev,
) -> PathBuf {
    let file = folder.path().join(format!("{name}.yaml"));
    let text = format!(
        "name: {name}
source:
  connector: scylla-outbox
  config: {source}
sinks:
  - name: topic
    connector: redpanda
    config: {{ brokers: '{}', topic: {topic} }}
    retry_failed: 2s
",
        broker.address(),
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// A row of ScyllaDB's table.
fn row(
    fault: &'static str,
    seen: &'static str,
    repeated_at_most: &'static str,
    recovers_within: &'static str,
) -> Fault {
    Fault { place: "ScyllaDB", fault, seen, repeated_at_most, recovers_within }
}

const NONE: &str = "0: the reader goes on where it was";
