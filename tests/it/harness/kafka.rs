//! `Kafka`: a real Apache Kafka node of our script, that can be killed and started again on its data.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// A real Apache Kafka node, gone when dropped.
pub(crate) struct Kafka {
    data: PathBuf,
    running: Running,
}

struct Running {
    address: String,
    pid: String,
    script: Child,
    _stdin: ChildStdin,
}

impl Kafka {
    /// A node on this data, with these settings beside those of every test, or `None`, said loudly, where Java or Maven
    /// is missing. Of its settings `@PORT@` is the port for clients that need nothing.
    pub(crate) fn start(data: &Path, more: &str) -> Option<Self> {
        std::fs::write(data.join("more.properties"), more).unwrap();
        let running = Running::start(data)?;
        println!("against Apache Kafka at {}", running.address);
        Some(Self { data: data.to_owned(), running })
    }

    /// Where it serves clients that need nothing.
    pub(crate) fn address(&self) -> &str {
        &self.running.address
    }

    /// SIGKILL. Nothing is written any more, and the connections break.
    pub(crate) fn kill(&mut self) {
        self.running.kill();
    }

    /// Starts it again on its data and ports, and waits until it accepts connections.
    pub(crate) fn start_again(&mut self) {
        self.running = Running::start(&self.data).expect("it ran before");
    }
}

impl Running {
    fn start(data: &Path) -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/kafka/start");
        let mut command = Command::new(script);
        let mut child = command.arg(data).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
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
        let (address, pid) = (address.to_owned(), pid.to_owned());
        Some(Self { address, pid, script: child, _stdin: stdin })
    }

    fn kill(&mut self) {
        Command::new("kill").args(["-9", &self.pid]).status().ok();
        // It ends when its broker has.
        self.script.wait().ok();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Its data is thrown away with its folder: no reason to wait for a clean end.
        if self.script.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.kill();
        }
    }
}

/// A port that nobody listens on, below the range from which the system picks ports for outgoing connections: so none
/// takes it before its server does, or while that is down.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = rand::random_range(10_000..30_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
