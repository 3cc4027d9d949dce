//! Too much at once: a source faster than its sink, and 200 pipelines in one process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Fault, Outcome, Weir, figure, get, until, written};

const PLACE: &str = "The host and its machine";
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn a_sink_slower_than_its_source_keeps_memory_flat_over_a_million_records() {
    const RECORDS: u32 = 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("flood.yaml");
    // Without a bound the source would be read into memory: some 300 bytes for each record.
    let pipeline = json!({
        "name": "flood",
        "source": {"connector": "generator", "config": {"records": RECORDS, "keys": 100, "size": "50B"}},
        "sinks": [{"name": "slow", "connector": "stdout", "rate_limit": {"records": 100_000}, "batch": {"records": 250}}],
    });
    fs::write(&file, pipeline.to_string()).unwrap();
    let mut weir = Weir::run(&[&file], &folder.path().join("data"), &[]);
    let http = weir.http();
    until("it is under way", LIMIT, || (written(http, "slow") >= f64::from(RECORDS) * 0.05).then_some(()));
    let (early, began, mut most) = (weir.memory(), Instant::now(), 0);
    // Two writes of 250 for each of eight lanes may be in flight: if most are, the source is ahead of its sink.
    until("the source waits", LIMIT, || {
        (figure(http, "weir_task_in_flight_records")? >= 2_500.0).then_some(())
    });
    until("nine of ten have arrived", LIMIT, || {
        most = most.max(weir.memory());
        (written(http, "slow") >= f64::from(RECORDS) * 0.9).then_some(())
    });
    let rate = f64::from(RECORDS) * 0.85 / began.elapsed().as_secs_f64();
    println!("memory: {early} MiB at 5 %, at most {most} MiB after that; {rate:.0} records/s");
    assert!(most <= early + 16, "{early} MiB have become {most} MiB");
    let (status, log) = weir.wait(LIMIT);
    assert!(status.success(), "{log}");
    let fault = Fault {
        place: PLACE,
        fault: "a sink slower than its source, over 1 000 000 records",
        seen: "RUNNING at the sink's pace; memory at most 16 MiB above what it was at 5 %",
        repeated_at_most: "none",
        recovers_within: "nothing stops",
    };
    fault.survived(&Outcome { lost: 0, repeated: 0, recovered: None });
}

const PIPELINES: usize = 200;

/// One record at once, and then one in ten seconds.
fn pipelines(folder: &Path) -> PathBuf {
    let pipelines = folder.join("pipelines");
    fs::create_dir(&pipelines).unwrap();
    for n in 0..PIPELINES {
        let pipeline = json!({
            "name": format!("pipeline-{n}"),
            "source": {"connector": "generator", "config": {"rate": 0.1, "keys": 1}},
            "sinks": [{"name": "file", "connector": "file", "config": {"path": out(folder, n)}}],
        });
        fs::write(pipelines.join(format!("{n}.yaml")), pipeline.to_string()).unwrap();
    }
    pipelines
}

fn out(folder: &Path, n: usize) -> PathBuf {
    folder.join(format!("{n}.jsonl"))
}

/// The seconds of processor time that the process has had.
fn processor(weir: &Weir) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", weir.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = [11, 12].iter().map(|field| fields[*field].parse::<f64>().unwrap()).sum();
    let second = Command::new("getconf").arg("CLK_TCK").output().unwrap().stdout;
    ticks / String::from_utf8(second).unwrap().trim().parse::<f64>().unwrap()
}

#[test]
fn two_hundred_pipelines_run_in_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let files = pipelines(folder.path());
    let began = Instant::now();
    let mut weir = Weir::run(&[&files], &folder.path().join("data"), &[]);
    let http = weir.http();
    until("every task is RUNNING", LIMIT, || {
        let health: Value = serde_json::from_str(&get(http, "/health").1).unwrap();
        let tasks = health["tasks"].as_array().unwrap();
        let running = tasks.iter().filter(|task| task["state"] == "RUNNING");
        (running.count() == PIPELINES).then_some(())
    });
    let started = began.elapsed();
    let has_record = |n| fs::read_to_string(out(folder.path(), n)).is_ok_and(|text| text.ends_with("}\n"));
    until("records of each arrive", LIMIT, || (0..PIPELINES).all(has_record).then_some(()));
    let (before, idle) = (processor(&weir), Instant::now());
    // A measurement takes its time; nothing is waited for.
    std::thread::sleep(Duration::from_secs(3));
    let busy = (processor(&weir) - before) / idle.elapsed().as_secs_f64();
    let memory = weir.memory();
    let asked = Instant::now();
    weir.signal("TERM");
    let (status, log) = weir.wait(LIMIT);
    let stopped = asked.elapsed();
    println!(
        "{PIPELINES} pipelines: all RUNNING after {started:.1?}, {memory} MiB, idle at {:.1} % of a core, stopped \
         within {stopped:.1?}",
        busy * 100.0
    );
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(stopped < Duration::from_secs(10), "{stopped:?}, and the deadline of a drain is 30 s");
    assert_eq!(log.matches(r#""to":"STOPPED""#).count(), PIPELINES, "{log}");
    assert_eq!(log.matches("everything that was read is settled and saved").count(), PIPELINES, "{log}");
    assert!(memory < 256, "{memory} MiB");
    assert!(busy < 0.5, "{busy} of a core");
    let fault = Fault {
        place: PLACE,
        fault: "200 pipelines in one process",
        seen: "all RUNNING, less than 256 MiB, idle at less than half a core; SIGTERM drains all within 10 s, exit 0",
        repeated_at_most: "none",
        recovers_within: "nothing stops",
    };
    fault.survived(&Outcome { lost: 0, repeated: 0, recovered: None });
}
