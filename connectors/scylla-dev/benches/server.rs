//! The server's own CPU time per statement, told apart from the client's: the server has a thread of its own.
//!
//! A client sends frames made beforehand over one connection, many at once. Prints nanoseconds of the server's thread per
//! insert, per insert into a table with a CDC log, and per row of a scan by pages.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on says where it was")]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;

use weir_scylla_dev::ScyllaDev;

const ROWS: u32 = 200_000;
const PIPELINE: u32 = 256;
/// What the values of a row add up to.
const ROW_BYTES: usize = 8 + 4 + 12 + 5 + 8 + 200;

fn main() {
    // Under `cargo test --benches` one short round shows that it works.
    let rows = if std::env::args().any(|argument| argument == "--bench") { ROWS } else { 2_000 };
    let (address, schedstat) = serve();
    let mut client = Client::connect(address);
    client
        .query("CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
    let columns = "p bigint, c int, a text, b text, d bigint, payload text, PRIMARY KEY (p, c)";
    client.query(&format!("CREATE TABLE ks.plain ({columns})"));
    client.query(&format!("CREATE TABLE ks.logged ({columns}) WITH cdc = {{'enabled': true}}"));
    let before = resident();
    let plain = client.insert("ks.plain", rows, &schedstat);
    let kept = (resident() - before) / u64::from(rows);
    let logged = client.insert("ks.logged", rows, &schedstat);
    let scanned = client.scan("SELECT * FROM ks.plain", rows, &schedstat);
    let log = client.scan("SELECT * FROM ks.logged_scylla_cdc_log", rows, &schedstat);
    println!("prepared insert                 {plain:>8} ns CPU");
    println!("  memory of a row                {kept:>8} bytes for {ROW_BYTES}");
    println!(
        "prepared insert, CDC            {logged:>8} ns CPU  {:.2}x",
        logged as f64 / plain.max(1) as f64
    );
    println!("row of a paged scan             {scanned:>8} ns CPU");
    println!("row of a paged scan of the log  {log:>8} ns CPU");
}

/// Starts the server on a thread of its own; gives its address and the file that tells the thread's CPU time.
fn serve() -> (SocketAddr, String) {
    let (tell, told) = mpsc::channel();
    drop(std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = ScyllaDev::builder().start().await.unwrap();
            let thread = std::fs::read_link("/proc/thread-self").unwrap();
            tell.send((server.address(), format!("/proc/{}/schedstat", thread.display()))).unwrap();
            std::future::pending::<()>().await;
        });
    }));
    told.recv().unwrap()
}

/// Memory of the whole process, bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn cpu_nanos(schedstat: &str) -> u64 {
    let text = std::fs::read_to_string(schedstat).unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

struct Client(TcpStream);

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self(stream);
        client
            .0
            .write_all(b"\x04\x00\x00\x00\x01\x00\x00\x00\x16\x00\x01\x00\x0bCQL_VERSION\x00\x053.3.1")
            .unwrap();
        assert_eq!(client.answer().0, 0x02);
        client
    }

    fn query(&mut self, text: &str) {
        let body = [&(text.len() as u32).to_be_bytes(), text.as_bytes(), &[0, 1, 0]].concat();
        self.0.write_all(&frame(0x07, &body)).unwrap();
        assert_eq!(self.answer().0, 0x08, "{text}");
    }

    /// The statement's id.
    fn prepare(&mut self, text: &str) -> Vec<u8> {
        let body = [&(text.len() as u32).to_be_bytes(), text.as_bytes()].concat();
        self.0.write_all(&frame(0x09, &body)).unwrap();
        let (opcode, body) = self.answer();
        assert_eq!(opcode, 0x08, "{text}");
        body[6..22].to_vec()
    }

    fn insert(&mut self, table: &str, rows: u32, schedstat: &str) -> u64 {
        let id =
            self.prepare(&format!("INSERT INTO {table} (p, c, a, b, d, payload) VALUES (?, ?, ?, ?, ?, ?)"));
        let payload = [b'x'; 200];
        let start = cpu_nanos(schedstat);
        for first in (0..rows).step_by(PIPELINE as usize) {
            let mut frames = Vec::new();
            let last = rows.min(first + PIPELINE);
            for row in first..last {
                let key = u64::from(row / 10).to_be_bytes();
                let values: [&[u8]; 6] =
                    [&key, &(row % 10).to_be_bytes(), b"OrderCreated", b"Order", &key, &payload];
                frames.extend_from_slice(&frame(0x0A, &execute(&id, &values)));
            }
            self.0.write_all(&frames).unwrap();
            (first..last).for_each(|_| assert_eq!(self.answer().0, 0x08));
        }
        (cpu_nanos(schedstat) - start) / u64::from(rows)
    }

    fn scan(&mut self, select: &str, rows: u32, schedstat: &str) -> u64 {
        let id = self.prepare(select);
        let (mut seen, mut state) = (0, Vec::new());
        let start = cpu_nanos(schedstat);
        loop {
            // No values, a page size, skip metadata; a paging state from the second page on.
            let flags = if state.is_empty() { 0x06 } else { 0x0E };
            let mut body = [&16_u16.to_be_bytes(), &id[..], &[0, 1, flags], &5000_u32.to_be_bytes()].concat();
            if !state.is_empty() {
                body.extend_from_slice(&(state.len() as u32).to_be_bytes());
                body.extend_from_slice(&state);
            }
            self.0.write_all(&frame(0x0A, &body)).unwrap();
            let (opcode, body) = self.answer();
            assert_eq!((opcode, &body[..4]), (0x08, &2_u32.to_be_bytes()[..]));
            let number = |at: usize| u32::from_be_bytes(body[at..at + 4].try_into().unwrap()) as usize;
            let more = number(4) & 0x02 != 0;
            let after = if more { 16 + number(12) } else { 12 };
            state = if more { body[16..after].to_vec() } else { Vec::new() };
            seen += number(after);
            if !more {
                break;
            }
        }
        assert_eq!(seen, rows as usize, "{select}");
        (cpu_nanos(schedstat) - start) / u64::from(rows)
    }

    fn answer(&mut self) -> (u8, Vec<u8>) {
        let mut header = [0; 9];
        self.0.read_exact(&mut header).unwrap();
        let mut body = vec![0; u32::from_be_bytes(header[5..9].try_into().unwrap()) as usize];
        self.0.read_exact(&mut body).unwrap();
        (header[4], body)
    }
}

fn frame(opcode: u8, body: &[u8]) -> Vec<u8> {
    [&[4, 0, 0, 1, opcode], &(body.len() as u32).to_be_bytes()[..], body].concat()
}

fn execute(id: &[u8], values: &[&[u8]]) -> Vec<u8> {
    let mut body =
        [&16_u16.to_be_bytes(), id, &[0, 1, 0x01], &(values.len() as u16).to_be_bytes()[..]].concat();
    for value in values {
        body.extend_from_slice(&(value.len() as u32).to_be_bytes());
        body.extend_from_slice(value);
    }
    body
}
