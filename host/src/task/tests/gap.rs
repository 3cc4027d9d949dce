//! What a task does when what its checkpoint points at is gone, and when the operator accepts that.

use std::time::Duration;

use weir_sdk::connector::{self, SourceConnector};
use weir_sdk::metrics::names;
use weir_sdk::testing::{MemorySink, MemorySource, numbered};
use weir_sdk::{Checkpoint, Context, Error, ErrorKind, Partition, Source, async_trait};

use super::bench::Bench;
use crate::gap::Acceptance;
use crate::orders::Command;
use crate::state::State;

/// A log that holds less than the checkpoint asks for: begins with the oldest where a gap is accepted.
struct Expired {
    log: MemorySource,
    heeds: Heeds,
}

#[derive(PartialEq)]
enum Heeds {
    Acceptance,
    Nothing,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

#[async_trait]
impl SourceConnector for Expired {
    const NAME: &'static str = "expired";
    type Config = Nothing;

    async fn open(&self, _: Nothing, resume: Checkpoint, context: Context) -> Result<Box<dyn Source>, Error> {
        match self.log.open(resume) {
            Err(error)
                if error.kind() == ErrorKind::Gap
                    && context.accepts_gap()
                    && self.heeds == Heeds::Acceptance =>
            {
                self.log.open(Checkpoint::default())
            }
            opened => opened,
        }
    }
}

fn at(offset: &'static str) -> Checkpoint {
    [(Partition::from("p"), offset)].into_iter().collect()
}

/// Records 50 to 59, the first of which the log begins after; the checkpoint says 7.
async fn bench(heeds: Heeds, sink: &MemorySink) -> (Bench, MemorySource) {
    let log = MemorySource::of(numbered("p", 50..60, 1)).with_begin(at("50")).endless();
    let mut bench = Bench::new(&log, sink.factory("memory"));
    bench.spec.source = connector::source(Expired { log: log.clone(), heeds });
    let (store, task) = (bench.spec.checkpoints.clone(), bench.task.clone());
    store.save(&task, "expired:memory", &at("7")).await.unwrap();
    (bench, log)
}

#[tokio::test(start_paused = true)]
async fn without_a_word_of_the_operator_nothing_moves() {
    let sink = MemorySink::new();
    let (bench, log) = bench(Heeds::Acceptance, &sink).await;
    bench.start();
    let reason = bench.until(State::Gap).await;
    assert!(reason.contains("no step has the offset"), "{reason}");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    bench.order(Command::Restart).await;
    bench.until(State::Gap).await;
    assert_eq!((sink.len(), log.polls(), bench.saved().unwrap().checkpoint), (0, 0, at("7")));
}

#[tokio::test(start_paused = true)]
async fn an_accepted_gap_is_gone_over_once_and_told() {
    let sink = MemorySink::new();
    let (mut bench, log) = bench(Heeds::Acceptance, &sink).await;
    bench.spec.gap = Acceptance::given();
    // The far side is away when the gap is accepted: the word must outlast that.
    log.refuse_open(Error::new(ErrorKind::Gap, "the log no longer holds 3 hours"));
    log.refuse_open(Error::new(ErrorKind::Unavailable, "database away"));
    bench.start();
    let reason = bench.until(State::Running).await;
    assert_eq!(
        reason,
        "went on over a gap, which the operator accepted: open source expired: the log no longer holds 3 hours"
    );
    sink.until(|written| written.len() == 9).await;
    assert_eq!(bench.spec.metrics.counter(names::GAPS_ACCEPTED).get(), 1);
    // Another gap is another decision.
    let (store, task) = (bench.spec.checkpoints.clone(), bench.task.clone());
    store.save(&task, "expired:memory", &at("8")).await.unwrap();
    bench.order(Command::Restart).await;
    bench.until(State::Gap).await;
    assert_eq!(bench.spec.metrics.counter(names::GAPS_ACCEPTED).get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_cannot_go_on_stays_in_its_gap() {
    let sink = MemorySink::new();
    let (mut bench, _) = bench(Heeds::Nothing, &sink).await;
    bench.spec.gap = Acceptance::given();
    bench.start();
    bench.until(State::Gap).await;
    assert_eq!(sink.len(), 0);
}
