//! A backlog of the outbox on its way into a table: `weir run` against a bare loop of prepared upserts, by turns; or the
//! outbox itself, by `weir rebuild`.
//!
//! The loop asks what Weir asks, reads the same places out of each payload and binds the same values, with as
//! many upserts on their way. It has no late rows, checkpoints, retries, deadlines or states, and its mapping is code.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::response::query_result::QueryRowsResult;
use scylla::statement::prepared::PreparedStatement;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::bare::{self, Place, Row};
use super::events::Outbox;
use super::process::{Process, Used, until};
use super::report::{self, Run, median, say};
use super::scan;
use super::servers::Server;

/// A backlog of the outbox into a table, beside a bare loop of prepared upserts.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many events.
    #[arg(long, default_value_t = 200_000)]
    events: u64,
    /// `weir rebuild` from the outbox itself, whose log has forgotten everything, beside a bare scan of the same.
    #[arg(long)]
    rebuild: bool,
    /// How often each contestant runs; the last word is the median.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Ranges of the ring that the database has, each with a stream of the log.
    #[arg(long, default_value_t = 256)]
    vnodes: u16,
}

/// Runs the loop until the log is read, and waits to be ended.
#[derive(Debug, clap::Args)]
pub(crate) struct Upserts {
    #[arg(long)]
    cql: String,
    #[arg(long)]
    from: Place,
    #[arg(long)]
    table: String,
}

/// How many pages, and how many upserts of each, are on their way: as the lanes of a task and the calls of its sink.
const PAGES: usize = 8;
const AT_A_TIME: usize = 128;

/// A log that holds nothing any more once the database's clock was moved.
const FORGETFUL: &str =
    "ALTER TABLE orders_ks.outbox_messages WITH cdc = {'enabled': true, 'ttl': 300, 'preimage': false}";

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let (folder, runtime) = (tempfile::tempdir()?, tokio::runtime::Runtime::new()?);
    let mut scylla = Server::aged_scylla(args.vnodes)?;
    say(format_args!("{} events, {} vnodes: {}", args.events, args.vnodes, scylla.kind));
    let outbox = runtime.block_on(Outbox::lay(&scylla.address))?;
    let session = runtime.block_on(SessionBuilder::new().known_node(&scylla.address).build())?;
    if args.rebuild {
        runtime.block_on(session.query_unpaged(FORGETFUL, &[]))?;
    }
    runtime.block_on(outbox.fill(args.events))?;
    scylla.age()?;
    let (mut weir, mut bare) = (Vec::new(), Vec::new());
    for round in 0..args.rounds {
        let tables = ["weir", "bare"].map(|name| format!("{name}_{round}"));
        for table in &tables {
            runtime.block_on(session.query_unpaged(create(table), &[]))?;
        }
        let count = |table: &str| runtime.block_on(count(&session, table));
        let file = write_file(&scylla, &tables[0], folder.path())?;
        let data = file.with_extension("data");
        let [table, bares] = tables;
        let (name, process, table, from) = if args.rebuild {
            let beside = format!("{table}_rebuilt");
            runtime.block_on(session.query_unpaged(create(&beside), &[]))?;
            ("weir rebuild", Process::rebuild(&file, &data)?, beside, "table")
        } else {
            ("weir run", Process::weir(&file, &data)?, table, "log")
        };
        weir.push(watch(name, process, (&scylla, args.events), || count(&table))?);
        let process =
            Process::own(&["upserts", "--cql", &scylla.address, "--from", from, "--table", &bares])?;
        bare.push(watch("bare loop of upserts", process, (&scylla, args.events), || count(&bares))?);
        runtime.block_on(same(&session, &[table, bares]))?;
    }
    let of = |figure: fn(&Run) -> f64| [&weir, &bare].map(|runs| median(runs.iter().map(figure)));
    let ([weir_rate, bare_rate], [weir_cpu, bare_cpu]) = (of(Run::rate), of(Run::cpu));
    say(format_args!("medians of {} rounds, by turns; both tables hold the same rows", args.rounds));
    say(format_args!(
        "  throughput   weir / bare = {:.2}   ({weir_rate:.0} / {bare_rate:.0} rows/s)",
        weir_rate / bare_rate
    ));
    say(format_args!(
        "  CPU          bare / weir = {:.2}   ({bare_cpu:.2} / {weir_cpu:.2} s per million rows)",
        bare_cpu / weir_cpu
    ));
    Ok(())
}

/// A row for each event, so that what has arrived can be counted.
fn create(table: &str) -> String {
    format!(
        "CREATE TABLE orders_ks.{table} (event_id uuid PRIMARY KEY, order_id uuid, customer_id uuid, city text, \
         total_cents bigint, currency text, number bigint)"
    )
}

fn write_file(scylla: &Server, table: &str, folder: &Path) -> anyhow::Result<PathBuf> {
    let session = format!("session: {{ contact_points: ['{}'] }}", scylla.address);
    let text = format!(
        "name: {table}
source:
  connector: scylla-outbox
  config: {{ {session}, keyspace: orders_ks, table: outbox_messages }}
sinks:
  - name: table
    connector: scylla-projection
    config:
      {session}
      keyspace: orders_ks
      table: {table}
      columns:
        event_id: '{{event_id}}'
        order_id: '{{aggregate_id}}'
        customer_id: $.customer_id
        city: $.shipping.city
        total_cents: $.total_cents
        currency: $.currency
        number: '{{sequence_number}}'
      events: {{ OrderItemAdded: {{ upsert: {{}} }} }}
"
    );
    let file = folder.join(format!("{table}.yaml"));
    std::fs::write(&file, text)?;
    Ok(file)
}

/// Runs a contestant until its table has all. What happens before the first rows are there is not counted, nor is the
/// time that counting takes the last look.
fn watch(
    name: &str,
    mut process: Process,
    (scylla, events): (&Server, u64),
    count: impl Fn() -> anyhow::Result<u64>,
) -> anyhow::Result<Run> {
    let mut look = || -> anyhow::Result<(Instant, u64, Used)> {
        process.still_runs()?;
        let at = Instant::now();
        Ok((at, count()?, process.used()?))
    };
    let first = until("the first rows arrive", || Ok(Some(look()?).filter(|(_, rows, _)| *rows > 0)))?;
    let (database, mut last) = (scylla.used()?, first);
    let all = until("all rows arrive", || {
        // A count reads the whole table: the more seldom, the larger it is.
        std::thread::sleep(Duration::from_micros(events * 5 / 4));
        let now = look()?;
        if now.1 < events {
            last = now;
        }
        Ok((now.1 >= events).then_some(now))
    })?;
    // Between two looks that both saw it at work; in a run too short for that, up to the end.
    let end = if last.1 > first.1 { last } else { all };
    let (records, took) = (end.1.saturating_sub(first.1), end.0 - first.0);
    ensure!(records > 0, "{events} events are too few: all of them came before the second look");
    let run = Run { records, took, cpu: end.2.cpu - first.2.cpu, peak: all.2.peak };
    report::show(name, &run);
    let server = (scylla.used()?.cpu - database.cpu).as_secs_f64() * 1e6 / (events - first.1) as f64;
    say(format_args!("{:22} CPU a row: database {server:.2} µs, counting included", ""));
    Ok(run)
}

async fn count(session: &Session, table: &str) -> anyhow::Result<u64> {
    let answer = session.query_unpaged(format!("SELECT count(*) FROM orders_ks.{table}"), &[]).await?;
    Ok(answer.into_rows_result()?.single_row::<(i64,)>()?.0.try_into()?)
}

/// Both tables hold the same rows, with the same write times.
async fn same(session: &Session, tables: &[String; 2]) -> anyhow::Result<()> {
    let mut found = Vec::new();
    for table in tables {
        let select = format!(
            "SELECT event_id, order_id, customer_id, city, total_cents, currency, number, WRITETIME(city) \
             FROM orders_ks.{table}"
        );
        let mut rows: Vec<Values> =
            session.query_iter(select, &[]).await?.rows_stream::<Values>()?.try_collect().await?;
        rows.sort_unstable();
        found.push(rows);
    }
    ensure!(found[0] == found[1], "not the same work: the tables differ");
    Ok(())
}

pub(crate) fn upserts(args: &Upserts) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let session = Arc::new(SessionBuilder::new().known_node(&args.cql).build().await?);
        let insert = format!(
            "INSERT INTO orders_ks.{} (event_id, order_id, customer_id, city, total_cents, currency, number) \
             VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?",
            args.table
        );
        let insert = Arc::new(session.prepare(insert).await?);
        let (sender, mut pages) = mpsc::channel(1);
        let reading = match args.from {
            Place::Log => tokio::spawn(bare::read(args.cql.clone(), sender)),
            Place::Table => tokio::spawn(scan::read(args.cql.clone(), sender)),
        };
        let mut writing = JoinSet::new();
        while let Some(page) = pages.recv().await {
            if writing.len() >= PAGES
                && let Some(written) = writing.join_next().await
            {
                written??;
            }
            writing.spawn(upsert(session.clone(), insert.clone(), (page, args.from)));
        }
        while let Some(written) = writing.join_next().await {
            written??;
        }
        reading.await??;
        std::future::pending().await
    })
}

async fn upsert(
    session: Arc<Session>,
    insert: Arc<PreparedStatement>,
    (page, from): (QueryRowsResult, Place),
) -> anyhow::Result<()> {
    let values = match from {
        Place::Log => values(page.rows::<Row<'_>>()?.map(|row| Ok(row?))),
        Place::Table => values(scan::rows(&page)?),
    }?;
    let writes = values.into_iter().map(|values| {
        let (session, insert) = (session.clone(), insert.clone());
        async move { session.execute_unpaged(&insert, values).await.map(drop).map_err(anyhow::Error::from) }
    });
    stream::iter(writes).buffer_unordered(AT_A_TIME).try_collect().await
}

type Values = (Uuid, Uuid, Uuid, String, i64, String, i64, i64);

fn values<'p>(rows: impl Iterator<Item = anyhow::Result<Row<'p>>>) -> anyhow::Result<Vec<Values>> {
    rows.map(|row| {
        let row = row?;
        let said: Said<'_> = serde_json::from_str(row.12)?;
        let (city, currency) = (said.shipping.city.to_owned(), said.currency.to_owned());
        let time = bare::micros(&row.1);
        Ok((row.4, row.7, said.customer_id, city, said.total_cents, currency, row.8, time))
    })
    .collect()
}

/// What is read out of a payload.
#[derive(serde::Deserialize)]
struct Said<'a> {
    customer_id: Uuid,
    total_cents: i64,
    #[serde(borrow)]
    currency: &'a str,
    #[serde(borrow)]
    shipping: Shipping<'a>,
}

#[derive(serde::Deserialize)]
struct Shipping<'a> {
    city: &'a str,
}
