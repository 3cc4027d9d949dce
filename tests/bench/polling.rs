//! The same events by CDC and by polling: what each asks of the database, idle and at a steady rate, and how late it is.
//!
//! The poller is the kindest there is: one publisher, which selects the whole outbox with one query a round, sends what
//! it finds, waits until all is acknowledged, and deletes it. Its outbox has no CDC. It finds late rows by itself.

use std::time::Duration;

use anyhow::ensure;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::statement::prepared::PreparedStatement;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use super::bare;
use super::events::{Outbox, now};
use super::latency::{Seen, consume};
use super::outbox::{Tried, pipeline};
use super::process::Process;
use super::report::{quantile, say};
use super::servers::{Choice, Server};
use super::topic::Topic;

/// The same events by CDC and by polling, at a steady rate.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Events a second.
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// Seconds that are measured, idle and under load.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Seconds of load before that.
    #[arg(long, default_value_t = 15)]
    warm_up: u64,
    /// Seconds of idleness before anything is measured: a source looks at its log less and less often.
    #[arg(long, default_value_t = 70)]
    settle: u64,
    /// Milliseconds from one round of the poller to the next, one contestant each.
    #[arg(long, default_values_t = [100, 1000])]
    every: Vec<u64>,
    /// Ranges of the ring that the database has, each with a stream of the log.
    #[arg(long, default_value_t = 256)]
    vnodes: u16,
    #[command(flatten)]
    broker: Choice,
}

/// Polls until it is ended.
#[derive(Debug, clap::Args)]
pub(crate) struct Poller {
    #[arg(long)]
    cql: String,
    #[arg(long)]
    brokers: String,
    #[arg(long)]
    topic: String,
    /// Milliseconds.
    #[arg(long)]
    every: u64,
}

const SELECT: &str = "SELECT aggregate_id, sequence_number, payload FROM orders_ks.outbox_messages";
const DELETE: &str = "DELETE FROM orders_ks.outbox_messages WHERE aggregate_id = ? AND sequence_number = ?";
const PAGE: i32 = 5_000;
const DELETES: usize = 64;

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format_args!(
        "{} events/s, {} vnodes; statements are those of the reader, the writes are taken off",
        args.rate, args.vnodes
    ));
    contest(args, None)?;
    args.every.iter().try_for_each(|every| contest(args, Some(*every)))
}

/// One contestant, on servers of its own: `weir run`, or a poller with so many milliseconds between its rounds.
fn contest(args: &Args, every: Option<u64>) -> anyhow::Result<()> {
    let (folder, runtime) = (tempfile::tempdir()?, tokio::runtime::Runtime::new()?);
    let mut scylla = Server::scylla(args.vnodes)?;
    let broker = Server::broker(args.broker, &folder.path().join("kafka"))?;
    let outbox = runtime.block_on(Outbox::lay(&scylla.address))?;
    let topic = runtime.block_on(Topic::create(&broker.address, "polling"))?;
    let reader = match every {
        None => start_weir(&scylla, &broker, folder.path())?,
        Some(every) => start_poller(&scylla, &broker, every)?,
    };
    std::thread::sleep(Duration::from_secs(args.settle));
    let span = Duration::from_secs(args.seconds);
    let idle = watch(&mut scylla, &reader, span)?;

    let warm_up = Duration::from_secs(args.warm_up);
    let from = now() + u64::try_from(warm_up.as_micros())?;
    let expected = u64::from(args.rate) * (args.warm_up + args.seconds);
    let consumer = std::thread::spawn(move || consume(&topic, from, expected));
    let rate = args.rate;
    let writer = runtime.spawn(async move { outbox.steadily(rate, warm_up + span).await });
    std::thread::sleep(warm_up);
    let busy = watch(&mut scylla, &reader, span)?;
    let written = runtime.block_on(writer)??;
    ensure!(written == expected, "{written} events were written instead of {expected}");
    let seen = consumer.join().map_err(|_| anyhow::anyhow!("the consumer panicked"))??;
    let name = every.map_or("CDC, weir run".to_owned(), |every| format!("polling every {every} ms"));
    tell(&name, &idle, &busy, (&seen, args));
    Ok(())
}

fn start_weir(scylla: &Server, broker: &Server, folder: &std::path::Path) -> anyhow::Result<Process> {
    let file = folder.join("polling.yaml");
    std::fs::write(&file, pipeline(scylla, broker, "polling", &Tried::default()))?;
    let weir = Process::weir(&file, &folder.join("data"))?;
    weir.line("that the task runs", |line| line.contains("RUNNING").then_some(()))?;
    Ok(weir)
}

fn start_poller(scylla: &Server, broker: &Server, every: u64) -> anyhow::Result<Process> {
    let (cql, brokers, every) = (&scylla.address, &broker.address, every.to_string());
    let poller = Process::own(&[
        "poller",
        "--cql",
        cql,
        "--brokers",
        brokers,
        "--topic",
        "polling",
        "--every",
        &every,
    ])?;
    poller.line("that it polls", |line| (line == "polls").then_some(()))?;
    Ok(poller)
}

/// What was asked and used in a stretch of time, a second.
struct Load {
    statements: f64,
    database: f64,
    reader: f64,
}

fn watch(scylla: &mut Server, reader: &Process, span: Duration) -> anyhow::Result<Load> {
    let mut look = || anyhow::Ok((scylla.statements()?, scylla.used()?.cpu, reader.used()?.cpu));
    let before = look()?;
    std::thread::sleep(span);
    let after = look()?;
    let per_second = |amount: f64| amount / span.as_secs_f64();
    Ok(Load {
        statements: per_second((after.0 - before.0) as f64),
        database: per_second((after.1 - before.1).as_secs_f64()),
        reader: per_second((after.2 - before.2).as_secs_f64()),
    })
}

fn tell(name: &str, idle: &Load, busy: &Load, (seen, args): (&Seen, &Args)) {
    let at = |share| quantile(&seen.latencies, share) as f64 / 1000.0;
    say(format_args!(
        "{name}: p50 {:.0} ms   p99 {:.0} ms   max {:.0} ms   {} repeats",
        at(0.5),
        at(0.99),
        at(1.0),
        seen.repeats
    ));
    for (when, load, writes) in [("idle", idle, 0.0), ("under load", busy, f64::from(args.rate))] {
        say(format_args!(
            "  {when:<10} {:>6.0} statements/s   database {:>5.2} % of a core   reader {:>5.2} %",
            load.statements - writes,
            load.database * 100.0,
            load.reader * 100.0,
        ));
    }
}

/// The other end of [`start_poller`]: polls in this process.
pub(crate) fn poll(args: &Poller) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let session = SessionBuilder::new().known_node(&args.cql).build().await?;
        let plain = "ALTER TABLE orders_ks.outbox_messages WITH cdc = {'enabled': false}";
        session.query_unpaged(plain, ()).await?;
        let mut select = session.prepare(SELECT).await?;
        select.set_page_size(PAGE);
        let delete = session.prepare(DELETE).await?;
        let producer = bare::producer(&args.brokers)?;
        let mut rounds = interval(Duration::from_millis(args.every));
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        say("polls");
        loop {
            rounds.tick().await;
            let sent = publish(&session, &select, (&producer, &args.topic)).await?;
            let deletes = stream::iter(sent).map(|key| session.execute_unpaged(&delete, key));
            deletes.buffer_unordered(DELETES).try_for_each(async |_| Ok(())).await?;
        }
    })
}

/// Sends all that the outbox holds; the keys of what was acknowledged.
async fn publish(
    session: &Session,
    select: &PreparedStatement,
    (producer, topic): (&ThreadedProducer<DefaultProducerContext>, &str),
) -> anyhow::Result<Vec<(Uuid, i64)>> {
    let rows = session.execute_iter(select.clone(), ()).await?.rows_stream::<(Uuid, i64, String)>()?;
    let rows: Vec<_> = rows.try_collect().await?;
    for (aggregate, _, payload) in &rows {
        let key = aggregate.hyphenated().to_string();
        let sent = producer.send(BaseRecord::to(topic).key(key.as_bytes()).payload(payload.as_bytes()));
        sent.map_err(|(error, _)| error)?;
    }
    producer.flush(Duration::from_secs(60))?;
    Ok(rows.into_iter().map(|(aggregate, number, _)| (aggregate, number)).collect())
}
