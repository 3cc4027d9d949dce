//! One read, many sinks: what one sink and several cost the database, each counted by the server itself.
//!
//! Every sink is a topic, so that all statements are those of the reader, but for the writes of the load.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::events::Outbox;
use super::outbox::{Tried, source, to_topic};
use super::process::{Process, until};
use super::report::say;
use super::servers::{Choice, Server};
use super::topic::Topic;

/// What several sinks of one pipeline cost the database, beside one.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Events in the log, for a start.
    #[arg(long, default_value_t = 400_000)]
    events: u64,
    /// How many sinks, one contestant each.
    #[arg(long, default_values_t = [1, 4])]
    sinks: Vec<usize>,
    /// Events a second after that.
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// For so many seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Ranges of the ring that the database has, each with a stream of the log.
    #[arg(long, default_value_t = 256)]
    vnodes: u16,
    #[command(flatten)]
    broker: Choice,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format_args!("{} events, then {} events/s; {} vnodes", args.events, args.rate, args.vnodes));
    args.sinks.iter().try_for_each(|sinks| contest(args, *sinks))
}

/// One contestant, on servers of its own.
fn contest(args: &Args, sinks: usize) -> anyhow::Result<()> {
    let (folder, runtime) = (tempfile::tempdir()?, tokio::runtime::Runtime::new()?);
    let mut scylla = Server::aged_scylla(args.vnodes)?;
    let broker = Server::broker(args.broker, &folder.path().join("kafka"))?;
    let outbox = runtime.block_on(Outbox::lay(&scylla.address))?;
    runtime.block_on(outbox.fill(args.events))?;
    scylla.age()?;
    let names = (0..sinks).map(|number| format!("topic-{number}"));
    let topics = names.map(|name| runtime.block_on(Topic::create(&broker.address, &name)));
    let topics = topics.collect::<anyhow::Result<Vec<_>>>()?;

    let before = Asked::of(&mut scylla)?;
    let began = Instant::now();
    let mut weir = start(&scylla, &broker, &topics, folder.path())?;
    arrived(&mut weir, &topics, args.events)?;
    let (took, used) = (began.elapsed().as_secs_f64(), weir.used()?);
    let backlog = Asked::of(&mut scylla)?.since(&before);
    let records = args.events as f64 * sinks as f64;
    say(format_args!(
        "{sinks} sinks, backlog: {:>9.0} records/s in all   {:.2} CPU s per million   {} MiB peak   {backlog}",
        records / took,
        used.cpu.as_secs_f64() * 1e6 / records,
        used.peak / 1024,
    ));

    let (before, span) = (Asked::of(&mut scylla)?, Duration::from_secs(args.seconds));
    let written = runtime.block_on(outbox.steadily(args.rate, span))?;
    arrived(&mut weir, &topics, args.events + written)?;
    let asked = Asked::of(&mut scylla)?.since(&before);
    let reads = Asked { statements: asked.statements - written, ..asked };
    let cpu = (weir.used()?.cpu - used.cpu).as_secs_f64() / span.as_secs_f64();
    say(format_args!("{sinks} sinks, steady:  weir {:.1} % of a core   {reads}", cpu * 100.0));
    for topic in &topics {
        // The load writes the first rows of the backlog once more.
        let contents = topic.contents()?;
        let each_once = contents.distinct == args.events && contents.repeats == written;
        ensure!(each_once, "not each event once in {}: {contents:?}", topic.name);
    }
    Ok(())
}

fn start(scylla: &Server, broker: &Server, topics: &[Topic], folder: &Path) -> anyhow::Result<Process> {
    let tried = Tried::default();
    let sinks: String = topics.iter().map(|topic| to_topic(broker, &topic.name, &tried)).collect();
    let file = folder.join("fanout.yaml");
    std::fs::write(&file, source(scylla, &tried) + &sinks)?;
    Process::weir(&file, &folder.join("data"))
}

/// Waits until every topic has so many records.
fn arrived(weir: &mut Process, topics: &[Topic], records: u64) -> anyhow::Result<()> {
    topics.iter().try_for_each(|topic| {
        until("all records arrive", || {
            weir.still_runs()?;
            Ok((topic.count()? >= records).then_some(()))
        })
    })
}

/// What the database was asked for, counted by itself.
#[derive(Clone, Copy, Debug)]
struct Asked {
    statements: u64,
    partitions: u64,
    /// CPU milliseconds of the database.
    millis: u128,
}

impl Asked {
    /// So far.
    fn of(scylla: &mut Server) -> anyhow::Result<Self> {
        Ok(Self {
            statements: scylla.statements()?,
            partitions: scylla.partitions_read()?,
            millis: scylla.used()?.cpu.as_millis(),
        })
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            statements: self.statements.saturating_sub(before.statements),
            partitions: self.partitions.saturating_sub(before.partitions),
            millis: self.millis.saturating_sub(before.millis),
        }
    }
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { statements, partitions, millis } = self;
        write!(f, "{statements} statements, {partitions} partitions, {millis} ms of the database")
    }
}
