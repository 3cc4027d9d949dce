//! What the operator has to repair: a wrong password, a topic that is missing or refused, a CA that is not the brokers',
//! a listener that speaks something else. Each at a real Kafka, all in one host, beside a sink that works.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{
    Admin, Arrived, Authority, Fault, Kafka, Outcome, Proxy, Weir, free_port, get, read_topic, task, until,
};

const LIMIT: Duration = Duration::from_secs(60);
const RECORDS: usize = 200;
/// What the pipelines say instead of five minutes.
const AGAIN: &str = "2s";
/// The next try, and what it takes: of a missing topic librdkafka waits 5 s for news.
const PATIENCE: Duration = Duration::from_secs(10);
const SECRET: &str = "tr0ub4dor-and-3";

/// A Kafka with a listener for everybody, one for passwords and one for TLS, and a host with one pipeline for each way
/// to get it wrong.
struct Scene {
    folder: tempfile::TempDir,
    kafka: Kafka,
    admin: Admin,
    authority: Authority,
    /// In front of the listeners for passwords and for TLS, one for each sink that gets it wrong.
    password: Proxy,
    untrusted: Proxy,
    plaintext: Proxy,
    weir: Weir,
    http: SocketAddr,
}

/// What gets it wrong: a sink, the state it ends up in, and what its reason must name.
const WRONG: [(&str, &str, &[&str]); 5] = [
    ("password", "FAILED", &["invalid credentials", "check `sasl`", "tried again every 2s"]),
    ("missing", "FAILED", &["topic missing: ", "create the topic", "`create: {partitions: …}`"]),
    ("refused", "FAILED", &["topic refused: ", "grant the user WRITE"]),
    ("untrusted", "FAILED", &["certificate could not be verified", "check `tls.ca`"]),
    ("plaintext", "PARKED", &["Disconnected", "`tls` where it is a TLS listener"]),
];

fn properties(keystore: &Path, password: u16, tls: u16) -> String {
    format!(
        "listeners=PLAINTEXT://127.0.0.1:@PORT@,PASSWORD://127.0.0.1:{password},TLS://127.0.0.1:{tls},\
         CONTROLLER://127.0.0.1:@CONTROLLER_PORT@
advertised.listeners=PLAINTEXT://127.0.0.1:@PORT@,PASSWORD://127.0.0.1:{password},TLS://127.0.0.1:{tls}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PASSWORD:SASL_PLAINTEXT,TLS:SSL,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-256
listener.name.password.scram-sha-256.sasl.jaas.config=\
         org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={}
auto.create.topics.enable=false
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=true
",
        keystore.display()
    )
}

impl Scene {
    /// `None` where there is no Kafka to be had.
    fn set() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let (authority, other) = (Authority::new("the brokers'"), Authority::new("another"));
        let (keystore, data) = (folder.path().join("keystore.pem"), folder.path().join("kafka"));
        std::fs::create_dir(&data).unwrap();
        std::fs::write(&keystore, authority.keystore()).unwrap();
        std::fs::write(folder.path().join("ca.pem"), other.pem()).unwrap();
        let (for_passwords, for_tls) = (free_port(), free_port());
        let kafka = Kafka::start(&data, &properties(&keystore, for_passwords, for_tls))?;
        let admin = Admin::of(kafka.address());
        ["password", "allowed", "refused", "untrusted", "plaintext"]
            .iter()
            .for_each(|topic| admin.create_topic(topic));
        admin.set_password("alice", "another one");
        admin.set_password("bob", SECRET);
        admin.deny_writing("bob", "refused");
        let to = |port: u16| Proxy::to(([127, 0, 0, 1], port).into());
        let (password, untrusted, plaintext) = (to(for_passwords), to(for_tls), to(for_tls));
        let sasl =
            |user: &str| json!({"mechanism": "SCRAM-SHA-256", "username": user, "password": "${env:SECRET}"});
        let at = |brokers: &str, sasl: Value| json!({"brokers": brokers, "sasl": sasl});
        let tls = over_tls(&untrusted, folder.path());
        let listener = format!("127.0.0.1:{for_passwords}");
        let files = [
            pipeline(folder.path(), &[("password", at(&password.address().to_string(), sasl("alice")))]),
            pipeline(folder.path(), &[("missing", json!({"brokers": kafka.address()}))]),
            pipeline(
                folder.path(),
                &[("refused", at(&listener, sasl("bob"))), ("allowed", at(&listener, sasl("bob")))],
            ),
            pipeline(folder.path(), &[("untrusted", tls)]),
            pipeline(folder.path(), &[("plaintext", json!({"brokers": plaintext.address().to_string()}))]),
        ];
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let mut weir = Weir::run(&files, &folder.path().join("data"), &[("SECRET", SECRET)]);
        let http = weir.http();
        Some(Self { folder, kafka, admin, authority, password, untrusted, plaintext, weir, http })
    }
}

/// A sink that trusts whoever signed for the authority whose certificate lies in the folder.
fn over_tls(brokers: &Proxy, folder: &Path) -> Value {
    json!({"brokers": brokers.address().to_string(), "tls": {"ca": folder.join("ca.pem")}})
}

/// A pipeline named after its first sink; each sink writes to the topic of its name.
fn pipeline(folder: &Path, sinks: &[(&str, Value)]) -> PathBuf {
    let file = folder.join(format!("{}.yaml", sinks[0].0));
    let sinks: Vec<_> = sinks
        .iter()
        .map(|(name, config)| {
            let mut config = config.clone();
            config["topic"] = (*name).into();
            json!({"name": name, "connector": "redpanda", "config": config, "retry_failed": AGAIN,
                "circuit_breaker": {"open_for": "1s", "open_for_max": "1s"}})
        })
        .collect();
    let source = json!({"connector": "generator", "config": {"records": RECORDS, "rate": 1000, "keys": 5}});
    // JSON is YAML.
    let text = json!({"name": sinks[0]["name"], "source": source, "sinks": sinks});
    std::fs::write(&file, text.to_string()).unwrap();
    file
}

#[test]
fn what_the_operator_has_to_repair_is_named_not_stormed_and_goes_on_by_itself() {
    let Some(mut scene) = Scene::set() else { return };
    for (sink, state, names) in WRONG {
        let reason = until(&format!("{sink} is {state}"), LIMIT, || {
            let shown = task(scene.http, sink);
            (shown["state"] == state).then(|| shown["reason"].as_str().unwrap().to_owned())
        });
        names.iter().for_each(|name| assert!(reason.contains(name), "{sink}: {reason}"));
    }
    assert_eq!(get(scene.http, "/health").0, 503);
    scene.arrives("allowed", Instant::now());
    scene.assert_no_storm();
    scene.assert_no_secret();

    let password = scene.goes_on("password", |scene| scene.admin.set_password("alice", SECRET));
    let missing = scene.goes_on("missing", |scene| scene.admin.create_topic("missing"));
    let refused = scene.goes_on("refused", |scene| scene.admin.allow_writing("bob", "refused"));
    let untrusted = scene.goes_on("untrusted", |scene| {
        std::fs::write(scene.folder.path().join("ca.pem"), scene.authority.pem()).unwrap();
    });
    let plaintext = scene.restarted();
    rows([password, missing, refused, untrusted, plaintext]);
}

impl Scene {
    /// Waits until it is all there; how long that took from `repaired`.
    fn arrives(&self, topic: &str, repaired: Instant) -> Outcome {
        let read =
            read_topic(self.kafka.address(), topic, LIMIT, |read| Arrived::of(read).distinct() >= RECORDS);
        let (arrived, recovered) = (Arrived::of(&read), repaired.elapsed());
        arrived.assert_whole(0);
        assert_eq!((arrived.distinct(), arrived.repeats), (RECORDS, 0), "{topic}");
        assert!(recovered < PATIENCE, "{topic}: {recovered:?}");
        Outcome { lost: 0, repeated: arrived.repeats, recovered: Some(recovered) }
    }

    fn goes_on(&self, sink: &str, repair: impl FnOnce(&Self)) -> Outcome {
        repair(self);
        self.arrives(sink, Instant::now())
    }

    /// Every try costs a few connections, and there is one every two seconds. A task that is PARKED asks as often as
    /// finds a broker that is back within a second.
    fn assert_no_storm(&self) {
        const WATCHED: u32 = 4;
        let proxies = [&self.password, &self.untrusted, &self.plaintext];
        let before = proxies.map(Proxy::connections);
        std::thread::sleep(WATCHED * Duration::from_secs(1));
        for (proxy, before) in proxies.iter().zip(before) {
            let opened = proxy.connections() - before;
            assert!(opened <= 10 * WATCHED as usize, "{opened} connections within {WATCHED} s");
        }
    }

    /// Neither where an operator looks, nor where a tool does.
    fn assert_no_secret(&self) {
        for path in ["/health", "/metrics", "/api/v1/tasks"] {
            let (_, text) = get(self.http, path);
            assert!(text.contains("password") && !text.contains(SECRET), "{path}: {text}");
        }
    }

    /// What the far side cannot repair needs a changed file, and so another start. The log of the first is over.
    fn restarted(&mut self) -> Outcome {
        self.weir.signal("TERM");
        self.weir.signal("TERM");
        let (folder, data) = (self.folder.path(), self.folder.path().join("data"));
        let file = pipeline(folder, &[("plaintext", over_tls(&self.plaintext, folder))]);
        let second = Weir::run(&[&file], &data, &[]);
        let (_, log) = std::mem::replace(&mut self.weir, second).wait(LIMIT);
        assert!(log.contains("check `sasl`") && !log.contains(SECRET), "{log}");
        self.arrives("plaintext", Instant::now())
    }
}

fn rows(outcomes: [Outcome; 5]) {
    let by_itself = "10 s: the next try (`retry_failed`, 2 s here) and what it takes";
    let faults = [
        (
            "password that the broker refuses (SCRAM, Apache Kafka)",
            "FAILED, `check sasl`, ≤ 10 connections a second; the password nowhere in log, `/health`, `/metrics`",
            by_itself,
        ),
        (
            "topic that does not exist and is not made by itself",
            "FAILED, the topic, `create the topic`",
            by_itself,
        ),
        (
            "topic refused to the user (ACL), others not",
            "FAILED, the topic, `grant the user WRITE`; the other sink of the pipeline arrives whole",
            by_itself,
        ),
        (
            "CA that did not sign the broker's certificate",
            "FAILED, `check tls.ca`, ≤ 10 connections a second",
            by_itself,
        ),
        (
            "TLS listener, and no `tls` in the sink",
            "PARKED, `tls where it is a TLS listener`, ≤ 10 connections a second",
            "10 s after a start with the file repaired",
        ),
    ];
    for ((fault, seen, recovers_within), outcome) in faults.into_iter().zip(outcomes) {
        let repeated_at_most = "0: nothing had been written";
        Fault { place: "The broker", fault, seen, repeated_at_most, recovers_within }.survived(&outcome);
    }
}
