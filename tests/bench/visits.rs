//! What the visits after 1, 10 and 120 seconds cost: a backlog that is young enough to be visited, beside one that is not.
//!
//! Both are watched for the same time, until the last visit is over, so that what idleness costs is in both.

use std::time::{Duration, Instant};

use weir_scylla::reader::statement::KEY_COLUMNS;

use super::events::Outbox;
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

/// CPU time up to some moment, of `weir run` and of the database.
#[derive(Clone, Copy)]
struct Spent {
    weir: Duration,
    database: Duration,
}

/// What one contestant spent while the backlog was copied, and in all.
struct Watched {
    copying: Spent,
    all: Spent,
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
    let old = watch(args, Server::aged_scylla(args.vnodes)?, Server::age)?;
    let young = watch(args, Server::scylla(args.vnodes)?, |_| Ok(()))?;
    let micros = |cpu: Duration| cpu.as_secs_f64() * 1e6 / args.events as f64;
    for (name, Watched { copying, all, asked }) in [("too old for visits", &old), ("visited", &young)] {
        say(format_args!(
            "{name:<18} CPU s per million: {:.2} while it is copied, {:.2} in all; database {:.2} in all; \
             partitions looked for by visits {}, by polling {}",
            micros(copying.weir),
            micros(all.weir),
            micros(all.database),
            asked.visits,
            asked.polling,
        ));
    }
    let visits = young.all.weir.saturating_sub(old.all.weir);
    say(format_args!(
        "visits: {:.2} CPU s per million, {:.1} % of it all; database {:.2}",
        micros(visits),
        100.0 * visits.as_secs_f64() / young.all.weir.as_secs_f64(),
        micros(young.all.database.saturating_sub(old.all.database)),
    ));
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
    let (before, end) = (scylla.used()?.cpu, Instant::now() + Duration::from_secs(args.seconds));
    let mut weir = Process::weir(&file, &folder.path().join("data"))?;
    let spent = |weir: &Process| {
        anyhow::Ok(Spent { weir: weir.used()?.cpu, database: scylla.used()?.cpu.saturating_sub(before) })
    };
    until("all records arrive", || {
        weir.still_runs()?;
        Ok((topic.count()? >= args.events).then_some(()))
    })?;
    let copying = spent(&weir)?;
    std::thread::sleep(end.saturating_duration_since(Instant::now()));
    let all = spent(&weir)?;
    Ok(Watched { copying, all, asked: Asked::of(&mut scylla)? })
}
