//! The battery for sinks passes an honest sink and catches each kind of broken one.
#![allow(missing_docs)]

mod broken_sink;

use std::sync::Arc;
use std::time::Duration;

use broken_sink::{Broken, How};
use serde_json::json;
use weir_sdk::testing::contract::{self, Disturbance, SinkFixture};
use weir_sdk::testing::{Effect, Fault, FaultySink, MemorySink, factory};
use weir_sdk::{Error, ErrorKind, Order, Record, Sink, Timestamp, async_trait};

/// A far side in memory, a faulty network to it, and a sink that keeps the contract or breaks it.
struct Memory {
    far_side: MemorySink,
    network: FaultySink,
    how: How,
    sinks: Broken,
}

impl Memory {
    fn with(how: How) -> Self {
        let far_side = MemorySink::new();
        let network = FaultySink::new(far_side.clone(), []);
        let sinks = Broken::over(network.clone(), how);
        Self { far_side, network, how, sinks }
    }
}

#[async_trait]
impl SinkFixture for Memory {
    async fn open(&self) -> Result<Arc<dyn Sink>, Error> {
        Ok(Arc::new(self.sinks.open()))
    }

    async fn arrived(&self) -> Vec<Record> {
        self.far_side.records()
    }

    fn poison(&self, record: Record) -> Option<Record> {
        let mut record = record;
        record.headers.push("poison", "");
        Some(record)
    }

    async fn disturb(&self, how: Disturbance) -> bool {
        match how {
            Disturbance::Down => self.network.down(Error::new(ErrorKind::Unavailable, "nobody is there")),
            Disturbance::Silent => self.network.push(Fault::Hang(Effect::Late)),
            Disturbance::Flaky => self.network.shake(7, 2),
        }
        true
    }

    async fn restore(&self) {
        self.network.up();
    }

    async fn connections(&self) -> Option<usize> {
        Some(self.sinks.connections())
    }

    fn stored(&self, record: &Record) -> Option<Record> {
        let mut record = record.clone();
        if let How::Millis = self.how {
            record.timestamp = Timestamp(record.timestamp.as_millis() * 1000);
        }
        Some(record)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(8)
    }
}

#[tokio::test(start_paused = true)]
async fn an_honest_sink_passes_every_check() {
    for how in [How::Honest, How::Millis, How::LaterReported] {
        let report = contract::sink(&Memory::with(how)).await;
        assert_eq!((report.skipped, report.passed.len()), (vec![], 16), "{how:?}");
    }
}

/// The far side keeps the last state of each key, and the sink says so.
struct Table(Memory);

#[async_trait]
impl SinkFixture for Table {
    async fn open(&self) -> Result<Arc<dyn Sink>, Error> {
        self.0.open().await
    }

    async fn arrived(&self) -> Vec<Record> {
        let mut last: Vec<Record> = Vec::new();
        for record in self.0.far_side.records() {
            last.retain(|other| record.key.is_none() || other.key != record.key);
            last.push(record);
        }
        last
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_of_last_states_passes_and_what_it_cannot_do_is_skipped() {
    let memory = Memory::with(How::Honest);
    let far_side = memory.far_side.clone().with_order(Order::Converges);
    let report = contract::sink(&Table(memory)).await;
    assert_eq!((report.skipped.len(), report.passed.len()), (4, 12));
    assert!(far_side.len() > 1000);
}

/// Runs the battery over a broken sink and returns what it says.
async fn violations(how: How) -> String {
    let battery = tokio::spawn(async move { contract::sink(&Memory::with(how)).await });
    let panic = match battery.await {
        Ok(report) => return format!("nothing was caught: {report:?}"),
        Err(panic) => panic.into_panic(),
    };
    *panic.downcast::<String>().expect("a message with violations")
}

#[tokio::test(start_paused = true)]
async fn each_broken_sink_is_caught_by_the_rule_it_breaks() {
    let expected = [
        (How::LosesHeaders, "content arrives as it was sent: content/kind1="),
        (How::EmptiesTombstones, "content arrives as it was sent: content/kind5="),
        (How::LosesKeys, "content arrives as it was sent"),
        (How::ZeroesTime, "content arrives as it was sent: content/kind0="),
        (How::RefusesEmpty, "a write without records is fine: write: nothing to write"),
        (How::ReversesCalls, "order per key is kept inside a call: "),
        (How::SwapsCalls, "order per key is kept over calls: "),
        (How::OneWriteOnly, "lanes write side by side: "),
        (How::RefusesRepeats, "repeats are tolerated: "),
        (How::DropsRepeatsTail, "repeats are tolerated: "),
        (How::HoldsBack, "ok means durable: "),
        (How::Unsorted, "a record's own fault concerns nobody else: `Some` must be sorted"),
        (
            How::Doubled,
            "a record's own fault concerns nobody else: `Some` must be sorted and without repeats",
        ),
        (How::NoneFailed, "a record's own fault concerns nobody else: `Some` must not be empty"),
        (How::OutOfRange, "a record's own fault concerns nobody else: `Some` names record"),
        (How::BuriesAll, "a record's own fault concerns nobody else: `All` must not be a record's own fault"),
        (How::SwallowsPoison, "a record's own fault concerns nobody else: 2 records have a fault, 0 were"),
        (How::BuriesKey, "a record's own fault concerns nobody else: poison/k"),
        (How::HidesLater, "a flaky far side loses and reorders nothing: "),
        (How::HidesFailures, "a flaky far side loses and reorders nothing: "),
        (How::OkWhenDown, "a far side that is down is an error and then recovers: write: ok while"),
        (How::ProbeAlwaysOk, "a far side that is down is an error and then recovers: probe: ok while"),
        (How::BlamesRecords, "a far side that is down is an error and then recovers: write: blames"),
        (How::StaysBroken, "a far side that is down is an error and then recovers: the far side is back"),
        (How::Overtakes, "a dropped write acts before later ones or never: "),
        (How::RefusesAfterDrop, "a dropped write can be repeated: "),
        (How::SilentOk, "silence does not overtake: write: ok without an answer"),
        (How::CloseHangs, "close after a dropped write gives everything back: close: not done"),
        (How::CloseFails, "close after a dropped write gives everything back: close: "),
        (
            How::KeepsConnection,
            "close after a dropped write gives everything back: closed, but still connected",
        ),
        (How::WritesAfterClose, "close after a dropped write gives everything back: "),
    ];
    for (how, rule) in expected {
        let said = violations(how).await;
        assert!(said.contains(&format!("\n  * {rule}")), "{how:?} should break {rule:?}, but: {said}");
    }
}

#[test]
fn a_factory_must_have_a_name_a_closed_schema_and_a_check() {
    let open = || -> Result<Arc<dyn Sink>, Error> { Ok(Arc::new(MemorySink::new())) };
    contract::sink_factory(&*factory::sink("memory-2", open), &json!({}));
    for (name, good) in [("Memory", json!({})), ("memory", json!({"a": 1}))] {
        let check = || contract::sink_factory(&*factory::sink(name, open), &good);
        assert!(std::panic::catch_unwind(check).is_err(), "{name} {good}");
    }
}
