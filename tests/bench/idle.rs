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

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let broker = Server::broker(args.broker, &folder.path().join("kafka"))?;
    let mut runs = Vec::new();
    for vnodes in [4, 256] {
        let scylla = Server::scylla(vnodes)?;
        say(format_args!("{vnodes} vnodes: {} -> {}", scylla.kind, broker.kind));
        let outbox = runtime.block_on(Outbox::lay(&scylla.address))?;
        let name = format!("idle-{vnodes}");
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
        runs.extend(weir.map(|weir| (vnodes, weir, scylla)));
    }
    std::thread::sleep(Duration::from_secs(args.settle));
    watch(&runs, args.seconds)
}

/// Both runs at the same time: they have nothing to do.
fn watch(runs: &[(u16, Process, Server)], seconds: u64) -> anyhow::Result<()> {
    let used = || runs.iter().map(|(_, weir, _)| weir.used()).collect::<anyhow::Result<Vec<_>>>();
    let before = used()?;
    std::thread::sleep(Duration::from_secs(seconds));
    for (((vnodes, ..), before), after) in runs.iter().zip(before).zip(used()?) {
        let per_second = |count: f64| count / seconds as f64;
        say(format_args!(
            "idle, {vnodes:>3} vnodes: {:.2} % of a core, {} MiB ({} MiB peak), {:.0} wake-ups a second, over {seconds} s",
            per_second((after.cpu - before.cpu).as_secs_f64() * 100.0),
            after.resident / 1024,
            after.peak / 1024,
            per_second((after.waits - before.waits) as f64),
        ));
    }
    Ok(())
}
