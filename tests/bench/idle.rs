//! What a `weir run` costs that has nothing to do, and how soon after its start it has something to do.

use std::time::{Duration, Instant};

use super::events::Outbox;
use super::outbox::{Tried, pipeline};
use super::process::{Process, until};
use super::report::{median, say};
use super::servers::{Choice, Server};
use super::topic::Topic;

/// What a `weir run` costs that has nothing to do, and how soon it starts.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Seconds that an idle run is watched.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Seconds of idleness before: the source looks at its log less and less often, after a minute once a second.
    #[arg(long, default_value_t = 40)]
    settle: u64,
    /// How often the start is timed.
    #[arg(long, default_value_t = 5)]
    starts: u32,
    #[command(flatten)]
    broker: Choice,
}

/// Vnodes and shards of the database: the last are the streams of three nodes with 256 vnodes and 8 shards each, which is
/// 768 groups of streams.
const LAYOUTS: [(u16, u16); 3] = [(4, 1), (256, 1), (256, 24)];

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let broker = Server::broker(args.broker, &folder.path().join("kafka"))?;
    let mut runs = Vec::new();
    for (vnodes, shards) in LAYOUTS {
        let scylla = Server::sharded_scylla(vnodes, shards)?;
        let streams = u32::from(vnodes) * u32::from(shards);
        say(format_args!("{streams} streams: {} -> {}", scylla.kind, broker.kind));
        let outbox = runtime.block_on(Outbox::lay(&scylla.address))?;
        let name = format!("idle-{streams}");
        let topic = runtime.block_on(Topic::create(&broker.address, &name))?;
        runtime.block_on(outbox.fill(1))?;
        let file = folder.path().join(format!("{name}.yaml"));
        std::fs::write(&file, pipeline(&scylla, &broker, &name, &Tried::default()))?;
        // The first poll may read what was written before `confidence`.
        std::thread::sleep(Duration::from_millis(500));
        let (mut runs_after, mut arrives_after) = (Vec::new(), Vec::new());
        let mut weir = None;
        for start in 0..args.starts {
            drop(weir.take());
            let arrived = topic.count()?;
            let began = Instant::now();
            let process = Process::weir(&file, &folder.path().join(format!("{name}-{start}")))?;
            process.line("that the task runs", |line| line.contains("RUNNING").then_some(()))?;
            runs_after.push(began.elapsed().as_secs_f64() * 1000.0);
            until("the event arrives", || Ok((topic.count()? > arrived).then_some(())))?;
            arrives_after.push(began.elapsed().as_secs_f64() * 1000.0);
            weir = Some(process);
        }
        say(format_args!(
            "  start to polling: {:.0} ms; to the first record on the topic: {:.0} ms (medians of {})",
            median(runs_after),
            median(arrives_after),
            args.starts,
        ));
        runs.extend(weir.map(|weir| (streams, weir, scylla)));
    }
    std::thread::sleep(Duration::from_secs(args.settle));
    watch(&runs, args.seconds)
}

/// All runs at the same time: they have nothing to do.
fn watch(runs: &[(u32, Process, Server)], seconds: u64) -> anyhow::Result<()> {
    let used = || runs.iter().map(|(_, weir, _)| weir.used()).collect::<anyhow::Result<Vec<_>>>();
    let before = used()?;
    std::thread::sleep(Duration::from_secs(seconds));
    for (((streams, ..), before), after) in runs.iter().zip(before).zip(used()?) {
        let per_second = |count: f64| count / seconds as f64;
        say(format_args!(
            "idle, {streams:>4} streams: {:.2} % of a core, {} MiB ({} MiB peak), {:.0} wake-ups a second, over {seconds} s",
            per_second((after.cpu - before.cpu).as_secs_f64() * 100.0),
            after.resident / 1024,
            after.peak / 1024,
            per_second((after.waits - before.waits) as f64),
        ));
    }
    Ok(())
}
