//! The server on a thread of its own, and what the system counts of it.
use std::net::SocketAddr;
use std::sync::mpsc;

use weir_scylla_dev::ScyllaDev;

/// A server that lives as long as the process.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// The file that tells its thread's CPU time.
    schedstat: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        let (tell, told) = mpsc::channel();
        drop(std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let server = ScyllaDev::builder().start().await.unwrap();
                let thread = std::fs::read_link("/proc/thread-self").unwrap();
                let schedstat = format!("/proc/{}/schedstat", thread.display());
                tell.send(Self { address: server.address(), schedstat }).unwrap();
                std::future::pending::<()>().await;
            });
        }));
        told.recv().unwrap()
    }

    /// Nanoseconds of CPU time that the server spends meanwhile.
    pub(crate) fn cpu<T>(&self, work: impl FnOnce() -> T) -> (u64, T) {
        let before = self.nanos();
        let result = work();
        (self.nanos() - before, result)
    }

    pub(crate) fn nanos(&self) -> u64 {
        let text = std::fs::read_to_string(&self.schedstat).unwrap();
        text.split_whitespace().next().unwrap().parse().unwrap()
    }
}

/// Memory of the whole process, bytes.
pub(crate) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
