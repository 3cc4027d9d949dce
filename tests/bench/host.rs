//! The task loop alone: records from memory through all middleware to nowhere, against a bare loop over the same ends.

use std::sync::Arc;
use std::time::Instant;

use anyhow::ensure;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use weir_host::checkpoints::FileStore;
use weir_host::control::Control;
use weir_host::data_dir::DataDir;
use weir_host::gap::Acceptance;
use weir_host::stop::Stopper;
use weir_host::supervisor::{self, Outcome};
use weir_host::task::{Ended, Settings, Spec};
use weir_sdk::metrics::Metrics;
use weir_sdk::{
    Batch, Checkpoint, Context, Error, Origin, Partition, Record, Records, Room, Sink, SinkConnector, Source,
    SourceConnector, Start, TaskId, Timestamp, WriteError, async_trait, connector,
};

use super::process;
use super::report::{self, Run, median, say};

/// The task loop alone, from memory to nowhere.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Records a run.
    #[arg(long, default_value_t = 10_000_000)]
    records: u64,
    /// How often each contestant runs.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
}

/// Records that were made before; all of them of the same time, in 1000 keys.
#[derive(Clone)]
struct Memory {
    made: Arc<Vec<Record>>,
    left: u64,
    emitted: u64,
}

/// Takes everything at once.
struct Nowhere;

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let memory = Memory { made: Arc::new(records()), left: args.records, emitted: 0 };
    say(format_args!("{} records from memory to nowhere, batches of at most 4000", args.records));
    let (mut host, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        host.push(measure("task loop", args.records, || runtime.block_on(through_host(memory.clone())))?);
        bare.push(measure("bare loop", args.records, || runtime.block_on(bare_loop(memory.clone())))?);
    }
    let nanos = |runs: &[Run]| median(runs.iter().map(|run| 1e9 / run.rate()));
    let cpu = |runs: &[Run]| median(runs.iter().map(|run| run.cpu() * 1000.0));
    say(format_args!(
        "medians of {} rounds, by turns: task loop {:.0} ns a record ({:.0} ns CPU), bare loop {:.0} ns ({:.0} ns CPU); the host \
         adds {:.0} ns CPU a record",
        args.rounds,
        nanos(&host),
        cpu(&host),
        nanos(&bare),
        cpu(&bare),
        cpu(&host) - cpu(&bare),
    ));
    Ok(())
}

fn measure(name: &str, records: u64, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Run> {
    let me = std::process::id();
    let (began, before) = (Instant::now(), process::used(me)?);
    work()?;
    let (took, after) = (began.elapsed(), process::used(me)?);
    let run = Run { records, took, cpu: after.cpu - before.cpu, peak: after.peak };
    report::show(name, &run);
    Ok(run)
}

/// Poll, write, until the end.
async fn bare_loop(mut memory: Memory) -> anyhow::Result<()> {
    let room = Room { records: 4000, bytes: 4 << 20 };
    while let Some(batch) = memory.poll(room).await? {
        Nowhere.write(batch.records).await.map_err(|_| anyhow::anyhow!("a null sink refuses nothing"))?;
    }
    Ok(())
}

/// A task as `weir run` runs it, with its defaults, saving checkpoints to a real file.
async fn through_host(memory: Memory) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let data = DataDir::open(folder.path())?;
    let spec = Spec {
        id: TaskId { pipeline: "figures".into(), sink: "nowhere".into() },
        source: connector::source(memory),
        source_config: serde_json::json!({}),
        transforms: Vec::new(),
        sink: connector::sink(Nowhere),
        sink_config: serde_json::json!({}),
        dead_letter: None,
        checkpoints: Arc::new(FileStore::open(&data).await?),
        settings: Settings::default(),
        metrics: Metrics::default(),
        gap: Acceptance::default(),
    };
    let (_stopper, stop) = Stopper::new();
    let (pen, orders) = Control::default().enter(spec.id.clone(), spec.metrics.clone());
    let outcome = supervisor::supervise(spec, pen, stop, orders).await;
    ensure!(
        matches!(outcome, Outcome::Ended(Ended::Exhausted)),
        "the task did not end by itself: {outcome:?}"
    );
    Ok(())
}

/// As an outbox makes them: a key, 300 bytes, ten headers.
pub(crate) fn records() -> Vec<Record> {
    let (partition, value) = (Partition::from("log"), Bytes::from(vec![b'x'; 300]));
    let header =
        |number: u8| (format!("header_{number}").into(), Some("3d0c8a52-7c0e-4a67-9a0b-0c1f9c1b8b11"));
    let record = |number: u64| Record {
        key: Some(Bytes::from(format!("5d3c0a52-7c0e-4a67-9a0b-{:012}", number % 1000))),
        value: Some(value.clone()),
        headers: (0..10).map(header).collect(),
        timestamp: Timestamp(1_700_000_000_000_000),
        origin: Origin { partition: partition.clone(), offset: number.to_string().into() },
    };
    (0..4000).map(record).collect()
}

#[async_trait]
impl Source for Memory {
    fn start(&self) -> Start {
        Start { identity: "memory".into(), checkpoint: Checkpoint::default() }
    }

    async fn poll(&mut self, room: Room) -> Result<Option<Batch>, Error> {
        // Nothing here waits, and other tasks must have their turn.
        tokio::task::coop::consume_budget().await;
        let most = room.records.min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let batch: Vec<Record> = self.made.iter().take(most).cloned().collect();
        if batch.is_empty() {
            return Ok(None);
        }
        self.left -= batch.len() as u64;
        self.emitted += batch.len() as u64;
        let checkpoint = [(Partition::from("log"), self.emitted.to_string())].into_iter().collect();
        Ok(Some(Batch { records: batch.into(), checkpoint }))
    }
}

#[async_trait]
impl SourceConnector for Memory {
    const NAME: &'static str = "memory";
    type Config = Nothing;

    async fn open(&self, _: Nothing, _: Checkpoint, _: Context) -> Result<Box<dyn Source>, Error> {
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl Sink for Nowhere {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
        std::hint::black_box(&records);
        Ok(())
    }

    async fn probe(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[async_trait]
impl SinkConnector for Nowhere {
    const NAME: &'static str = "nowhere";
    type Config = Nothing;

    async fn open(&self, _: Nothing, _: Context) -> Result<Arc<dyn Sink>, Error> {
        Ok(Arc::new(Self))
    }
}
