//! What an operator does: pauses and resumes, restarts what was repaired, accepts a gap, and shows a token.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use crate::harness::{
    Arrived, Broker, Database, Fault, Outcome, Read, Weir, count, figure, get, read_topic, until,
};
use crate::outbox::pipeline;

const LIMIT: Duration = Duration::from_secs(90);

/// `weir` with these arguments, to its end: its exit code and what it printed.
fn weir(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    let output =
        command.args(arguments).env_remove("RUST_LOG").envs(environment.iter().copied()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

/// An order to the host at `http`; what it prints when it is obeyed.
pub(crate) fn order(order: &str, target: &str, http: SocketAddr) -> String {
    let (code, said) = weir(&[order, target, "--listen", &http.to_string()], &[]);
    assert_eq!(code, Some(0), "{order} {target}: {said}");
    said
}

fn task(http: SocketAddr) -> (u16, String, String) {
    let (status, health) = get(http, "/health");
    let task = serde_json::from_str::<Value>(&health).unwrap()["tasks"][0].clone();
    let text = |key: &str| task[key].as_str().unwrap_or_default().to_owned();
    (status, text("state"), text("reason"))
}

fn state(http: SocketAddr, wanted: &str) -> String {
    until(wanted, LIMIT, || Some(task(http)).filter(|(_, state, _)| state == wanted)).2
}

#[test]
fn a_paused_pipeline_moves_nothing_while_another_flows_and_a_resume_brings_all() {
    const EVENTS: usize = 20_000;
    let (database, broker, folder) = (Database::start(), Broker::start(), tempfile::tempdir().unwrap());
    let files = ["held", "flows"].map(|topic| pipeline(folder.path(), &database, &broker, topic));
    let mut weir = Weir::run(&[&files[0], &files[1]], &folder.path().join("data"), &[]);
    let http = weir.http();
    let orders = database.write_in_background(100, EVENTS as i64);
    let orders: HashSet<_> = orders.iter().map(Uuid::to_string).collect();
    // A database that SCYLLA_NODES names has more in its log.
    let all_of = |topic: &str| {
        let ours = |read: &[Read]| {
            let ours = read.iter().filter(|record| orders.contains(&record.key));
            Arrived::of(&ours.cloned().collect::<Vec<_>>())
        };
        let whole = |read: &[Read]| read.len() >= EVENTS && ours(read).distinct() == EVENTS;
        ours(&read_topic(&broker.address(), topic, LIMIT, whole))
    };
    let held = || count(&broker.address(), "held");
    until("records arrive", LIMIT, || (held() >= 500).then_some(()));
    let said = order("pause", "held", http);
    assert!(said.starts_with("held/topic PAUSED: paused by the operator; "), "{said}");
    let before = held();
    all_of("flows").assert_whole(1);
    assert_eq!(held(), before, "nothing moves");
    assert!(before < EVENTS, "paused too late for this test to say anything");
    assert_eq!((get(http, "/health").0, get(http, "/ready").0), (200, 200));
    order("pause", "held/topic", http);
    assert_eq!(order("resume", "held", http), "held/topic RUNNING\n");
    all_of("held").assert_whole(1);
    weir.signal("TERM");
    let (status, log) = weir.wait(LIMIT);
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(log.matches(r#""to":"PAUSED""#).count(), 1, "each transition is logged once: {log}");
}

#[test]
fn what_was_repaired_is_restarted_at_once() {
    let (database, broker, folder) = (Database::embedded(), Broker::start(), tempfile::tempdir().unwrap());
    let file = pipeline(folder.path(), &database, &broker, "repaired");
    let text = std::fs::read_to_string(&file).unwrap().replace("outbox_messages", "later_outbox");
    std::fs::write(&file, text).unwrap();
    let mut weir = Weir::run(&[&file], &folder.path().join("data"), &[]);
    let http = weir.http();
    let reason = state(http, "FAILED");
    assert!(reason.contains("later_outbox"), "{reason}");
    database.execute(
        "CREATE TABLE orders_ks.later_outbox (aggregate_id uuid, sequence_number bigint, id uuid, event_id uuid, \
         event_type text, event_version int, payload text, correlation_id uuid, causation_id uuid, \
         created_at timestamp, PRIMARY KEY ((aggregate_id), sequence_number)) WITH cdc = {'enabled': true}",
    );
    // By itself it would be tried again after five minutes.
    assert_eq!(order("restart", "repaired/topic", http), "repaired/topic RUNNING\n");
    database.execute(&format!(
        "INSERT INTO orders_ks.later_outbox (aggregate_id, sequence_number, id, event_id, event_type, event_version, \
         payload) VALUES ({}, 1, {}, {}, 'OrderCreated', 1, '{{}}')",
        Uuid::new_v4(),
        Uuid::new_v4(),
        Uuid::new_v4()
    ));
    until("the event arrives", LIMIT, || (count(&broker.address(), "repaired") == 1).then_some(()));
}

/// `weir run` of this file, accepting a gap of `target`.
fn run_over_gap(file: &Path, data: &Path, target: &str) -> Weir {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command
        .arg("run")
        .arg(file)
        .args(["--listen", "127.0.0.1:0", "--log-format", "json", "--data-dir"])
        .arg(data);
    Weir::start(command.args(["--accept-gap", target]))
}

#[test]
fn a_gap_holds_until_the_operator_accepts_it_and_the_loss_is_told() {
    let (database, broker, folder) = (Database::embedded(), Broker::start(), tempfile::tempdir().unwrap());
    let (file, data) = (pipeline(folder.path(), &database, &broker, "gap"), folder.path().join("data"));
    database.execute("ALTER TABLE orders_ks.outbox_messages WITH cdc = {'enabled': true, 'ttl': 1800}");
    let (order_id, arrived) = (Uuid::new_v4(), || count(&broker.address(), "gap"));
    database.write(order_id, 1..=10);
    let weir_before = Weir::run(&[&file], &data, &[]);
    until("events arrive", LIMIT, || (arrived() == 10).then_some(()));
    weir_before.signal("TERM");
    assert!(weir_before.wait(LIMIT).0.success());
    database.write(order_id, 11..=20);
    database.server().faults().advance_clock(Duration::from_secs(1900));
    database.write(order_id, 21..=30);

    let mut refused = Weir::run(&[&file], &data, &[]);
    let http = refused.http();
    let reason = state(http, "GAP");
    assert!(reason.contains("hours behind the checkpoint") && reason.contains("--accept-gap"), "{reason}");
    assert_eq!(task(http).0, 503);
    let (code, said) = weir(&["restart", "gap", "--listen", &http.to_string()], &[]);
    assert!(code == Some(1) || said.contains("RUNNING"), "{said}");
    state(http, "GAP");
    assert_eq!(arrived(), 10, "nothing is moved");
    refused.signal("TERM");
    assert_eq!(refused.wait(LIMIT).0.code(), Some(1), "it was down at the end");

    let (code, said) = weir(&["run", file.to_str().unwrap(), "--accept-gap", "gab"], &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("did you mean `gap`?"), "{said}");

    let mut accepted = run_over_gap(&file, &data, "gap/topic");
    let http = accepted.http();
    until("what is left arrives", LIMIT, || (arrived() == 20).then_some(()));
    let read = read_topic(&broker.address(), "gap", LIMIT, |read| read.len() >= 20);
    let numbers: Vec<_> =
        read.iter().map(|record| record.headers["sequence_number"].parse::<i64>().unwrap()).collect();
    assert_eq!(numbers, (1..=10).chain(21..=30).collect::<Vec<_>>());
    let (status, shown, reason) = task(http);
    assert_eq!((status, shown.as_str()), (200, "RUNNING"));
    assert!(
        reason.starts_with("went on over a gap, which the operator accepted: ") && reason.contains("hours"),
        "{reason}"
    );
    assert_eq!(figure(http, "weir_gaps_accepted_total"), Some(1.0));
    let lost = figure(http, "weir_cdc_gap_seconds").unwrap();
    assert!((90.0..300.0).contains(&lost), "{lost} s lost, of 1900 of which 1800 were kept");
    accepted.signal("TERM");
    let (status, log) = accepted.wait(LIMIT);
    assert!(status.success(), "{log}");
    assert!(log.contains("a gap is accepted: what has expired in it is lost"), "{log}");
    Fault {
        place: "ScyllaDB",
        fault: "the host away for longer than the log's TTL",
        seen: "GAP, `hours behind the checkpoint`, `/health` 503; nothing moves until it is started with `--accept-gap`",
        repeated_at_most: "0",
        recovers_within: "the start with `--accept-gap`",
    }
    .cost("what expired before it was read, and `weir_cdc_gap_seconds` tells of how long", &Outcome {
        lost: 10,
        repeated: 0,
        recovered: None,
    });
}

/// A pipeline that needs no server.
fn generator(folder: &Path) -> PathBuf {
    let file = folder.join("numbers.yaml");
    let text = "name: numbers\nsource: { connector: generator, config: { rate: 10 } }\n\
                sinks: [{ name: out, connector: stdout }]\n";
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn an_order_needs_a_host_a_name_and_the_token() {
    const TOKEN: &str = "a-long-random-text";
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, format!("{TOKEN}\n")).unwrap();
    let file = generator(folder.path());
    let mut host = Weir::run(&[&file], &folder.path().join("data"), &[("WEIR_TOKEN", TOKEN)]);
    let http = host.http();
    let at = http.to_string();
    assert_eq!((get(http, "/metrics").0, get(http, "/live").0), (401, 200));
    let say = |arguments: &[&str], environment: &[(&str, &str)]| {
        let (code, said) = weir(&[arguments, &["--listen", &at]].concat(), environment);
        (code, said.trim().to_owned())
    };
    let (code, said) = say(&["pause", "numbers"], &[]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("needs a token") && said.contains("WEIR_TOKEN"), "{said}");
    let (code, said) = say(&["pause", "numbers", "--token-file", token_file.to_str().unwrap()], &[]);
    assert_eq!(code, Some(0), "{said}");
    let with_token = [("WEIR_TOKEN", TOKEN)];
    let (code, said) = say(&["restart", "numbers"], &with_token);
    assert_eq!((code, said.contains("numbers is paused")), (Some(1), true), "{said}");
    let (code, said) = say(&["resume", "all", "--json"], &with_token);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["tasks"][0]["state"], "RUNNING");
    for (wrong, help) in [("nunbers", "did you mean `numbers`?"), ("numbers/oot", "did you mean `out`?")] {
        let (code, said) = say(&["pause", wrong], &with_token);
        assert_eq!((code, said.contains(help)), (Some(2), true), "{said}");
    }
    let (code, said) = say(&["pause", "numbers/out/more"], &with_token);
    assert_eq!((code, said.contains("PIPELINE/SINK")), (Some(2), true), "{said}");
    host.signal("TERM");
    let (status, log) = host.wait(LIMIT);
    assert!(status.success() && !log.contains(TOKEN), "{log}");
    let (code, said) = say(&["pause", "numbers"], &with_token);
    assert_eq!((code, said.contains(&format!("no weir answers at {at}"))), (Some(3), true), "{said}");
}
