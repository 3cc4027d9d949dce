//! What the visits after 1, 10 and 120 seconds cost: a backlog that is young enough to be visited, beside one that is not.
//!
//! Both are watched for the same time, until the last visit is over, so that what idleness costs is in both.

use std::time::{Duration, Instant};

use weir_scylla::reader::statement::KEY_COLUMNS;

use super::events::Outbox;
use super::outbox::{Tried, pipeline};
use super::process::{Process, until};
use super::report::{median, say};
use super::servers::Server;
use super::topic::Topic;

/// What late rows cost that never come: the visits to a backlog.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Events in the log, written as fast as it goes.
    #[arg(long, default_value_t = 400_000)]
    events: u64,
    /// How often each contestant runs; the last word is the median.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Seconds that each contestant is watched: the last visit comes two minutes after the last write.
    #[arg(long, default_value_t = 150)]
    seconds: u64,
    /// Ranges of the ring that the database has, each with a stream of the log.
    #[arg(long, default_value_t = 256)]
    vnodes: u16,
}

/// What one contestant spent, in seconds of CPU for a million events, which is also microseconds for one.
struct Watched {
    /// `weir run`, while the backlog was copied.
    copying: f64,
    /// `weir run`, in all.
    all: f64,
    database: f64,
    asked: Asked,
}

/// Partitions of the log that were looked for: visits ask for names, polling for more.
struct Asked {
    visits: u64,
    polling: u64,
}

impl Asked {
    fn of(scylla: &mut Server) -> anyhow::Result<Self> {
        let visits = scylla.partitions_read_by(&format!("SELECT {KEY_COLUMNS} FROM"))?;
        let polling = scylla.partitions_read_by(&format!("SELECT {KEY_COLUMNS}, "))?;
        Ok(Self { visits, polling })
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format_args!("{} events, {} vnodes, each watched for {} s", args.events, args.vnodes, args.seconds));
    let (mut old, mut young) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        old.push(watch(args, Server::aged_scylla(args.vnodes)?, Server::age)?);
        show("too old for visits", &old);
        young.push(watch(args, Server::scylla(args.vnodes)?, |_| Ok(()))?);
        show("visited", &young);
    }
    let of = |figure: fn(&Watched) -> f64| [&young, &old].map(|runs| median(runs.iter().map(figure)));
    let ([all, without], [database, less]) = (of(|run| run.all), of(|run| run.database));
    say(format_args!(
        "medians of {} rounds, by turns: visits take {:.2} CPU s per million, {:.1} % of {all:.2}; of the database {:.2}",
        args.rounds,
        all - without,
        100.0 * (all - without) / all,
        database - less,
    ));
    Ok(())
}

fn show(name: &str, runs: &[Watched]) {
    let Some(Watched { copying, all, database, asked }) = runs.last() else { return };
    say(format_args!(
        "{name:<18} CPU s per million: {copying:.2} while it is copied, {all:.2} in all; database {database:.2} in all; \
         partitions looked for by visits {}, by polling {}",
        asked.visits, asked.polling,
    ));
}

fn watch(
    args: &Args,
    mut scylla: Server,
    written: impl FnOnce(&mut Server) -> anyhow::Result<()>,
) -> anyhow::Result<Watched> {
    let (folder, runtime) = (tempfile::tempdir()?, tokio::runtime::Runtime::new()?);
    let broker = Server::own_broker()?;
    runtime.block_on(async { Outbox::lay(&scylla.address).await?.fill(args.events).await })?;
    written(&mut scylla)?;
    let topic = runtime.block_on(Topic::create(&broker.address, "visits"))?;
    let file = folder.path().join("visits.yaml");
    std::fs::write(&file, pipeline(&scylla, &broker, &topic.name, &Tried::default()))?;
    let (before, end) = (scylla.used()?.cpu, Instant::now() + Duration::from_secs(args.seconds));
    let mut weir = Process::weir(&file, &folder.path().join("data"))?;
    let micros = |cpu: Duration| cpu.as_secs_f64() * 1e6 / args.events as f64;
    until("all records arrive", || {
        weir.still_runs()?;
        Ok((topic.count()? >= args.events).then_some(()))
    })?;
    let copying = micros(weir.used()?.cpu);
    std::thread::sleep(end.saturating_duration_since(Instant::now()));
    let (all, database) = (micros(weir.used()?.cpu), micros(scylla.used()?.cpu.saturating_sub(before)));
    Ok(Watched { copying, all, database, asked: Asked::of(&mut scylla)? })
}
