//! The Rust driver on one connection, many statements at once: what a connector can get out of the server.
use std::num::NonZeroUsize;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use scylla::client::PoolSize;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::serialize::row::SerializeRow;
use tokio::time::Instant;

use crate::server::Server;

const UNDER_WAY: usize = 512;

/// Prints operations a second, and how busy the server was meanwhile: while that is well under 100 %, it is the driver that
/// sets the pace.
pub(crate) fn run(server: &Server, operations: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let session = SessionBuilder::new()
            .known_node_addr(server.address)
            .pool_size(PoolSize::PerHost(NonZeroUsize::MIN))
            .build()
            .await
            .unwrap();
        println!("Rust driver, one connection, {operations} operations, {UNDER_WAY} under way");
        let columns = "(p bigint PRIMARY KEY, a text, payload text)";
        for (table, with) in [("driven", ""), ("driven_logged", " WITH cdc = {'enabled': true}")] {
            session.query_unpaged(format!("CREATE TABLE ks.{table} {columns}{with}"), ()).await.unwrap();
            let insert = format!("INSERT INTO ks.{table} (p, a, payload) VALUES (?, ?, ?)");
            let payload = "x".repeat(200);
            let values = |row: u32| (i64::from(row), "OrderCreated", payload.clone());
            measure(server, &session, (&format!("insert into {table}"), &insert), operations, values).await;
        }
        let select = ("read of a row", "SELECT a, payload FROM ks.driven WHERE p = ?");
        measure(server, &session, select, operations, |row| (i64::from(row),)).await;
        scan(server, &session, operations).await;
    });
}

async fn measure<V: SerializeRow>(
    server: &Server,
    session: &Session,
    (name, statement): (&str, &str),
    operations: u32,
    values: impl Fn(u32) -> V,
) {
    let prepared = session.prepare(statement).await.unwrap();
    let (cpu, start) = (server.nanos(), Instant::now());
    futures::stream::iter(0..operations)
        .map(|row| session.execute_unpaged(&prepared, values(row)))
        .buffer_unordered(UNDER_WAY)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await
        .unwrap();
    print(name, operations, start.elapsed(), server.nanos() - cpu);
}

async fn scan(server: &Server, session: &Session, rows: u32) {
    let mut select = session.prepare("SELECT p, a, payload FROM ks.driven").await.unwrap();
    select.set_page_size(5000);
    let (cpu, start) = (server.nanos(), Instant::now());
    let pager = session.execute_iter(select, ()).await.unwrap();
    let mut stream = pager.rows_stream::<(i64, String, String)>().unwrap();
    let mut seen = 0;
    while stream.try_next().await.unwrap().is_some() {
        seen += 1;
    }
    assert_eq!(seen, rows, "rows of the scan");
    print("row of a scan by pages", rows, start.elapsed(), server.nanos() - cpu);
}

fn print(name: &str, operations: u32, took: Duration, cpu: u64) {
    let each = cpu as f64 / 1000.0 / f64::from(operations);
    let rate = f64::from(operations) / took.as_secs_f64();
    let busy = cpu as f64 / took.as_nanos() as f64 * 100.0;
    println!("  {name:<30}{rate:>10.0}/s, server {each:>6.2} µs, busy {busy:>3.0} %");
}
