//! Housekeeping of the outbox: with hosts killed while they delete, and with a row that becomes readable when nobody looks
//! for it any more, nothing is deleted that did not arrive everywhere.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::harness::{
    Arrived, Broker, Database, Fault, Outcome, Weir, count, figure, read_topic, task, until,
};
use crate::outbox::pipeline;

const LIMIT: Duration = Duration::from_secs(60);
const MINUTE: Duration = Duration::from_secs(60);
const EVENTS: usize = 3_000;
const TOPICS: [&str; 2] = ["kept-one", "kept-two"];
const CREATE: &str = "CREATE TABLE orders_ks.outbox_passed (outbox text, consumer text, minute timestamp, \
                      seconds frozen<map<int, frozen<tuple<bigint, bigint>>>>, begins boolean, looked_until timestamp static, \
                      unpassed frozen<list<timestamp>> static, PRIMARY KEY ((outbox, consumer), minute))";

/// Two pipelines from one outbox to a topic each, which keep house together.
struct Shop {
    database: Database,
    broker: Broker,
    folder: tempfile::TempDir,
    files: [PathBuf; 2],
}

impl Shop {
    fn new() -> Self {
        let (database, broker, folder) =
            (Database::embedded(), Broker::start(), tempfile::tempdir().unwrap());
        database.execute(CREATE);
        // The log begins within a minute, and nobody can tell of all of that one.
        database.server().faults().advance_clock(MINUTE);
        let files = TOPICS.map(|topic| {
            let file = pipeline(folder.path(), &database, &broker, topic);
            let keeping = "table: outbox_messages, safety: 1s, housekeeping: { consumers: [kept-one/topic, \
                           kept-two/topic], after: 2m, delete: true }";
            let text = std::fs::read_to_string(&file).unwrap().replace("table: outbox_messages", keeping);
            std::fs::write(&file, text).unwrap();
            file
        });
        Self { database, broker, folder, files }
    }

    fn run(&self, files: &[PathBuf]) -> Weir {
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        Weir::run(&files, &self.folder.path().join("data"), &[])
    }

    /// How many rows the table holds.
    fn held(&self) -> usize {
        self.database.count("SELECT COUNT(*) FROM orders_ks.outbox_messages") as usize
    }

    /// Waits until so many events have arrived on the topic, and says which.
    fn arrived(&self, topic: &str, events: usize) -> Arrived {
        let all = |read: &[_]| read.len() >= events && Arrived::of(read).distinct() >= events;
        Arrived::of(&read_topic(&self.broker.address(), topic, LIMIT, all))
    }

    /// Writes a row beside one that is readable at once; it becomes readable when both consumers have told of its minute.
    fn write_unseen(&self, order: Uuid) {
        let server = self.database.server();
        server.faults().delay_log_rows("orders_ks", "outbox_messages", 1, MINUTE + MINUTE / 2);
        let early = || (server.clock().micros() % 1_000_000 < 500_000).then_some(());
        until("a second begins, which both are in", LIMIT, early);
        let minute = server.clock().micros() / 60_000_000 * 60_000;
        self.database.write(order, [1]);
        self.database.write(order, [2]);
        server.faults().advance_clock(MINUTE + MINUTE / 12);
        let told =
            format!("SELECT COUNT(*) FROM orders_ks.outbox_passed WHERE minute = {minute} ALLOW FILTERING");
        until("both have told", LIMIT, || (self.database.count(&told) == 2).then_some(()));
    }

    /// Does what the reason for a state says, in the very words of it; how many commands that are.
    fn repeat(&self, reason: &str) -> usize {
        let commands: Vec<_> = reason.split('`').filter_map(|text| text.strip_prefix("weir ")).collect();
        for command in &commands {
            let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
            for word in command.split(' ') {
                if word == "FILE" {
                    weir.args(&self.files);
                } else {
                    weir.arg(word);
                }
            }
            let done = weir.args(["--yes", "--data-dir"]).arg(self.folder.path().join("data")).output();
            let done = done.unwrap();
            assert!(done.status.success(), "weir {command}: {}", String::from_utf8_lossy(&done.stderr));
        }
        commands.len()
    }
}

#[test]
fn a_host_killed_while_it_deletes_deletes_only_what_arrived_everywhere() {
    let shop = Shop::new();
    let time = |passes| shop.database.server().faults().advance_clock(passes);

    // One consumer alone, the one that has the housekeeper: what it has passed the other has not.
    let mut weir = shop.run(&shop.files[..1]);
    let http = weir.http();
    shop.database.write_in_background(50, EVENTS as i64);
    shop.arrived(TOPICS[0], EVENTS);
    let told = || shop.database.count("SELECT COUNT(*) FROM orders_ks.outbox_passed") as usize;
    time(5 * MINUTE);
    until("it tells of what it has passed", LIMIT, || (told() >= 5).then_some(()));
    assert_eq!((shop.held(), figure(http, "weir_housekeeping_rows_deleted_total")), (EVENTS, Some(0.0)));
    weir.kill();

    // Both, killed again and again while rows are being deleted.
    let mut kills = 0;
    while kills < 6 && shop.held() > 0 {
        let (weir, held) = (shop.run(&shop.files), shop.held());
        until("rows are deleted", LIMIT, || (shop.held() < held).then_some(()));
        weir.kill();
        kills += 1;
    }
    assert!(kills > 1, "all were deleted at once");
    let mut weir = shop.run(&shop.files);
    until("all are deleted", LIMIT, || (shop.held() == 0).then_some(()));
    for topic in TOPICS {
        shop.arrived(topic, EVENTS).assert_whole(1);
    }

    // A row that nobody looks for any more when it comes.
    let (http, order) = (weir.http(), Uuid::new_v4());
    shop.write_unseen(order);
    time(5 * MINUTE);
    let reason = until("it is found", LIMIT, || {
        let task = task(http, "topic");
        (task["state"] == "DEGRADED").then(|| task["reason"].as_str().unwrap().to_owned())
    });
    assert!(reason.contains("kept-one/topic has not passed 1 of the outbox's rows"), "{reason}");
    assert_eq!((shop.held(), figure(http, "weir_cdc_unpassed_rows")), (2, Some(1.0)));
    for topic in TOPICS {
        assert_eq!(shop.arrived(topic, EVENTS + 1).distinct(), EVENTS + 1, "it did not come");
    }

    // Each is sent where it is told to, and then all of it is deleted.
    weir.kill();
    let records = || TOPICS.map(|topic| count(&shop.broker.address(), topic));
    let before = records();
    assert_eq!(shop.repeat(&reason), TOPICS.len());
    let (repaired, mut weir) = (Instant::now(), shop.run(&shop.files));
    let http = weir.http();
    until("the rest is deleted", LIMIT, || (shop.held() == 0).then_some(()));
    let recovered = repaired.elapsed();
    until("it is well again", LIMIT, || (task(http, "topic")["state"] == "RUNNING").then_some(()));
    assert_eq!(figure(http, "weir_cdc_unpassed_rows"), Some(0.0));
    for topic in TOPICS {
        let arrived = shop.arrived(topic, EVENTS + 2);
        let mut late = arrived.by_key[&order.to_string()].clone();
        late.sort_unstable();
        assert_eq!((arrived.distinct(), late), (EVENTS + 2, vec![1, 2]));
    }
    let came = std::iter::zip(records(), before).map(|(now, before)| now - before);
    let repeated: usize = came.map(|records| records - 1).sum();
    assert!(repeated <= TOPICS.len(), "{repeated}: that minute had two rows, and one of them is new");
    assert!(recovered < Duration::from_secs(30), "{recovered:?}");
    let fault = Fault {
        place: "ScyllaDB",
        fault: "a log row that becomes readable when nobody looks for it any more, with `housekeeping`; hosts killed while they delete",
        seen: "DEGRADED with the command that repeats it, `weir_cdc_unpassed_rows`; nothing of its second is deleted",
        repeated_at_most: "what was written since that minute, once it is repeated",
        recovers_within: "30 s of the next start, when it has come and all of it is deleted",
    };
    fault.survived(&Outcome { lost: 0, repeated, recovered: Some(recovered) });
}
