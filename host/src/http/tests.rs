//! The listener over real sockets, by a client that writes its requests by hand.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use weir_sdk::TaskId;
use weir_sdk::config::Secret;
use weir_sdk::metrics::{Metrics, names};

use super::listener::Limits;
use super::{Access, Server};
use crate::control::Control;
use crate::orders::Next;
use crate::state::{Pen, State};

const SOON: Duration = Duration::from_secs(20);

async fn start(access: Access, control: &Control) -> Server {
    Server::start("127.0.0.1:0".parse().unwrap(), access, control.clone()).await.unwrap()
}

async fn start_within(limits: Limits) -> Server {
    let address = "127.0.0.1:0".parse().unwrap();
    Server::start_within(address, Access::Loopback, Control::default(), limits).await.unwrap()
}

fn enter(control: &Control, sink: &str) -> (Pen, Metrics) {
    let metrics = Metrics::default();
    let id = TaskId { pipeline: "orders".to_owned(), sink: sink.to_owned() };
    (control.enter(id, metrics.clone()).0, metrics)
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What `server` says to these bytes, until it closes.
async fn send(server: &Server, request: &str) -> Answer {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    timeout(SOON, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

async fn ask(server: &Server, line: &str, headers: &str) -> Answer {
    send(server, &format!("{line} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n")).await
}

async fn get(server: &Server, path: &str) -> Answer {
    ask(server, &format!("GET {path}"), &format!("Host: {}\r\n", server.address())).await
}

#[tokio::test]
async fn health_tells_each_task_and_the_worst_decides() {
    let control = Control::default();
    let server = start(Access::Loopback, &control).await;
    let (topic, metrics) = enter(&control, "topic");
    let (table, _) = enter(&control, "table");
    metrics.counter(names::TASK_RESTARTS).add(2);
    metrics.gauge(names::CHECKPOINT_AGE).set(0.25);
    metrics.gauge(names::CDC_LAG).set(1.5);
    let status = async || {
        let answer = get(&server, "/health").await;
        (answer.status, answer.json()["status"].as_str().unwrap().to_owned())
    };
    assert_eq!(status().await, (200, "degraded".to_owned()), "being built");
    topic.running();
    table.running();
    assert_eq!(status().await, (200, "healthy".to_owned()));
    topic.because(State::Parked, "broker unreachable");
    assert_eq!(status().await, (200, "degraded".to_owned()));
    table.because(State::Gap, "the log is gone");
    let answer = get(&server, "/health").await;
    let mut health = answer.json();
    for task in health["tasks"].as_array_mut().unwrap() {
        let since = task.as_object_mut().unwrap().remove("since").unwrap();
        humantime::parse_rfc3339(since.as_str().unwrap()).unwrap();
    }
    assert_eq!((answer.status, answer.head.contains("content-type: application/json")), (503, true));
    assert_eq!(
        health,
        json!({ "status": "unhealthy", "tasks": [
            { "pipeline": "orders", "sink": "table", "state": "GAP", "reason": "the log is gone", "restarts": 0 },
            { "pipeline": "orders", "sink": "topic", "state": "PARKED", "reason": "broker unreachable", "restarts": 2,
              "checkpoint_age_seconds": 0.25, "lag_seconds": 1.5 },
        ]})
    );
    server.stop().await;
}

#[tokio::test]
async fn ready_once_every_task_has_run() {
    let control = Control::default();
    let server = start(Access::Loopback, &control).await;
    assert_eq!(get(&server, "/ready").await.status, 503, "nothing has been started");
    let (a, _) = enter(&control, "a");
    let (b, _) = enter(&control, "b");
    a.running();
    let answer = get(&server, "/ready").await;
    assert_eq!((answer.status, answer.json()), (503, json!({ "ready": false, "waiting": ["orders/b"] })));
    b.running();
    a.because(State::Parked, "broker unreachable");
    let answer = get(&server, "/ready").await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "ready": true, "waiting": [] })));
    assert_eq!(get(&server, "/live").await.status, 200);
}

#[tokio::test]
async fn metrics_are_what_the_tasks_counted() {
    let control = Control::default();
    let server = start(Access::Loopback, &control).await;
    let (_, metrics) = enter(&control, "topic");
    metrics.counter(names::RECORDS_WRITTEN).add(7);
    let answer = get(&server, "/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    let line = r#"weir_sink_records_written_total{pipeline="orders",sink="topic"} 7"#;
    assert!(answer.body.lines().any(|found| found == line), "{}", answer.body);
    assert!(answer.body.contains("weir_build_info{version="), "{}", answer.body);
}

#[tokio::test]
async fn what_is_not_there_is_said_in_json() {
    let server = start(Access::Loopback, &Control::default()).await;
    let answer = get(&server, "/helth").await;
    assert_eq!((answer.status, answer.json()), (404, json!({ "error": "there is nothing at /helth" })));
    let host = format!("Host: {}\r\n", server.address());
    let answer = ask(&server, "POST /health", &format!("{host}Content-Length: 0\r\n")).await;
    assert_eq!((answer.status, answer.head.contains("allow: get")), (405, true), "{}", answer.head);
    assert!(answer.json()["error"].is_string());
    let answer = ask(&server, "POST /health", &format!("{host}Content-Length: 1048577\r\n")).await;
    assert_eq!(
        (answer.status, answer.json()["error"].as_str()),
        (413, Some("a body may have 1048576 bytes"))
    );
    let answer = send(&server, &format!("GET /{} HTTP/1.1\r\n{host}\r\n", "a".repeat(20_000))).await;
    assert!((400..500).contains(&answer.status), "{}", answer.status);
    let answer = send(&server, &format!("GET / HTTP/1.1\r\n{host}A: {}\r\n\r\n", "a".repeat(20_000))).await;
    assert_eq!(answer.status, 431);
}

#[tokio::test]
async fn orders_reach_the_tasks_that_are_meant() {
    let control = Control::default();
    let server = start(Access::Loopback, &control).await;
    let obedient = |sink: &str| {
        let id = TaskId { pipeline: "orders".to_owned(), sink: sink.to_owned() };
        let (pen, mut orders) = control.enter(id, Metrics::default());
        pen.running();
        tokio::spawn(async move {
            loop {
                orders.changed().await;
                match orders.take() {
                    Next::Halt => pen.because(State::Paused, "halted"),
                    Next::Anew => pen.because(State::Restarting, "anew"),
                    Next::GoOn => {}
                }
                orders.obeyed();
            }
        });
    };
    obedient("table");
    obedient("topic");
    let host = format!("Host: {}\r\n", server.address());
    let post = async |path: &str| {
        let answer = ask(&server, &format!("POST /api/v1/{path}"), &host).await;
        let body = answer.json();
        let states = body["tasks"].as_array().into_iter().flatten();
        let states: Vec<_> = states.map(|task| format!("{} {}", task["sink"], task["state"])).collect();
        (
            answer.status,
            states.join(", ").replace('"', ""),
            body["advice"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let done = |states: &str| (200, states.to_owned(), String::new());
    let refused = |status, advice: &str| (status, String::new(), advice.to_owned());
    assert_eq!(post("tasks/orders/topic/pause").await, done("topic PAUSED"));
    let list = get(&server, "/api/v1/tasks").await.json();
    assert_eq!(
        (&list["tasks"][0]["state"], &list["tasks"][1]["reason"]),
        (&json!("RUNNING"), &json!("halted"))
    );
    assert_eq!(post("tasks/orders/topic/restart").await, refused(409, "resume it: that builds it anew"));
    assert_eq!(post("pipelines/orders/restart").await, done("table RESTARTING, topic PAUSED"));
    assert_eq!(post("tasks/resume").await, done("table RESTARTING, topic RESTARTING"));
    assert_eq!(post("pipelines/ordres/pause").await, refused(404, "did you mean `orders`?"));
    assert_eq!(post("tasks/orders/tobic/pause").await, refused(404, "did you mean `topic`?"));
    assert_eq!(post("tasks/orders/topic/puase").await, refused(404, "did you mean `pause`?"));
    let answer = get(&server, "/api/v1/tasks/orders/topic/pause").await;
    assert_eq!((answer.status, answer.head.contains("allow: post")), (405, true), "{}", answer.head);
    assert!(answer.body.contains("give it with POST"), "{}", answer.body);
    let foreign = format!("{host}Origin: http://evil.example\r\n");
    assert_eq!(
        ask(&server, "POST /api/v1/tasks/pause", &foreign).await.status,
        403,
        "a page of somebody else's"
    );
}

#[tokio::test]
async fn without_a_token_only_this_machine_under_its_own_name_is_answered() {
    let server = start(Access::Loopback, &Control::default()).await;
    let port = server.address().port();
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        assert_eq!(
            ask(&server, "GET /live", &format!("Host: {host}:{port}\r\n")).await.status,
            200,
            "{host}"
        );
    }
    for headers in [
        format!("Host: evil.example:{port}\r\n"),
        format!("Host: localhost:{port}\r\nOrigin: http://evil.example\r\n"),
        format!("Host: localhost:{port}\r\nOrigin: null\r\n"),
        String::new(),
    ] {
        let answer = ask(&server, "GET /metrics", &headers).await;
        assert_eq!(answer.status, 403, "{headers:?}");
        assert!(answer.json()["advice"].as_str().unwrap().contains("127.0.0.1"), "{}", answer.body);
    }
    let own = format!("Host: localhost:{port}\r\nOrigin: http://localhost:{port}\r\n");
    assert_eq!(ask(&server, "GET /live", &own).await.status, 200);
}

#[tokio::test]
async fn with_a_token_it_must_be_shown_except_to_be_probed() {
    let server = start(Access::Token(Secret::from("open sesame")), &Control::default()).await;
    let named = |more: &str| format!("Host: weir.example\r\n{more}");
    for wrong in [
        "",
        "Authorization: Bearer open\r\n",
        "Authorization: Basic open sesame\r\n",
        "Authorization: Bearer\r\n",
    ] {
        for path in ["/metrics", "/health", "/api/v1/tasks", "/nothing"] {
            let answer = ask(&server, &format!("GET {path}"), &named(wrong)).await;
            assert_eq!(
                (answer.status, answer.head.contains("www-authenticate: bearer")),
                (401, true),
                "{wrong}"
            );
            assert!(!answer.body.contains("sesame"), "{}", answer.body);
        }
    }
    for right in ["Authorization: Bearer open sesame\r\n", "authorization: bearer open sesame\r\n"] {
        assert_eq!(ask(&server, "GET /metrics", &named(right)).await.status, 200);
    }
    assert_eq!(ask(&server, "GET /live", &named("")).await.status, 200);
    assert_eq!(ask(&server, "GET /ready", &named("")).await.status, 503);
}

#[tokio::test]
async fn an_address_in_use_is_an_error_with_advice() {
    let first = start(Access::Loopback, &Control::default()).await;
    let error = Server::start(first.address(), Access::Loopback, Control::default()).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot listen on {}: ", first.address())), "{error}");
    assert!(error.operator_advice().unwrap().contains("--listen"), "{error:?}");
    let error =
        Server::start("0.0.0.0:0".parse().unwrap(), Access::Loopback, Control::default()).await.unwrap_err();
    assert!(error.message().contains("needs a token"), "{error:?}");
}

#[tokio::test]
async fn a_stop_closes_idle_connections_and_the_address() {
    let never = Duration::from_secs(3600);
    let limits = Limits { header_time: never, closing_time: never, ..Limits::default() };
    let server = start_within(limits).await;
    let address = server.address();
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(format!("GET /live HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = [0; 1024];
    let read = timeout(SOON, idle.read(&mut answer)).await.unwrap().unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 200 OK"));
    timeout(SOON, server.stop()).await.unwrap();
    assert_eq!(
        timeout(SOON, idle.read(&mut answer)).await.unwrap().unwrap(),
        0,
        "kept open after its answer"
    );
    TcpStream::connect(address).await.unwrap_err();
}

#[tokio::test]
async fn a_client_that_says_nothing_cannot_keep_others_out() {
    let limits = Limits { connections: 1, header_time: Duration::from_millis(50), ..Limits::default() };
    let server = start_within(limits).await;
    let mut silent = TcpStream::connect(server.address()).await.unwrap();
    silent.write_all(b"GET /li").await.unwrap();
    assert_eq!(get(&server, "/live").await.status, 200);
    silent.read_to_end(&mut Vec::new()).await.ok();
    let mut idle = TcpStream::connect(server.address()).await.unwrap();
    idle.write_all(format!("GET /live HTTP/1.1\r\nHost: {}\r\n\r\n", server.address()).as_bytes())
        .await
        .unwrap();
    let mut answer = Vec::new();
    timeout(SOON, idle.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "answered, and closed when it asked nothing more");
}
