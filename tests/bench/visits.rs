//! What the visits after 1, 10 and 120 seconds cost: a backlog that is young enough to be visited, beside one that is not.
//!
//! Both are watched for the same time, until the last visit is over, so that what idleness costs is in both.

use std::time::{Duration, Instant};

use super::events::Outbox;
use super::fanout::Asked;
use super::outbox::{Tried, pipeline};
use super::process::{Process, until};
use super::report::say;
use super::servers::Server;
use super::topic::Topic;

/// What late rows cost that never come: the visits to a backlog.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Events in the log, written as fast as it goes.
    #[arg(long, default_value_t = 400_000)]
    events: u64,
    /// Seconds that each contestant is watched: the last visit comes two minutes after the last write.
    #[arg(long, default_value_t = 150)]
    seconds: u64,
    /// Ranges of the ring that the database has, each with a stream of the log.
    #[arg(long, default_value_t = 256)]
    vnodes: u16,
}

/// What one contestant came to.
struct Watched {
    /// CPU microseconds a record.
    cpu: f64,
    asked: Asked,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format_args!("{} events, {} vnodes, each watched for {} s", args.events, args.vnodes, args.seconds));
    let old = watch(args, Server::aged_scylla(args.vnodes)?, Server::age)?;
    say(format_args!("too old for visits: {:.2} CPU s per million   {}", old.cpu, old.asked));
    let young = watch(args, Server::scylla(args.vnodes)?, |_| Ok(()))?;
    say(format_args!("visited:            {:.2} CPU s per million   {}", young.cpu, young.asked));
    let visits = young.asked.since(&old.asked);
    say(format_args!("visits: {:.1} % of the CPU; {visits}", 100.0 * (young.cpu - old.cpu) / young.cpu));
    Ok(())
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
    let (before, end) = (Asked::of(&mut scylla)?, Instant::now() + Duration::from_secs(args.seconds));
    let mut weir = Process::weir(&file, &folder.path().join("data"))?;
    until("all records arrive", || {
        weir.still_runs()?;
        Ok((topic.count()? >= args.events).then_some(()))
    })?;
    std::thread::sleep(end.saturating_duration_since(Instant::now()));
    let cpu = weir.used()?.cpu.as_secs_f64() * 1e6 / args.events as f64;
    Ok(Watched { cpu, asked: Asked::of(&mut scylla)?.since(&before) })
}
