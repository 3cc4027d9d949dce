//! A backlog of the outbox on its way to a topic: `weir run` against the bare loop, by turns.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::bare::Place;
use super::events::Outbox;
use super::process::{Process, until};
use super::report::{self, Run, median, say};
use super::servers::{Choice, Server};
use super::topic::Topic;

/// A backlog of the outbox to a topic, by `weir run` and by a bare loop.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Events in the log.
    #[arg(long, default_value_t = 400_000)]
    events: u64,
    /// How often each contestant runs.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Ranges of the ring that the database has, each with a stream of the log.
    #[arg(long, default_value_t = 256)]
    vnodes: u16,
    /// Seconds after the last record before memory is looked at once more.
    #[arg(long, default_value_t = 10)]
    rest: u64,
    /// Where both read: the log, or the table itself as a snapshot.
    #[arg(long, value_enum, default_value_t)]
    from: Place,
    #[command(flatten)]
    tried: Tried,
    #[command(flatten)]
    broker: Choice,
}

/// What is tried out instead of the defaults.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Tried {
    /// A line of the sink in the pipeline file, such as `lanes: 8`.
    #[arg(long = "sink", value_name = "LINE")]
    sink: Vec<String>,
    /// A setting in the sink's own block, such as `linger: 0ms`.
    #[arg(long = "config", value_name = "SETTING")]
    config: Vec<String>,
    /// A setting in the source's own block, such as `confidence: 500ms`.
    #[arg(long = "source", value_name = "SETTING")]
    source: Vec<String>,
}

/// The servers, the backlog between them, and where files go.
struct Field {
    scylla: Server,
    broker: Server,
    events: u64,
    rest: Duration,
    from: Place,
    tried: Tried,
    folder: PathBuf,
}

/// One run, and what the servers spent meanwhile, in CPU microseconds a record.
struct Watched {
    run: Run,
    servers: [f64; 2],
    /// From the start of the process to its first record on the topic.
    start: f64,
}

#[derive(Clone, Copy)]
enum Contestant {
    Weir,
    Bare,
    /// Only the half of the loop that produces.
    Produce,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let mut field = Field {
        scylla: Server::aged_scylla(args.vnodes)?,
        broker: Server::broker(args.broker, &folder.path().join("kafka"))?,
        events: args.events,
        rest: Duration::from_secs(args.rest),
        from: args.from,
        tried: args.tried.clone(),
        folder: folder.path().to_owned(),
    };
    say(format_args!(
        "{} events, {} vnodes: {} -> {}",
        args.events, args.vnodes, field.scylla.kind, field.broker.kind
    ));
    let began = Instant::now();
    runtime.block_on(async { Outbox::lay(&field.scylla.address).await?.fill(args.events).await })?;
    say(format_args!("written in {:.1} s", began.elapsed().as_secs_f64()));
    field.scylla.age()?;
    if args.from == Place::Table {
        field.tried.source.push("snapshot: initial".to_owned());
    }

    let (mut weir, mut bare) = (Vec::new(), Vec::new());
    for round in 0..args.rounds {
        let last = round + 1 == args.rounds;
        let (of_weir, of_bare) = (format!("weir-{round}"), format!("bare-{round}"));
        let by_weir = runtime.block_on(Topic::create(&field.broker.address, &of_weir))?;
        weir.push(field.watch("weir run", Contestant::Weir, &by_weir)?);
        let by_bare = runtime.block_on(Topic::create(&field.broker.address, &of_bare))?;
        bare.push(field.watch("bare loop", Contestant::Bare, &by_bare)?);
        if last {
            same(&by_weir, &by_bare, args)?;
        }
    }
    field.read()?;
    let topic = runtime.block_on(Topic::create(&field.broker.address, "produce"))?;
    field.watch("bare, produce only", Contestant::Produce, &topic)?;
    sum_up(&weir, &bare);
    Ok(())
}

impl Field {
    /// Runs a contestant until all has arrived. What happens before the first records do is not counted.
    fn watch(&self, name: &str, contestant: Contestant, topic: &Topic) -> anyhow::Result<Watched> {
        let began = Instant::now();
        let mut process = self.start(contestant, topic)?;
        let arrived = |process: &mut Process| process.still_runs().and_then(|()| topic.count());
        let first =
            until(
                "the first records arrive",
                || Ok(Some(arrived(&mut process)?).filter(|count| *count > 0)),
            )?;
        let (at, start) = (Instant::now(), began.elapsed().as_secs_f64());
        let (used, servers) = (process.used()?, [self.scylla.used()?, self.broker.used()?]);
        until("all records arrive", || Ok((arrived(&mut process)? >= self.events).then_some(())))?;
        let took = at.elapsed();
        let records = self.events - first;
        let (end, ends) = (process.used()?, [self.scylla.used()?, self.broker.used()?]);
        let run = Run { records, took, cpu: end.cpu - used.cpu, peak: end.peak };
        let servers = [0, 1].map(|at| (ends[at].cpu - servers[at].cpu).as_secs_f64() * 1e6 / records as f64);
        report::show(name, &run);
        say(format_args!(
            "{:22} CPU a record: database {:.2} µs, broker {:.2} µs; first record {start:.2} s after the start",
            "", servers[0], servers[1],
        ));
        if let Contestant::Weir = contestant {
            std::thread::sleep(self.rest);
            let (rest, kept) = (self.rest, process.used()?.resident / 1024);
            say(format_args!("{:22} {kept} MiB {rest:?} after the last record", ""));
        }
        Ok(Watched { run, servers, start })
    }

    fn start(&self, contestant: Contestant, topic: &Topic) -> anyhow::Result<Process> {
        match contestant {
            Contestant::Weir => {
                let file = self.folder.join(format!("{}.yaml", topic.name));
                std::fs::write(&file, pipeline(&self.scylla, &self.broker, &topic.name, &self.tried))?;
                Process::weir(&file, &self.folder.join(&topic.name))
            }
            Contestant::Bare => self.bare("copy", &topic.name),
            Contestant::Produce => self.bare("produce", &topic.name),
        }
    }

    fn bare(&self, part: &str, topic: &str) -> anyhow::Result<Process> {
        let (cql, brokers, records) = (&self.scylla.address, &self.broker.address, self.events.to_string());
        let from = if self.from == Place::Table { "table" } else { "log" };
        let places = ["--from", from, "--cql", cql, "--brokers", brokers];
        let named = [&places[..], &["--topic", topic, "--records", &records]].concat();
        let process = Process::own(&[&["bare", part], &named[..]].concat())?;
        process.line("that it began", |line| (line == "began").then_some(()))?;
        Ok(process)
    }

    /// Reads the log without producing anything.
    fn read(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        let (database, process) = (self.scylla.used()?, self.bare("read", "none")?);
        let records: u64 = process.line("how many rows it read", |line| line.parse().ok())?;
        ensure!(records == self.events, "{records} rows in the log instead of {}", self.events);
        let (took, used) = (began.elapsed(), process.used()?);
        report::show("bare, read only", &Run { records, took, cpu: used.cpu, peak: used.peak });
        let database = (self.scylla.used()?.cpu - database.cpu).as_secs_f64() * 1e6 / records as f64;
        say(format_args!("{:22} CPU a record: database {database:.2} µs", ""));
        Ok(())
    }
}

/// A pipeline of defaults, but for what is tried out.
pub(crate) fn pipeline(scylla: &Server, broker: &Server, topic: &str, tried: &Tried) -> String {
    source(scylla, tried) + &to_topic(broker, topic, tried)
}

/// The beginning of a pipeline file; its sinks follow.
pub(crate) fn source(scylla: &Server, tried: &Tried) -> String {
    let source: String = tried.source.iter().map(|setting| format!(", {setting}")).collect();
    format!(
        "name: figures
source:
  connector: scylla-outbox
  config: {{ session: {{ contact_points: ['{}'] }}, keyspace: orders_ks, table: outbox_messages{source} }}
sinks:
",
        scylla.address,
    )
}

/// A sink of a pipeline file, named as its topic.
pub(crate) fn to_topic(broker: &Server, topic: &str, tried: &Tried) -> String {
    let sink: String = tried.sink.iter().map(|line| format!("    {line}\n")).collect();
    let config: String = tried.config.iter().map(|setting| format!(", {setting}")).collect();
    format!(
        "  - name: {topic}
    connector: redpanda
    config: {{ brokers: '{}', topic: {topic}{config} }}
{sink}",
        broker.address,
    )
}

/// Both topics, read by a consumer, hold each event once, and as many bytes. Records of a snapshot say so in a header.
fn same(weir: &Topic, bare: &Topic, args: &Args) -> anyhow::Result<()> {
    let (weir, bare, events) = (weir.contents()?, bare.contents()?, args.events);
    let same =
        args.from == Place::Table || (weir.headers, weir.header_bytes) == (bare.headers, bare.header_bytes);
    ensure!(
        same && weir.bytes == bare.bytes,
        "not the same work: weir wrote {weir:?}, the bare loop {bare:?}"
    );
    ensure!(weir.distinct == events && weir.repeats == 0, "not each event once: {weir:?}");
    say(format_args!(
        "a consumer read both topics: {events} different events in each, no repeats; {} bytes and {} headers a record",
        weir.bytes / events,
        weir.headers / events,
    ));
    Ok(())
}

fn sum_up(weir: &[Watched], bare: &[Watched]) {
    type Figure = fn(&Watched) -> f64;
    let of = |figure: Figure| [weir, bare].map(|runs| median(runs.iter().map(figure)));
    let [weir_rate, bare_rate] = of(|watched| watched.run.rate());
    let [weir_cpu, bare_cpu] = of(|watched| watched.run.cpu());
    let [servers, _] = of(|watched| watched.servers.iter().sum());
    let [weir_peak, bare_peak] = of(|watched| watched.run.peak as f64 / 1024.0);
    let [weir_start, bare_start] = of(|watched| watched.start);
    say(format_args!("medians of {} rounds, by turns", weir.len()));
    say(format_args!(
        "  throughput   weir / bare = {:.2}   ({weir_rate:.0} / {bare_rate:.0} records/s)",
        weir_rate / bare_rate,
    ));
    say(format_args!(
        "  CPU          bare / weir = {:.2}   ({bare_cpu:.2} / {weir_cpu:.2} s per million records; both servers \
         {servers:.2})",
        bare_cpu / weir_cpu,
    ));
    say(format_args!("  peak memory  weir {weir_peak:.0} MiB, bare {bare_peak:.0} MiB"));
    say(format_args!("  first record weir {weir_start:.2} s, bare {bare_start:.2} s after the start"));
}
