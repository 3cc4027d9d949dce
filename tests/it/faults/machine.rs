//! The bad days of the machine: full disks, a folder that cannot be written, one that somebody else has, a file that is
//! damaged; what a user sees, and that after the repair it goes on.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use weir_redpanda_dev::RedpandaDev;

use crate::harness::{Arrived, Fault, Outcome, Weir, count, figure, read_topic, task, until, written};

const PLACE: &str = "The host and its machine";
const LIMIT: Duration = Duration::from_secs(60);

/// A broker, and a folder with room for a disk of our own.
struct Machine {
    folder: tempfile::TempDir,
    broker: RedpandaDev,
}

impl Machine {
    fn new() -> Self {
        let machine =
            Self { folder: tempfile::tempdir().unwrap(), broker: RedpandaDev::start("127.0.0.1:0").unwrap() };
        fs::create_dir(machine.path("disk")).unwrap();
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn brokers(&self) -> String {
        self.broker.address().to_string()
    }

    /// Numbers to a topic; from one run to the next only how many there are in all differs.
    fn numbers(&self, records: usize, rate: usize) -> PathBuf {
        let file = self.path("numbers.yaml");
        let text = json!({
            "name": "numbers",
            "source": {"connector": "generator", "config":
                {"records": records, "rate": rate, "keys": 20, "partitions": 20, "size": "100B"}},
            "sinks": [{"name": "topic", "connector": "redpanda", "batch": {"records": 100},
                "config": {"brokers": self.brokers(), "topic": "numbers"}}],
            "checkpoint": {"interval": "50ms"},
        });
        fs::write(&file, text.to_string()).unwrap();
        file
    }

    /// `weir run` after these shell commands, which may mount what only they and it will see.
    fn run_after(&self, commands: &str, file: &Path, data: &Path) -> Weir {
        let mut command = Command::new("unshare");
        command.args([
            "-rm",
            "sh",
            "-ec",
            &format!("cd '{}'; {commands}; exec \"$@\"", self.folder.path().display()),
        ]);
        command.args(["sh", env!("CARGO_BIN_EXE_weir"), "run"]).arg(file);
        command.args(["--listen", "127.0.0.1:0", "--log-format", "json", "--data-dir"]).arg(data);
        Weir::start(&mut command)
    }

    /// All the numbers are in the topic, each key's in order; how many were repeated.
    fn whole(&self, records: usize) -> usize {
        let done = |read: &[_]| read.len() >= records && Arrived::of(read).distinct() >= records;
        let arrived = Arrived::of(&read_topic(&self.brokers(), "numbers", LIMIT, done));
        arrived.assert_whole(0);
        assert_eq!(arrived.distinct(), records);
        arrived.repeats
    }
}

/// Whether this system lets a process have mounts of its own; says so loudly where it does not.
fn has_own_mounts() -> bool {
    let mut command = Command::new("unshare");
    let mounts = command.args(["-rm", "mount", "-t", "tmpfs", "-o", "size=64k", "none", "/mnt"]).status();
    if mounts.is_ok_and(|status| status.success()) {
        return true;
    }
    println!("*** SKIPPED: this system lets no process have mounts of its own (unshare -rm) ***");
    eprintln!("*** SKIPPED: this system lets no process have mounts of its own (unshare -rm) ***");
    false
}

/// The path as this process sees it, in its own mounts.
fn inside(weir: &Weir, path: &Path) -> PathBuf {
    PathBuf::from(format!("/proc/{}/root{}", weir.pid(), path.display()))
}

/// Writes until nothing more fits.
fn fill(ballast: &Path) {
    let mut file = fs::File::create(ballast).unwrap();
    let error = until("the disk is full", LIMIT, || file.write_all(&[0; 4096]).err());
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
}

#[test]
fn a_full_disk_under_the_checkpoints_weakens_a_promise_and_stops_nothing() {
    const RECORDS: usize = 8_000;
    if !has_own_mounts() {
        return;
    }
    let machine = Machine::new();
    let (file, disk) = (machine.numbers(RECORDS, 1_000), machine.path("disk"));
    let mut weir = machine.run_after("mount -t tmpfs -o size=256k none disk", &file, &disk);
    let (http, ballast) = (weir.http(), inside(&weir, &disk).join("ballast"));
    until("records arrive", LIMIT, || (written(http, "topic") > 0.0).then_some(()));
    fill(&ballast);
    let shown = until("the task is DEGRADED", LIMIT, || {
        Some(task(http, "topic")).filter(|task| task["state"] == "DEGRADED")
    });
    let reason = shown["reason"].as_str().unwrap();
    for part in
        ["save the checkpoint: ", &disk.display().to_string(), "No space left on device", "free some space"]
    {
        assert!(reason.contains(part), "{reason}");
    }
    let arrived = written(http, "topic");
    until("records flow on", LIMIT, || (written(http, "topic") >= arrived + 1_000.0).then_some(()));
    assert!(figure(http, "weir_checkpoint_age_seconds").unwrap() > 0.5);
    fs::remove_file(&ballast).unwrap();
    let freed = Instant::now();
    until("the task is RUNNING", LIMIT, || (task(http, "topic")["state"] == "RUNNING").then_some(()));
    let recovered = freed.elapsed();
    assert!(recovered < Duration::from_secs(10), "{recovered:?}");
    assert!(figure(http, "weir_checkpoint_age_seconds").unwrap() < 5.0);
    let (status, log) = weir.wait(LIMIT);
    assert!(status.success() && !log.contains(r#""to":"RESTARTING""#), "{log}");
    let repeated = machine.whole(RECORDS);
    assert_eq!(repeated, 0);
    let fault = Fault {
        place: PLACE,
        fault: "disk full under the checkpoints",
        seen: "DEGRADED with file and advice, `checkpoint_age_seconds` grows; records flow on",
        repeated_at_most: "none, unless it is also killed meanwhile",
        recovers_within: "10 s: the next try to save",
    };
    fault.survived(&Outcome { lost: 0, repeated, recovered: Some(recovered) });
}

#[test]
fn a_full_disk_under_the_dead_letters_parks_the_task_and_skips_nothing() {
    const RECORDS: usize = 200;
    const POISON: usize = RECORDS / 10;
    if !has_own_mounts() {
        return;
    }
    let machine = Machine::new();
    let (file, dead) = (machine.path("orders.yaml"), machine.path("disk/dead.jsonl"));
    let line = |n: usize| {
        let value = "x".repeat(if n % 10 == 5 { 3_000 } else { 20 });
        let headers = [["sequence_number", &(n / 4).to_string()]];
        let line =
            json!({"key": format!("order-{}", n % 4), "value": value, "headers": headers, "timestamp_us": n});
        line.to_string() + "\n"
    };
    fs::write(machine.path("in.jsonl"), (0..RECORDS).map(line).collect::<String>()).unwrap();
    let pipeline = json!({
        "name": "orders",
        "source": {"connector": "file", "config": {"path": machine.path("in.jsonl")}},
        "sinks": [{"name": "topic", "connector": "redpanda",
            "config": {"brokers": machine.brokers(), "topic": "orders", "max_record": "1KB"}}],
        "dead_letter": {"connector": "file", "config": {"path": &dead}, "circuit_breaker": {"open_for": "500ms"}},
    });
    fs::write(&file, pipeline.to_string()).unwrap();
    let full =
        "mount -t tmpfs -o size=256k none disk; head -c 1m /dev/zero > disk/ballast 2> /dev/null || true";
    let mut weir = machine.run_after(full, &file, &machine.path("data"));
    let http = weir.http();
    let shown = until("the task is PARKED", LIMIT, || {
        Some(task(http, "topic")).filter(|task| task["state"] == "PARKED")
    });
    let reason = shown["reason"].as_str().unwrap();
    for part in ["dead-letter sink file: ", "dead.jsonl: No space left on device", "make room on the disk"] {
        assert!(reason.contains(part), "{reason}");
    }
    assert_eq!(figure(http, "weir_dead_letter_circuit_breaker_state"), Some(2.0));
    let dead = inside(&weir, &dead);
    let lines = || fs::read_to_string(&dead).unwrap().lines().count();
    assert_eq!((lines(), figure(http, "dlq_messages_total")), (0, Some(0.0)));
    fs::remove_file(inside(&weir, &machine.path("disk/ballast"))).unwrap();
    let freed = Instant::now();
    until("dead letters are written", LIMIT, || (lines() > 0).then_some(()));
    let recovered = freed.elapsed();
    assert!(recovered < Duration::from_secs(5), "{recovered:?}");
    until("all are written", LIMIT, || {
        (lines() >= POISON && count(&machine.brokers(), "orders") >= RECORDS - POISON).then_some(())
    });
    until("the task is RUNNING", LIMIT, || (task(http, "topic")["state"] == "RUNNING").then_some(()));
    assert_eq!((lines(), figure(http, "dlq_messages_total")), (POISON, Some(POISON as f64)));
    let read = read_topic(&machine.brokers(), "orders", LIMIT, |read| read.len() >= RECORDS - POISON);
    let arrived = Arrived::of(&read);
    assert_eq!((arrived.distinct(), arrived.repeats), (RECORDS - POISON, 0));
    weir.signal("TERM");
    assert!(weir.wait(LIMIT).0.success());
    let fault = Fault {
        place: PLACE,
        fault: "disk full under the dead-letter file",
        seen: "PARKED, `dead-letter sink file` with path and advice; nothing skipped",
        repeated_at_most: "none",
        recovers_within: "5 s: the breaker's wait of the dead-letter sink and its growth",
    };
    fault.survived(&Outcome { lost: 0, repeated: 0, recovered: Some(recovered) });
}

#[test]
fn a_read_only_data_folder_is_refused_before_anything_is_read() {
    if !has_own_mounts() {
        return;
    }
    let machine = Machine::new();
    let data = machine.path("disk");
    let (status, log) = Weir::run(&[&machine.numbers(1_000, 1_000_000)], &data, &[]).wait(LIMIT);
    assert!(status.success(), "{log}");
    let file = machine.numbers(2_000, 1_000_000);
    let read_only = "mount --bind disk disk; mount -o remount,bind,ro disk";
    let (status, log) = machine.run_after(read_only, &file, &data).wait(LIMIT);
    assert_eq!(status.code(), Some(3), "{log}");
    for part in [&data.display().to_string(), "Read-only file system", "help: ", "--data-dir"] {
        assert!(log.contains(part), "{log}");
    }
    assert_eq!(count(&machine.brokers(), "numbers"), 1_000, "nothing was sent whose place could not be kept");
    let (repaired, weir) = (Instant::now(), Weir::run(&[&file], &data, &[]));
    until("records flow", LIMIT, || (count(&machine.brokers(), "numbers") > 1_000).then_some(()));
    let recovered = repaired.elapsed();
    assert!(weir.wait(LIMIT).0.success());
    let repeated = machine.whole(2_000);
    assert_eq!(repeated, 0);
    let fault = Fault {
        place: PLACE,
        fault: "data folder read-only",
        seen: "exit 3 with folder, reason and advice, before anything is read",
        repeated_at_most: "none",
        recovers_within: "the next start",
    };
    fault.survived(&Outcome { lost: 0, repeated, recovered: Some(recovered) });
}

#[test]
fn a_second_run_on_one_data_folder_is_refused_by_name() {
    const RECORDS: usize = 6_000;
    let machine = Machine::new();
    let (file, data) = (machine.numbers(RECORDS, 2_000), machine.path("data"));
    let mut first = Weir::run(&[&file], &data, &[]);
    let http = first.http();
    until("records flow", LIMIT, || (written(http, "topic") > 2_500.0).then_some(()));
    let (status, log) = Weir::run(&[&file], &data, &[]).wait(LIMIT);
    assert_eq!(status.code(), Some(3), "{log}");
    assert!(log.contains(&format!("in use by process {}", first.pid())) && log.contains("help: "), "{log}");
    first.kill();
    let (killed, second) = (Instant::now(), Weir::run(&[&file], &data, &[]));
    let arrived = count(&machine.brokers(), "numbers");
    until("records flow again", LIMIT, || (count(&machine.brokers(), "numbers") > arrived).then_some(()));
    let recovered = killed.elapsed();
    assert!(second.wait(LIMIT).0.success());
    let repeated = machine.whole(RECORDS);
    assert!(repeated <= 3_300, "{repeated} repeats");
    let fault = Fault {
        place: PLACE,
        fault: "a second host on the same data folder, then the first is killed",
        seen: "the second: exit 3, names the first's process; the first flows on; after its kill another starts at once",
        repeated_at_most: "3 300: 4 writes of 100 for each of 8 lanes, and one checkpoint interval",
        recovers_within: "the next start",
    };
    fault.survived(&Outcome { lost: 0, repeated, recovered: Some(recovered) });
}

#[test]
fn a_damaged_checkpoint_file_is_refused_with_what_to_do() {
    let machine = Machine::new();
    let data = machine.path("data");
    let (status, log) = Weir::run(&[&machine.numbers(1_000, 1_000_000)], &data, &[]).wait(LIMIT);
    assert!(status.success(), "{log}");
    let journal = data.join("checkpoints/journal");
    let mut bytes = fs::read(&journal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&journal, bytes).unwrap();
    let file = machine.numbers(2_000, 1_000_000);
    let (status, log) = Weir::run(&[&file], &data, &[]).wait(LIMIT);
    assert_eq!(status.code(), Some(3), "{log}");
    for part in
        [&journal.display().to_string(), " is damaged at byte ", "help: restore the file, or move it away"]
    {
        assert!(log.contains(part), "{log}");
    }
    assert_eq!(count(&machine.brokers(), "numbers"), 1_000, "it is never taken for an empty one");
    fs::rename(&journal, machine.path("moved-away")).unwrap();
    let (repaired, weir) = (Instant::now(), Weir::run(&[&file], &data, &[]));
    until("records flow", LIMIT, || (count(&machine.brokers(), "numbers") > 1_000).then_some(()));
    let recovered = repaired.elapsed();
    assert!(weir.wait(LIMIT).0.success());
    let repeated = machine.whole(2_000);
    assert_eq!(repeated, 1_000, "from the begin, as the advice says");
    let fault = Fault {
        place: PLACE,
        fault: "checkpoint file damaged, then moved away as advised",
        seen: "exit 3 with file, byte and advice; never taken for an empty one",
        repeated_at_most: "all that was saved: it begins where `start` says",
        recovers_within: "the next start",
    };
    fault.survived(&Outcome { lost: 0, repeated, recovered: Some(recovered) });
}
