//! What the server costs: its own CPU time and memory, told apart from the client's, and what a driver gets out of it.
//!
//!     cargo bench -p weir-scylla-dev
//!
//! The server has a thread of its own, whose CPU time the system counts. First a client sends frames made by hand over one
//! connection; then the Rust driver does the same, many statements at once over one connection. Without `--bench` a
//! short round shows that it works.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on says where it was")]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod client;
mod driver;
mod server;

use client::Client;
use server::Server;

/// Rows of 237 bytes, like an outbox's.
const LARGE: Shape = Shape { table: "large", payload: 200 };
/// Rows of 57 bytes.
const SMALL: Shape = Shape { table: "small", payload: 20 };
/// What the columns other than the payload add up to.
const FIXED: usize = 8 + 4 + 12 + 5 + 8;

#[derive(Clone, Copy)]
struct Shape {
    table: &'static str,
    payload: usize,
}

fn main() {
    let full = std::env::args().any(|argument| argument == "--bench");
    let (rows, many, operations) = if full { (200_000, 1_000_000, 300_000) } else { (2_000, 5_000, 2_000) };
    let server = Server::start();
    by_hand(&server, rows, many);
    driver::run(&server, operations);
}

/// The server's own cost, with a client that is never in its way.
fn by_hand(server: &Server, rows: u32, many: u32) {
    let mut client = Client::connect(server.address);
    client.query(
        "CREATE KEYSPACE ks WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}",
    );
    let columns = "p bigint, c int, a text, b text, d bigint, payload text, PRIMARY KEY (p, c)";
    for table in ["large", "small"] {
        client.query(&format!("CREATE TABLE ks.{table} ({columns})"));
    }
    client.query(&format!("CREATE TABLE ks.logged ({columns}) WITH cdc = {{'enabled': true}}"));
    println!(
        "server's CPU time, by a client of hand-made frames, one connection, {rows} rows, 10 to a partition"
    );
    let plain = insert(&mut client, server, LARGE, rows);
    let logged = insert(&mut client, server, Shape { table: "logged", ..LARGE }, rows);
    println!("  ratio of the two                     {:>8.2}", logged / plain);
    let read = "SELECT * FROM ks.large WHERE p = ? AND c = ?";
    let (cpu, ()) = server.cpu(|| client.execute(read, rows, |row| values(row, 0)[..2].to_vec()));
    println!("  prepared read of a row               {:>8.2} µs", micros(cpu, rows));
    println!("many small rows, {many} of {} bytes", FIXED + SMALL.payload);
    insert(&mut client, server, SMALL, many);
    for (select, wanted) in [("small", many), ("logged_scylla_cdc_log", rows)] {
        let (cpu, seen) = server.cpu(|| client.scan(&format!("SELECT * FROM ks.{select}")));
        assert_eq!(seen, wanted, "{select}");
        println!("  row of a scan by pages, {select:<21}{:>8.2} µs", micros(cpu, seen));
    }
}

/// Inserts and prints; gives the CPU time of one, µs.
fn insert(client: &mut Client, server: &Server, shape: Shape, rows: u32) -> f64 {
    let columns = "(p, c, a, b, d, payload) VALUES (?, ?, ?, ?, ?, ?)";
    let text = format!("INSERT INTO ks.{} {columns}", shape.table);
    let before = server::resident();
    let (cpu, ()) = server.cpu(|| client.execute(&text, rows, |row| values(row, shape.payload)));
    let kept = (server::resident().saturating_sub(before)) / u64::from(rows);
    let size = FIXED + shape.payload;
    println!("  prepared insert into {:<16}{:>8.2} µs", shape.table, micros(cpu, rows));
    println!("    memory, bytes for {size:<20}{kept:>8}  {:.2}x", kept as f64 / size as f64);
    micros(cpu, rows)
}

/// The values of a row, as the protocol writes them.
fn values(row: u32, payload: usize) -> Vec<Vec<u8>> {
    let key = u64::from(row / 10).to_be_bytes().to_vec();
    let c = (row % 10).to_be_bytes().to_vec();
    vec![key.clone(), c, b"OrderCreated".to_vec(), b"Order".to_vec(), key, vec![b'x'; payload]]
}

fn micros(nanos: u64, of: u32) -> f64 {
    nanos as f64 / 1000.0 / f64::from(of)
}
