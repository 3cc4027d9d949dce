//! The broker a test runs against: the embedded one, one named by REDPANDA_BROKERS, or a real Kafka of our script.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use weir_redpanda_dev::RedpandaDev;

/// A Kafka-compatible broker, gone when dropped.
pub(crate) enum Broker {
    Embedded(RedpandaDev),
    Named(String),
    Kafka(Kafka),
}

/// A real Apache Kafka node.
pub(crate) struct Kafka {
    address: String,
    pid: String,
    script: Child,
    _stdin: ChildStdin,
}

impl Broker {
    /// The one that REDPANDA_BROKERS names, or an embedded one; says which.
    pub(crate) fn start() -> Self {
        match std::env::var("REDPANDA_BROKERS") {
            Ok(address) if !address.is_empty() => {
                println!("against the broker {address} (REDPANDA_BROKERS)");
                Self::Named(address)
            }
            _ => {
                println!("against the embedded broker");
                Self::Embedded(RedpandaDev::start("127.0.0.1:0").unwrap())
            }
        }
    }

    pub(crate) fn address(&self) -> String {
        match self {
            Self::Embedded(broker) => broker.address().to_string(),
            Self::Named(address) => address.clone(),
            Self::Kafka(kafka) => kafka.address.clone(),
        }
    }
}

/// A real Kafka on this data, or `None`, said loudly, where Java or Maven is missing.
pub(crate) fn real_kafka(data: &Path) -> Option<Broker> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/kafka/start");
    let mut child =
        Command::new(script).arg(data).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let Some((address, pid)) = line.trim().split_once(' ') else {
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(77), "the script that starts Kafka failed");
        println!("*** SKIPPED: no real Kafka here, because Java or Maven is missing ***");
        eprintln!("*** SKIPPED: no real Kafka here, because Java or Maven is missing ***");
        return None;
    };
    println!("against Apache Kafka at {address}");
    let (address, pid) = (address.to_owned(), pid.to_owned());
    Some(Broker::Kafka(Kafka { address, pid, script: child, _stdin: stdin }))
}

impl Drop for Kafka {
    fn drop(&mut self) {
        // In-memory or thrown away with its folder: no reason to wait for a clean end.
        Command::new("kill").args(["-9", &self.pid]).status().ok();
        self.script.wait().ok();
    }
}
