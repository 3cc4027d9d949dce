//! Four consumers of one outbox at a steady rate: a topic and three tables, and how late an event is in each.
//!
//! The topic is read by librdkafka's consumer, every record. Of the tables, some events are looked for every few
//! milliseconds from when they are written until they are there; at the end all rows are counted.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::statement::prepared::PreparedStatement;
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

use super::events::{Outbox, now};
use super::latency::consume;
use super::outbox::{Tried, source, to_topic};
use super::process::Process;
use super::report::{quantile, say};
use super::servers::{Choice, Server};
use super::topic::Topic;

/// A topic and three tables at a steady rate, and how late an event is in each.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Events a second.
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 40)]
    seconds: u64,
    /// Seconds before that; after 12 of them the visits 1 s and 10 s after a write are under way.
    #[arg(long, default_value_t = 15)]
    warm_up: u64,
    /// Ranges of the ring that the database has, each with a stream of the log.
    #[arg(long, default_value_t = 256)]
    vnodes: u16,
    #[command(flatten)]
    broker: Choice,
}

const TABLES: [&str; 3] = ["orders_by_number", "orders_by_city", "orders_by_total"];
/// Events looked for a second, in each table.
const LOOKED_FOR: u32 = 10;
/// From one look to the next.
const EVERY: Duration = Duration::from_millis(5);
/// How long an event is looked for.
const PATIENCE: u64 = 60_000_000;

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let (folder, runtime) = (tempfile::tempdir()?, tokio::runtime::Runtime::new()?);
    let mut scylla = Server::scylla(args.vnodes)?;
    let broker = Server::broker(args.broker, &folder.path().join("kafka"))?;
    say(format_args!(
        "{} events/s for {} s, {} vnodes: {} -> {} and {} tables",
        args.rate,
        args.seconds,
        args.vnodes,
        scylla.kind,
        broker.kind,
        TABLES.len()
    ));
    let outbox = runtime.block_on(Outbox::lay(&scylla.address))?;
    let tables = runtime.block_on(Tables::create(&scylla.address))?;
    let topic = runtime.block_on(Topic::create(&broker.address, "publisher"))?;
    let weir = start(&scylla, &broker, folder.path())?;

    let (warm_up, measured) = (Duration::from_secs(args.warm_up), Duration::from_secs(args.seconds));
    let from = now() + u64::try_from(warm_up.as_micros())?;
    let expected = u64::from(args.rate) * (args.warm_up + args.seconds);
    let consumer = std::thread::spawn(move || consume(&topic, from, expected));
    let watcher = runtime.spawn(tables.clone().watch(outbox.clone(), args.rate, expected));
    let rate = args.rate;
    let writer = runtime.spawn(async move { outbox.steadily(rate, warm_up + measured).await });
    std::thread::sleep(warm_up);
    let (before, asked) = (weir.used()?, scylla.statements()?);
    std::thread::sleep(measured);
    let (after, asked) = (weir.used()?, scylla.statements()? - asked);
    let events = runtime.block_on(writer)??;
    ensure!(events == expected, "{events} events were written instead of {expected}");
    let seen = consumer.join().ok().context("the consumer panicked")??;
    show("topic", seen.latencies);
    for (table, looked) in TABLES.iter().zip(runtime.block_on(watcher)??) {
        show(
            table,
            looked.into_iter().filter(|(written, _)| *written >= from).map(|(_, late)| late).collect(),
        );
        let rows = runtime.block_on(tables.count(table))?;
        ensure!(rows == events, "{table} has {rows} rows instead of {events}");
    }
    let share = (after.cpu - before.cpu).as_secs_f64() * 100.0 / measured.as_secs_f64();
    say(format_args!(
        "{events} events are in each, {} repeats in the topic; weir: {share:.1} % of a core, {} MiB peak; {:.0} statements/s \
         in all",
        seen.repeats,
        after.peak / 1024,
        asked as f64 / measured.as_secs_f64(),
    ));
    Ok(())
}

fn show(name: &str, mut latencies: Vec<u64>) {
    latencies.sort_unstable();
    let at = |share| quantile(&latencies, share) as f64 / 1000.0;
    say(format_args!(
        "{name:<17} p50 {:.0} ms   p90 {:.0} ms   p99 {:.0} ms   max {:.0} ms   of {} events",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0),
        latencies.len()
    ));
}

fn start(scylla: &Server, broker: &Server, folder: &Path) -> anyhow::Result<Process> {
    let tried = Tried::default();
    let projections = TABLES.map(|table| {
        format!(
            "  - name: {table}
    connector: scylla-projection
    config:
      session: {{ contact_points: ['{}'] }}
      keyspace: orders_ks
      table: {table}
      columns:
        order_id: '{{aggregate_id}}'
        number: '{{sequence_number}}'
        written_us: $.written_us
        city: $.shipping.city
        total_cents: $.total_cents
      events: {{ OrderItemAdded: {{ upsert: {{}} }} }}
",
            scylla.address
        )
    });
    let file = folder.join("consumers.yaml");
    let text = source(scylla, &tried) + &to_topic(broker, "publisher", &tried) + &projections.concat();
    std::fs::write(&file, text)?;
    let weir = Process::weir(&file, &folder.join("data"))?;
    for _ in 0..=TABLES.len() {
        weir.line("that a task runs", |line| line.contains("RUNNING").then_some(()))?;
    }
    Ok(weir)
}

/// The tables, looked into by a client of its own.
#[derive(Clone)]
struct Tables {
    session: Arc<Session>,
    look: Vec<PreparedStatement>,
}

/// When an event was written, and how late it was found, both in microseconds.
type Looked = (u64, u64);

impl Tables {
    async fn create(address: &str) -> anyhow::Result<Self> {
        let session = Arc::new(SessionBuilder::new().known_node(address).build().await?);
        let mut look = Vec::new();
        for table in TABLES {
            let create = format!(
                "CREATE TABLE orders_ks.{table} (order_id uuid, number bigint, written_us bigint, city text, \
                 total_cents bigint, PRIMARY KEY (order_id, number))"
            );
            session.query_unpaged(create, ()).await?;
            let select =
                format!("SELECT written_us FROM orders_ks.{table} WHERE order_id = ? AND number = ?");
            look.push(session.prepare(select).await?);
        }
        Ok(Self { session, look })
    }

    /// Looks for some of so many events, in all tables; what was found in each of them.
    async fn watch(self, outbox: Outbox, rate: u32, events: u64) -> anyhow::Result<Vec<Vec<Looked>>> {
        let (began, mut looks) = (tokio::time::Instant::now(), JoinSet::new());
        for number in (0..events).step_by((rate / LOOKED_FOR).max(1) as usize) {
            tokio::time::sleep_until(began + Duration::from_secs(1) * u32::try_from(number)? / rate).await;
            for (table, look) in self.look.iter().enumerate() {
                let (session, look, key) = (self.session.clone(), look.clone(), outbox.key(number)?);
                looks.spawn(async move { anyhow::Ok((table, find(&session, &look, key).await?)) });
            }
        }
        let mut found = vec![Vec::new(); self.look.len()];
        while let Some(look) = looks.join_next().await {
            let (table, looked) = look??;
            found[table].push(looked);
        }
        Ok(found)
    }

    async fn count(&self, table: &str) -> anyhow::Result<u64> {
        let answer =
            self.session.query_unpaged(format!("SELECT count(*) FROM orders_ks.{table}"), ()).await?;
        Ok(answer.into_rows_result()?.single_row::<(i64,)>()?.0.try_into()?)
    }
}

async fn find(session: &Session, look: &PreparedStatement, key: (Uuid, i64)) -> anyhow::Result<Looked> {
    let end = now() + PATIENCE;
    while now() < end {
        let answer = session.execute_unpaged(look, key).await?.into_rows_result()?;
        if let Some((written,)) = answer.maybe_first_row::<(i64,)>()? {
            let written = u64::try_from(written)?;
            return Ok((written, now().saturating_sub(written)));
        }
        sleep(EVERY).await;
    }
    anyhow::bail!("an event is not in its table after a minute")
}
