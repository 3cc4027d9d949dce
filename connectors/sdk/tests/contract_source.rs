//! The battery for sources passes an honest source and catches each kind of broken one.
#![allow(missing_docs)]

mod broken_source;

use broken_source::{Broken, How};
use serde_json::json;
use weir_sdk::testing::contract::{self, Disturbance, SourceFixture};
use weir_sdk::testing::{MemorySource, RecordExt, Step, factory, numbered};
use weir_sdk::{Checkpoint, Error, ErrorKind, Record, Source, async_trait};

/// Two partitions in memory, read by a source that keeps the contract or breaks it.
struct Memory {
    memory: MemorySource,
    sources: Broken,
    how: How,
    written: std::sync::Mutex<Vec<Record>>,
}

impl Memory {
    fn with(how: How) -> Self {
        let rich = |record: Record| record.header("event_type", "OrderCreated").micros(1_700_000_000_000_123);
        let a = numbered("a", 0..30, 3).into_iter().map(rich);
        // Keys of their own, so that order per key is order per partition.
        let b = numbered("b", 0..30, 3).into_iter().map(|mut record| {
            record.key = Some(format!("b-{}", record.text().len()).into());
            record.value = Some(format!("b{}", record.text()).into());
            rich(record)
        });
        let written: Vec<Record> = a.zip(b).flat_map(|(a, b)| [a, b]).collect();
        let memory = MemorySource::new(written.chunks(16).map(|step| Step::Records(step.to_vec()))).endless();
        Self { sources: Broken::over(memory.clone(), how), memory, how, written: written.into() }
    }
}

#[async_trait]
impl SourceFixture for Memory {
    async fn open(&self, resume: Checkpoint) -> Result<Box<dyn Source>, Error> {
        self.sources.open(resume)
    }

    async fn written(&self) -> Vec<Record> {
        self.written.lock().expect("no test panics while it holds this").clone()
    }

    async fn append(&self) -> bool {
        let more = numbered("a", 30..40, 3);
        self.memory.push(Step::Records(more.clone()));
        self.written.lock().expect("no test panics while it holds this").extend(more);
        true
    }

    async fn disturb(&self, how: Disturbance) -> bool {
        self.memory.down(Error::new(ErrorKind::Unavailable, "nobody is there"));
        how == Disturbance::Down
    }

    async fn restore(&self) {
        self.memory.up();
    }

    fn ages(&self) -> bool {
        matches!(self.how, How::Ages | How::NeverAges)
    }
}

#[tokio::test(start_paused = true)]
async fn an_honest_source_passes_every_check() {
    for how in [How::Honest, How::Ages] {
        let report = contract::source(&Memory::with(how)).await;
        assert_eq!((report.skipped, report.passed.len()), (vec![], 10), "{how:?}");
    }
}

/// A source that ends, over a far side that can do nothing.
struct Finite(MemorySource);

#[async_trait]
impl SourceFixture for Finite {
    async fn open(&self, resume: Checkpoint) -> Result<Box<dyn Source>, Error> {
        self.0.open(resume)
    }

    async fn written(&self) -> Vec<Record> {
        numbered("a", 0..50, 7)
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_ends_passes_and_what_it_cannot_do_is_skipped() {
    let report = contract::source(&Finite(MemorySource::of(numbered("a", 0..50, 7)))).await;
    assert_eq!((report.skipped.len(), report.passed.len()), (2, 8));
}

/// Runs the battery over a broken source and returns what it says.
async fn violations(how: How) -> String {
    let battery = tokio::spawn(async move { contract::source(&Memory::with(how)).await });
    let panic = match battery.await {
        Ok(report) => return format!("nothing was caught: {report:?}"),
        Err(panic) => panic.into_panic(),
    };
    *panic.downcast::<String>().expect("a message with violations")
}

#[tokio::test(start_paused = true)]
async fn each_broken_source_is_caught_by_the_rule_it_breaks() {
    let expected = [
        (How::LosesOne, "everything is read once and in order: 1 missing (k1=7)"),
        (How::AddsOne, "everything is read once and in order: 1 unexpected (k1=extra)"),
        (How::RepeatsOne, "everything is read once and in order: 1 repeated (k1=7)"),
        (How::Reverses, "everything is read once and in order: "),
        (How::LosesHeaders, "everything is read once and in order: k0=0 lacks"),
        (How::ZeroesTime, "everything is read once and in order: k0=0 has the time"),
        (How::IgnoresRecords, "a batch fits the room: a batch of 16 records"),
        (How::IgnoresBytes, "a batch fits the room: a batch of 16 records"),
        (How::SharesOrigins, "a record has one origin, over all reads: "),
        (How::ChangesOrigins, "a record has one origin, over all reads: "),
        (How::CoversNext, "a checkpoint covers nothing that was not emitted: after "),
        (How::SkipsOnResume, "a checkpoint covers nothing that was not emitted: after "),
        (How::NeverMoves, "reading gets on, however often it is killed: killed after each batch"),
        (How::ForgetsOnePartition, "a checkpoint covers nothing that was not emitted: after "),
        (How::ChangesStart, "start is stable: asked twice"),
        (How::ChangesIdentity, "start is stable: opened twice, `table"),
        (How::BeginsAnew, "start is stable: begins the partition"),
        (How::CommitHangs, "a commit runs beside a poll: commit: no answer"),
        (How::CommitFails, "a commit runs beside a poll: commit: not while polling"),
        (How::DropEats, "a dropped poll loses nothing and lets close: 1 missing"),
        (How::CloseHangs, "a dropped poll loses nothing and lets close: close: not done"),
        (How::CloseFails, "a dropped poll loses nothing and lets close: close: bug error"),
        (How::HidesDown, "a far side that is down is an error and then reading goes on: nobody is there"),
        (How::EndsWhenDown, "a far side that is down is an error and then reading goes on: ends because"),
        (How::PanicsIntoGap, "a far side that is down is an error and then reading goes on: poll: gap error"),
        (How::ErrorEats, "a far side that is down is an error and then reading goes on: 1 missing"),
        (
            How::ErrorStays,
            "a far side that is down is an error and then reading goes on: poll: nothing within",
        ),
        (How::IdleSilent, "an idle source says so every second, and covers nothing to come: silent for"),
        (How::IdleSpins, "an idle source says so every second, and covers nothing to come: 20 batches"),
        (
            How::IdleCoversAhead,
            "an idle source says so every second, and covers nothing to come: opened again",
        ),
        (How::NeverAges, "an idle source says so every second, and covers nothing to come: no batch moves"),
    ];
    for (how, rule) in expected {
        let said = violations(how).await;
        assert!(said.contains(&format!("\n  * {rule}")), "{how:?} should break {rule:?}, but: {said}");
    }
}

#[test]
fn a_factory_must_have_a_name_a_closed_schema_and_a_check() {
    let open = |resume| MemorySource::new([]).open(resume);
    contract::source_factory(&*factory::source("memory", open), &json!({}));
    let spaced = || contract::source_factory(&*factory::source("my memory", open), &json!({}));
    assert!(std::panic::catch_unwind(spaced).is_err());
}
