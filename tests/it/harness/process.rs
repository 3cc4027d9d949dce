//! `Weir`: the real binary as a process, with its log, its HTTP address and its end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::until;

/// A running `weir`, killed when dropped.
pub(crate) struct Weir {
    child: Child,
    log: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Weir {
    /// `weir run` of these files, its data below `data`, its HTTP on a port of the system's choice.
    pub(crate) fn run(files: &[&Path], data: &Path, environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.arg("run").args(files);
        command.args(["--listen", "127.0.0.1:0", "--log-format", "json", "--data-dir"]).arg(data);
        Self::start(command.envs(environment.iter().copied()))
    }

    pub(crate) fn start(command: &mut Command) -> Self {
        command.env_remove("RUST_LOG").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, log) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, log, seen: Vec::new() }
    }

    /// Waits for a line of the log that `wanted` picks.
    pub(crate) fn wait_log<T>(&mut self, what: &str, wanted: impl Fn(&Value) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.log.recv_timeout(left) else {
                panic!("no log line says {what}; the log is:\n{}", self.seen.join("\n"));
            };
            let found = serde_json::from_str(&line).ok().and_then(|line| wanted(&line));
            self.seen.push(line);
            if let Some(found) = found {
                return found;
            }
        }
    }

    /// Waits for a line on standard error that holds this.
    pub(crate) fn wait_line(&mut self, what: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.seen.last().is_some_and(|line| line.contains(what)) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.log.recv_timeout(left) else {
                panic!("no line says {what}; they are:\n{}", self.seen.join("\n"));
            };
            self.seen.push(line);
        }
    }

    /// The address of its HTTP listener.
    pub(crate) fn http(&mut self) -> SocketAddr {
        self.wait_log("where HTTP listens", |line| {
            let fields = &line["fields"];
            (fields["message"] == "listening").then(|| fields["address"].as_str()?.parse().ok())?
        })
    }

    /// SIGKILL, and waits for the end.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The process's number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its resident memory, in MiB.
    pub(crate) fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim_end_matches("kB").trim().parse::<usize>().unwrap() / 1024
    }

    /// Sends a signal by name, as `kill -NAME`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for the end by itself.
    pub(crate) fn wait(mut self, limit: Duration) -> (ExitStatus, String) {
        let status = until("the process ends", limit, || self.child.try_wait().unwrap());
        self.seen.extend(self.log.iter());
        (status, self.seen.join("\n"))
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        // It may have ended long ago.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The status code and the body of a GET.
pub(crate) fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The figure of this name at `/metrics`; a run of these tests has one task.
pub(crate) fn figure(address: SocketAddr, name: &str) -> Option<f64> {
    let text = get(address, "/metrics").1;
    let line = text.lines().find(|line| line.starts_with(&format!("{name}{{")))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// The task of this sink, as `/health` shows it; null until it is entered there, just after the listener answers.
pub(crate) fn task(address: SocketAddr, sink: &str) -> Value {
    let mut health: Value = serde_json::from_str(&get(address, "/health").1).unwrap();
    let tasks = health["tasks"].as_array_mut().unwrap();
    tasks.iter_mut().find(|task| task["sink"] == sink).map(Value::take).unwrap_or_default()
}

/// How many records this sink has written, as `/metrics` shows it.
pub(crate) fn written(address: SocketAddr, sink: &str) -> f64 {
    figure_of(address, "weir_sink_records_written_total", sink).unwrap_or_default()
}

/// The figure of this name that this sink has at `/metrics`.
pub(crate) fn figure_of(address: SocketAddr, name: &str, sink: &str) -> Option<f64> {
    let (text, label) = (get(address, "/metrics").1, format!("sink=\"{sink}\""));
    let mut lines = text.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    lines.find(|line| line.contains(&label))?.rsplit(' ').next()?.parse().ok()
}
