//! From a write to a consumer: events at a steady rate, each with the time of its write, read from the topic by
//! librdkafka's consumer.
//!
//! The time is taken before the write is sent, so the database's own time counts too. The confidence window of the
//! source is a part of the latency by design; so are, on average, half of its poll interval and half of its linger.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rdkafka::message::Message as _;

use super::events::{Outbox, now, written};
use super::outbox::{Tried, pipeline};
use super::process::Process;
use super::report::{quantile, say};
use super::servers::{Choice, Server};
use super::topic::Topic;

/// From a write to a consumer, at a steady rate.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Events a second.
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// Seconds that are measured. With 180 the last visits, two minutes after a write, are under way too.
    #[arg(long, default_value_t = 50)]
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

/// What the consumer saw.
pub(crate) struct Seen {
    /// Microseconds from write to arrival, sorted, of the events written in the time that counts.
    pub(crate) latencies: Vec<u64>,
    pub(crate) repeats: u64,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let scylla = Server::scylla(args.vnodes)?;
    let broker = Server::broker(args.broker, &folder.path().join("kafka"))?;
    say(format_args!(
        "{} events/s for {} s, {} vnodes: {} -> {}",
        args.rate, args.seconds, args.vnodes, scylla.kind, broker.kind
    ));
    let outbox = runtime.block_on(Outbox::lay(&scylla.address))?;
    let topic = runtime.block_on(Topic::create(&broker.address, "latency"))?;
    let file = folder.path().join("latency.yaml");
    std::fs::write(&file, pipeline(&scylla, &broker, &topic.name, &Tried::default()))?;
    let weir = Process::weir(&file, &folder.path().join("data"))?;
    weir.line("that the task runs", |line| line.contains("RUNNING").then_some(()))?;

    let (warm_up, measured) = (Duration::from_secs(args.warm_up), Duration::from_secs(args.seconds));
    let from = now() + u64::try_from(warm_up.as_micros())?;
    let expected = u64::from(args.rate) * (args.warm_up + args.seconds);
    let consumer = std::thread::spawn(move || consume(&topic, from, expected));
    let writer = {
        let outbox = outbox.clone();
        let (rate, time) = (args.rate, warm_up + measured);
        runtime.spawn(async move { outbox.steadily(rate, time).await })
    };
    std::thread::sleep(warm_up);
    let before = weir.used()?;
    std::thread::sleep(measured);
    let after = weir.used()?;
    let events = runtime.block_on(writer)??;
    ensure!(events == expected, "{events} events were written instead of {expected}");
    let seen = consumer.join().ok().context("the consumer panicked")??;

    let at = |share| quantile(&seen.latencies, share) as f64 / 1000.0;
    say(format_args!(
        "write -> consumer: p50 {:.0} ms   p90 {:.0} ms   p99 {:.0} ms   p99.9 {:.0} ms   max {:.0} ms",
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        at(1.0),
    ));
    let cpu = (after.cpu - before.cpu).as_secs_f64();
    say(format_args!(
        "{events} events written, each arrived, {} repeats, {} measured; weir: {:.1} % of a core, {:.1} CPU s per \
         million, {} MiB peak",
        seen.repeats,
        seen.latencies.len(),
        cpu * 100.0 / measured.as_secs_f64(),
        cpu * 1e6 / (f64::from(args.rate) * measured.as_secs_f64()),
        after.peak / 1024,
    ));
    Ok(())
}

/// Reads until as many different events have arrived as there will be.
pub(crate) fn consume(topic: &Topic, from: u64, expected: u64) -> anyhow::Result<Seen> {
    let (mut seen, mut ids) = (Seen { latencies: Vec::new(), repeats: 0 }, HashSet::new());
    let mut strange = 0;
    topic.read(|message| {
        let arrived = now();
        let payload = message.payload().unwrap_or_default();
        match written(payload) {
            Some(_) if !ids.insert(payload.to_vec()) => seen.repeats += 1,
            Some(written) if written >= from => seen.latencies.push(arrived.saturating_sub(written)),
            Some(_) => {}
            None => strange += 1,
        }
        ids.len() as u64 >= expected
    })?;
    ensure!(strange == 0, "{strange} records without a time");
    seen.latencies.sort_unstable();
    Ok(seen)
}
