//! The middleware alone: every layer on, in front of a sink that takes everything, against that sink without it; and
//! with both in front of a real producer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use serde_json::json;
use weir_host::control::Control;
use weir_host::middleware::parking::Parking;
use weir_host::middleware::{self, rate_limit};
use weir_host::task::Settings;
use weir_redpanda::RedpandaSinkConnector;
use weir_sdk::metrics::Metrics;
use weir_sdk::{
    Context, Error, Record, Records, Sink, TaskId, Timestamp, WriteError, async_trait, connector,
};

use super::process;
use super::report::{self, Run, median, say};
use super::servers::{Choice, Server};
use super::topic::Topic;

/// What the middleware adds to each write, by the size of the writes, and what of the throughput it leaves.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Writes of each size, a run; a tenth of it for large ones.
    #[arg(long, default_value_t = 1_000_000)]
    writes: u64,
    /// Records of a run through a producer.
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// How often each contestant runs.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    #[command(flatten)]
    broker: Choice,
}

/// Takes everything, but not at once: no real sink answers in the same breath, and only who waits needs a timer.
struct Breath;

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let made = records();
    say("every layer on, a rate limit too; each record of another millisecond");
    for size in [1, 10, 100, 1000] {
        let records: Records = made[..size].to_vec().into();
        let writes = if size < 1000 { args.writes } else { args.writes / 10 };
        let (mut bare, mut stacked) = (Vec::new(), Vec::new());
        for _ in 0..args.rounds {
            let work = |sink| runtime.block_on(runtime.spawn(write(sink, records.clone(), writes)));
            bare.push(measure(writes, || work(Arc::new(Breath))?)?);
            stacked.push(measure(writes, || work(stack(Arc::new(Breath), Limit::Far))?)?);
        }
        let nanos = |runs: &[Run]| median(runs.iter().map(|run| run.cpu() * 1000.0));
        let added = nanos(&stacked) - nanos(&bare);
        say(format_args!(
            "writes of {size:>4}: {:>5.0} ns CPU a write without, {:>5.0} with; the middleware adds {added:>4.0} ns \
             a write, {:.1} ns a record",
            nanos(&bare),
            nanos(&stacked),
            added / size as f64,
        ));
    }
    through_a_producer(args, &runtime)
}

/// As many lanes and as large writes as a task has by default, to a topic, without and with the middleware by turns.
fn through_a_producer(args: &Args, runtime: &tokio::runtime::Runtime) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = Server::broker(args.broker, &folder.path().join("kafka"))?;
    let Settings { lanes, batch_records, .. } = Settings::default();
    say(format_args!("{lanes} lanes, writes of {batch_records} -> {}", broker.kind));
    let (made, each) = (records(), args.records / (lanes * batch_records) as u64);
    let copy = |number: usize| made.iter().cycle().skip(number).take(batch_records).cloned().collect();
    let shares: Vec<Records> = (0..lanes).map(copy).collect();
    let (mut bare, mut stacked) = (Vec::new(), Vec::new());
    for round in 0..args.rounds {
        for with in [false, true] {
            let topic = runtime.block_on(Topic::create(&broker.address, &format!("topic-{round}-{with}")))?;
            let sink = runtime.block_on(producer(&broker.address, &topic.name))?;
            let sink = if with { stack(sink, Limit::None) } else { sink };
            // What connecting costs is not counted.
            runtime.block_on(write(sink.clone(), shares[0].clone(), 1))?;
            let writes = each * lanes as u64;
            let run = measure(writes * batch_records as u64, || {
                runtime.block_on(async {
                    let lanes =
                        shares.iter().map(|share| tokio::spawn(write(sink.clone(), share.clone(), each)));
                    futures::future::try_join_all(lanes).await?.into_iter().collect()
                })
            })?;
            anyhow::ensure!(topic.count()? == run.records + batch_records as u64, "not every record arrived");
            report::show(if with { "with all middleware" } else { "without" }, &run);
            if with {
                stacked.push(run);
            } else {
                bare.push(run);
            }
            runtime.block_on(sink.close())?;
        }
    }
    let of = |figure: fn(&Run) -> f64| [&stacked, &bare].map(|runs| median(runs.iter().map(figure)));
    let ([with, without], [cpu, less]) = (of(Run::rate), of(Run::cpu));
    say(format_args!(
        "medians of {} rounds, by turns: throughput with / without = {:.2}   ({with:.0} / {without:.0} records/s), \
         {cpu:.2} / {less:.2} CPU s per million",
        args.rounds,
        with / without,
    ));
    Ok(())
}

async fn producer(brokers: &str, topic: &str) -> anyhow::Result<Arc<dyn Sink>> {
    let config = json!({ "brokers": brokers, "topic": topic });
    let context = Context::new(task(), Metrics::default());
    Ok(connector::sink(RedpandaSinkConnector).open(config, context).await?)
}

async fn write(sink: Arc<dyn Sink>, records: Records, writes: u64) -> anyhow::Result<()> {
    for _ in 0..writes {
        sink.write(records.clone()).await.map_err(|refused| anyhow!("{refused:?}"))?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Limit {
    None,
    /// There is one, and it is never reached.
    Far,
}

fn stack(sink: Arc<dyn Sink>, limit: Limit) -> Arc<dyn Sink> {
    let metrics = Metrics::default();
    let (pen, _) = Control::default().enter(task(), metrics.clone());
    let rate_limit = match limit {
        Limit::None => None,
        Limit::Far => Some(rate_limit::Settings { records: Some(1e12), bytes: Some(1e15) }),
    };
    let settings = middleware::Settings { rate_limit, ..middleware::Settings::default() };
    middleware::stack(sink, &settings, &metrics, Parking::new(pen))
}

fn task() -> TaskId {
    TaskId { pipeline: "figures".into(), sink: "middleware".into() }
}

fn measure(records: u64, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Run> {
    let me = std::process::id();
    let (began, before) = (Instant::now(), process::used(me)?);
    work()?;
    let (took, after) = (began.elapsed(), process::used(me)?);
    Ok(Run { records, took, cpu: after.cpu - before.cpu, peak: after.peak })
}

/// Events of an outbox that had one each millisecond.
fn records() -> Vec<Record> {
    let millis = |number: usize| i64::try_from(Duration::from_millis(number as u64).as_micros()).unwrap_or(0);
    let mut records = super::host::records();
    for (number, record) in records.iter_mut().enumerate() {
        record.timestamp = Timestamp(record.timestamp.0 + millis(number));
    }
    records
}

#[async_trait]
impl Sink for Breath {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
        std::hint::black_box(&records);
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn probe(&self) -> Result<(), Error> {
        Ok(())
    }
}
