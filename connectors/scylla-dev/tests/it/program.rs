//! The program: its arguments, and its control by HTTP.
use std::process::Stdio;
use std::time::Duration;

use scylla::client::session_builder::SessionBuilder;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};

use super::{refused, run, texts};

const LIMIT: Duration = Duration::from_secs(60);
/// A request of the native protocol, version 4, that is answered before anything else was asked.
const OPTIONS: [u8; 9] = [4, 0, 0, 0, 5, 0, 0, 0, 0];

/// A running server; killed when dropped.
struct Program {
    _child: Child,
    cql: String,
    control: String,
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir-scylla-dev"));
    command.args(arguments).kill_on_drop(true).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn line(lines: &mut Lines<BufReader<ChildStdout>>, start: &str) -> String {
    let line =
        tokio::time::timeout(LIMIT, lines.next_line()).await.expect("a line in time").unwrap().unwrap();
    line.strip_prefix(start).unwrap_or_else(|| panic!("{line:?} starts with {start:?}")).to_owned()
}

async fn start(arguments: &[&str]) -> Program {
    let always = ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"];
    let mut child = command(&[&always, arguments].concat()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let cql = line(&mut lines, "listening on ").await;
    let control = line(&mut lines, "commands on http://").await;
    Program { _child: child, cql, control }
}

impl Program {
    /// What the control answers: status and body.
    async fn http(&self, request: &str, body: &str) -> (u16, serde_json::Value) {
        let mut stream = TcpStream::connect(&self.control).await.unwrap();
        let length = body.len();
        let request = format!(
            "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(LIMIT, stream.read_to_string(&mut answer)).await.expect("an answer").unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}")))
    }

    #[track_caller]
    fn does(&self, command: &str, fields: &str) -> impl Future<Output = ()> {
        let (request, fields) = (format!("POST /{command}"), fields.to_owned());
        async move {
            let (status, body) = self.http(&request, &fields).await;
            assert_eq!((status, &body["done"]), (200, &serde_json::json!(command)), "{body}");
        }
    }
}

#[tokio::test]
async fn every_fault_can_be_made_and_taken_back() {
    let program = start(&["--tablets=2"]).await;
    let session = SessionBuilder::new().known_node(&program.cql).build().await.unwrap();
    run(
        &session,
        "CREATE KEYSPACE ks WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}",
    )
    .await;
    run(&session, "CREATE TABLE ks.t (p int PRIMARY KEY) WITH cdc = {'enabled': true}").await;

    program.does("fail", r#"{"pattern": "FROM ks.t", "error": "invalid", "times": 2}"#).await;
    for _ in 0..2 {
        assert!(refused(&session, "SELECT * FROM ks.t").await.contains("failed on purpose"));
    }
    run(&session, "SELECT * FROM ks.t").await;
    program.does("fail", r#"{"pattern": "INSERT", "error": "write-timeout", "share": 0.3}"#).await;
    let mut failed = 0;
    for _ in 0..10 {
        failed += i32::from(session.query_unpaged("INSERT INTO ks.t (p) VALUES (1)", ()).await.is_err());
    }
    assert_eq!(failed, 3);
    program.does("heal", "").await;
    program.does("forget-statements", "").await;
    run(&session, "TRUNCATE ks.t").await;

    program.does("delay-log-rows", r#"{"keyspace": "ks", "table": "t", "writes": 1, "millis": 60000}"#).await;
    run(&session, "INSERT INTO ks.t (p) VALUES (7)").await;
    let log = "SELECT p FROM ks.t_scylla_cdc_log WHERE p = 7 ALLOW FILTERING";
    assert!(texts(&session, log).await.is_empty());
    let before = program.http("GET /", "").await.1;
    program.does("advance-clock", r#"{"millis": 61000}"#).await;
    assert_eq!(texts(&session, log).await, ["7"]);
    let after = program.http("GET /", "").await.1;
    let micros = |status: &serde_json::Value| status["clock_micros"].as_i64().unwrap();
    assert!(micros(&after) - micros(&before) >= 61_000_000, "{before} {after}");
    assert!(after["statements"].as_u64() > before["statements"].as_u64(), "{before} {after}");
    assert!(after["memory_used"].as_u64().unwrap() > 0 && after["cql"] == program.cql.as_str(), "{after}");
    program.does("rewind-clock", r#"{"millis": 61000}"#).await;

    program.does("new-generation", r#"{"in_millis": 10000}"#).await;
    let times = "SELECT time FROM system_distributed.cdc_generation_timestamps WHERE key = 'timestamps'";
    assert_eq!(texts(&session, times).await.len(), 2);
    program
        .does("resize-tablets", r#"{"keyspace": "ks", "table": "t", "count": 4, "in_millis": 10000}"#)
        .await;
    let times = "SELECT timestamp FROM system.cdc_timestamps WHERE keyspace_name = 'ks' AND table_name = 't'";
    assert_eq!(texts(&session, times).await.len(), 2);
}

#[tokio::test]
async fn connections_are_held_up_cut_and_refused() {
    let program = start(&[]).await;
    let connect = async || SessionBuilder::new().known_node(&program.cql).build().await;
    let session = connect().await.unwrap();
    let ask = "SELECT key FROM system.local";
    program.does("delay-answers", r#"{"millis": 150}"#).await;
    let before = tokio::time::Instant::now();
    run(&session, ask).await;
    assert!(before.elapsed() >= Duration::from_millis(150));
    program.does("delay-answers", r#"{"millis": 0}"#).await;

    program.does("freeze", "").await;
    let mut answer = Box::pin(session.query_unpaged(ask, ()));
    assert!(
        tokio::time::timeout(Duration::from_millis(100), &mut answer).await.is_err(),
        "no answer while frozen"
    );
    program.does("thaw", "").await;
    tokio::time::timeout(LIMIT, answer).await.expect("an answer").unwrap();

    let mut stream = TcpStream::connect(&program.cql).await.unwrap();
    // The kernel connects before the server accepts, and only what it has accepted is cut.
    stream.write_all(&OPTIONS).await.unwrap();
    stream.read_u8().await.expect("an answer");
    program.does("cut-connections", "").await;
    // Whether the end comes as an end or as a reset is the kernel's affair.
    tokio::time::timeout(LIMIT, stream.read_to_end(&mut Vec::new()))
        .await
        .expect("the connection is cut")
        .ok();
    program.does("refuse-connections", "").await;
    connect().await.expect_err("new connections are closed");
    program.does("accept-connections", "").await;
    connect().await.unwrap();
    program.does("stop", "").await;
    TcpStream::connect(&program.cql).await.expect_err("the port is closed");
    program.does("start", "").await;
    connect().await.unwrap();
}

#[tokio::test]
async fn wrong_commands_are_told_what_is_wrong() {
    let program = start(&[]).await;
    for (request, body, status, error) in [
        ("POST /frezze", "", 400, "unknown variant `frezze`, expected one of `fail`, `heal`"),
        ("POST /fail", "", 400, "missing field `pattern`"),
        (
            "POST /fail",
            r#"{"pattern": "x", "error": "bad"}"#,
            400,
            "unknown variant `bad`, expected one of `server`",
        ),
        ("POST /fail", r#"{"pattern": "x", "error": "invalid", "tmies": 1}"#, 400, "unknown field `tmies`"),
        ("POST /delay-answers", r#"{"millis": "1s"}"#, 400, "invalid type: string \"1s\", expected u64"),
        ("POST /delay-answers", "{", 400, "EOF while parsing"),
        (
            "POST /resize-tablets",
            r#"{"keyspace": "a", "table": "b", "count": 1}"#,
            409,
            "Keyspace a does not exist",
        ),
        ("GET /some/where", "", 404, "there is GET / and POST /COMMAND"),
        ("POST /freeze HTTP/1.1\r\nOrigin: http://evil.example\r\nX-Rest:", "", 403, "web pages"),
    ] {
        let (code, answer) = program.http(request, body).await;
        let text = answer["error"].as_str().unwrap_or_default();
        assert!(code == status && text.contains(error), "{request} {body}: {code} {answer}");
    }
}

#[tokio::test]
async fn arguments_that_cannot_be_right_are_refused() {
    for (arguments, error) in [
        (&["--control", "0.0.0.0:0"][..], "commands are only taken from this machine"),
        (&["--memory", "2GB"], "GB is no unit"),
        (&["--user", "app"], "--user needs a password"),
        (&["--password", "x"], "--user"),
    ] {
        let output =
            tokio::time::timeout(LIMIT, command(arguments).output()).await.expect("it ends").unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains(error), "{arguments:?}: {text}");
    }
}

#[tokio::test]
async fn the_password_comes_from_a_file_or_the_environment() {
    let file = std::env::temp_dir().join(format!("scylla-dev-password-{}", std::process::id()));
    std::fs::write(&file, "secret\n").unwrap();
    let program = start(&["--user", "app", "--password-file", file.to_str().unwrap()]).await;
    std::fs::remove_file(&file).unwrap();
    let builder = || SessionBuilder::new().known_node(&program.cql);
    builder().user("app", "secret").build().await.unwrap();
    builder().user("app", "secret\n").build().await.unwrap_err();
    let mut from_environment = command(&["--listen", "127.0.0.1:0", "--user", "app"]);
    let mut child = from_environment.env("SCYLLA_DEV_PASSWORD", "hush").spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let cql = line(&mut lines, "listening on ").await;
    SessionBuilder::new().known_node(cql).user("app", "hush").build().await.unwrap();
}
