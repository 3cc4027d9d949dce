//! What a task does with records that no retry can help.

use std::sync::Arc;
use std::time::Duration;

use weir_sdk::dead_letter::Stage;
use weir_sdk::metrics::names;
use weir_sdk::testing::{
    Fault, FaultySink, MemorySink, MemorySource, RecordExt, Trace, factory, numbered, record,
};
use weir_sdk::{
    Batch, DeadLetter, Error, ErrorKind, Failed, Record, Records, Refused, Room, Sink, SinkFactory, Source,
    Start, TaskId, Transform, WriteError, async_trait,
};

use super::bench::{Bench, settings};
use crate::middleware::retry::OnExhausted;
use crate::state::State;
use crate::supervisor::Outcome;
use crate::task::Ended;
use crate::task::dead_letters::{Limit, OnRecordError, Place};
use crate::task::transforms::Step;

/// Refuses every record whose value begins with `bad`, and keeps the others.
#[derive(Clone)]
struct Picky(MemorySink);

#[async_trait]
impl Sink for Picky {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
        let bad = |record: &Record| record.value.as_ref().is_some_and(|value| value.starts_with(b"bad"));
        let (refused, taken): (Vec<usize>, Vec<usize>) =
            (0..records.len()).partition(|at| bad(&records[*at]));
        self.0.write(records.pick(taken)).await?;
        let error = Error::new(ErrorKind::Record, "larger than the topic takes");
        let failed = |index| Failed { index, error: error.clone() };
        match refused.is_empty() {
            true => Ok(()),
            false => Err(WriteError::Some(refused.into_iter().map(failed).collect())),
        }
    }

    async fn probe(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn picky(sink: &MemorySink) -> Arc<dyn SinkFactory> {
    let sink = Picky(sink.clone());
    factory::sink("picky", move || Ok(Arc::new(sink.clone())))
}

/// A tenth of the records is bad, spread over keys.
fn with_poison(records: usize) -> Vec<Record> {
    let mut records = numbered("p", 0..records, 7);
    for (at, record) in records.iter_mut().enumerate() {
        if at % 10 == 3 {
            record.value = Some(format!("bad {at}").into());
        }
    }
    records
}

fn is_bad(record: &&Record) -> bool {
    record.text().starts_with("bad")
}

fn place(sink: Arc<dyn SinkFactory>) -> Place {
    Place {
        sink,
        config: serde_json::json!({}),
        middleware: settings().middleware,
        limit: Limit { failures: 100, window: Duration::from_secs(60) },
        on_record_error: OnRecordError::DeadLetter,
    }
}

fn bench(source: &MemorySource, sink: Arc<dyn SinkFactory>, graves: Arc<dyn SinkFactory>) -> Bench {
    let mut bench = Bench::new(source, sink);
    bench.spec.dead_letter = Some(place(graves));
    bench
}

fn letters(graves: &MemorySink) -> Vec<DeadLetter> {
    graves.records().into_iter().map(|record| DeadLetter::from_record(record).unwrap()).collect()
}

fn count(bench: &Bench) -> u64 {
    bench.spec.metrics.counter(names::DLQ_MESSAGES).get()
}

#[tokio::test(start_paused = true)]
async fn poison_is_kept_with_its_reason_and_the_others_flow_in_order() {
    let records = with_poison(200);
    let (source, sink, graves) = (MemorySource::of(records.clone()), MemorySink::new(), MemorySink::new());
    let bench = bench(&source, picky(&sink), graves.factory("graves"));
    let ended = bench.start().await.unwrap();
    assert!(matches!(ended, Outcome::Ended(Ended::Exhausted)), "{ended:?}");
    let good: Vec<Record> = records.iter().filter(|record| !is_bad(record)).cloned().collect();
    assert_eq!(Trace::by_origin(&good, &sink.records()), Trace::default());
    let kept: Vec<Record> = letters(&graves).into_iter().map(|letter| letter.record).collect();
    let bad: Vec<Record> = records.iter().filter(is_bad).cloned().collect();
    assert_eq!(Trace::by_origin(&bad, &kept), Trace::default());
    assert!(kept.iter().all(|kept| records.contains(kept)), "as the source gave them");
    assert_eq!((count(&bench), source.opened_at().len()), (20, 1));
    let letter = letters(&graves).remove(0).facts;
    let task = TaskId { pipeline: "orders".into(), sink: "memory".into() };
    assert_eq!((letter.task, letter.stage, letter.refused_by.as_str()), (task, Stage::Sink, "picky"));
    assert_eq!((letter.kind, letter.message.as_str()), (ErrorKind::Record, "larger than the topic takes"));
    assert_eq!((letter.attempts, letter.replays), (1, 0));
    assert_eq!(bench.saved().unwrap().checkpoint.get(&"p".into()).unwrap().as_bytes(), "199");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_poison_stops_the_task_and_skips_nothing() {
    let mut records = numbered("p", 0..500, 7);
    records.iter_mut().for_each(|record| record.value = Some("bad".into()));
    let (source, sink, graves) = (MemorySource::of(records), MemorySink::new(), MemorySink::new());
    let bench = bench(&source, picky(&sink), graves.factory("graves"));
    bench.start();
    let reason = bench.until(State::Failed).await;
    let told = "more than 100 records failed within 60s, the last with: larger than the topic takes; ";
    assert!(reason.starts_with(told), "{reason}");
    assert!(reason.contains("raise `dead_letter.limit`"), "{reason}");
    let saved = bench.saved().map_or(0, |saved| {
        let offset = saved.checkpoint.get(&"p".into()).unwrap().as_bytes().clone();
        String::from_utf8(offset.to_vec()).unwrap().parse::<usize>().unwrap() + 1
    });
    assert!(saved <= graves.len() && graves.len() <= 100, "{saved} covered, {} kept", graves.len());
}

#[tokio::test(start_paused = true)]
async fn while_the_dead_letter_sink_is_down_the_task_waits_and_then_goes_on() {
    let records = with_poison(200);
    let (source, sink, graves) = (MemorySource::of(records.clone()), MemorySink::new(), MemorySink::new());
    let faulty = FaultySink::new(graves.clone(), []);
    faulty.down(Error::new(ErrorKind::Unavailable, "broker 127.0.0.1:9093 is unreachable"));
    let bench = bench(&source, picky(&sink), faulty.factory("graves"));
    let running = bench.start();
    let reason = bench.until(State::Parked).await;
    assert!(reason.starts_with("dead-letter sink graves: broker 127.0.0.1:9093 is unreachable"), "{reason}");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!((bench.shown().0, graves.len(), count(&bench)), (State::Parked, 0, 0));
    let covered = bench.saved().and_then(|saved| saved.checkpoint.get(&"p".into()).cloned());
    assert!(covered.is_none_or(|offset| ["0", "1", "2"].iter().any(|before| offset.as_bytes() == before)));
    faulty.up();
    running.await.unwrap();
    assert_eq!((graves.len(), sink.len(), source.opened_at().len()), (20, 180, 1));
}

#[tokio::test(start_paused = true)]
async fn what_the_dead_letter_sink_refuses_for_good_ends_the_task() {
    let source = MemorySource::of([record("a", "bad").at("p", "0"), record("a", "1").at("p", "1")]);
    let (sink, graves) = (MemorySink::new(), MemorySink::new());
    let faulty = FaultySink::new(graves.clone(), [Fault::refuse(ErrorKind::Record)]);
    let bench = bench(&source, picky(&sink), faulty.factory("graves"));
    let running = bench.start();
    let reason = bench.until(State::Failed).await;
    assert!(reason.starts_with("dead-letter sink graves: a record error by the script"), "{reason}");
    assert!(reason.contains("the dead letter itself was refused"), "{reason}");
    assert!(bench.saved().is_none());
    running.await.unwrap();
    assert_eq!(
        (graves.len(), source.opened_at().len()),
        (1, 2),
        "it goes on by itself once the place takes it"
    );
}

/// Refuses values that begin with `bad`, and makes two of each other one, shouting.
struct Shout;

impl Transform for Shout {
    fn apply(&self, mut record: Record, out: &mut Vec<Record>) -> Result<(), Error> {
        let text = record.text();
        if text.starts_with("bad") {
            out.push(record);
            return Err(Error::new(ErrorKind::Record, "no JSON").advice("repair the producer"));
        }
        record.value = Some(text.to_uppercase().into());
        out.extend([record.clone(), record]);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_refused_by_a_transform_is_a_dead_letter_of_each_sink() {
    let records =
        [record("a", "ok").at("p", "0"), record("a", "bad").at("p", "1"), record("a", "go").at("p", "2")];
    let graves = MemorySink::new();
    for sink_name in ["topic", "table"] {
        let (source, sink) = (MemorySource::of(records.clone()), MemorySink::new());
        let mut bench = bench(&source, sink.factory("memory"), graves.factory("graves"));
        bench.spec.id.sink = sink_name.to_owned();
        bench.task = bench.spec.id.clone();
        bench.spec.transforms = vec![Step { name: "shout".into(), transform: Arc::new(Shout) }];
        bench.start().await.unwrap();
        let values: Vec<String> = sink.records().iter().map(RecordExt::text).collect();
        assert_eq!(values, ["OK", "OK", "GO", "GO"]);
        assert_eq!(bench.saved().unwrap().checkpoint.get(&"p".into()).unwrap().as_bytes(), "2");
    }
    let kept = letters(&graves);
    let told: Vec<_> = kept.iter().map(|letter| letter.facts.task.sink.as_str()).collect();
    assert_eq!(told, ["topic", "table"]);
    assert_ne!(kept[0].facts.id, kept[1].facts.id);
    for DeadLetter { record, facts } in kept {
        assert_eq!(record, records[1]);
        assert_eq!((facts.stage, facts.refused_by.as_str()), (Stage::Transform, "shout"));
        assert_eq!((facts.message.as_str(), facts.advice.as_str()), ("no JSON", "repair the producer"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_sink_refuses_is_kept_as_it_was_before_the_transforms() {
    let records = [record("a", "Bad").at("p", "0"), record("a", "fine").at("p", "1")];
    let (source, sink, graves) = (MemorySource::of(records.clone()), MemorySink::new(), MemorySink::new());
    let mut bench = bench(&source, picky(&sink), graves.factory("graves"));
    bench.spec.transforms = vec![Step { name: "whisper".into(), transform: Arc::new(Whisper) }];
    bench.start().await.unwrap();
    let kept = letters(&graves);
    assert_eq!((kept.len(), &kept[0].record), (1, &records[0]), "once, although two were made of it");
    assert_eq!(sink.records().iter().map(RecordExt::text).collect::<Vec<_>>(), ["fine", "fine"]);
}

/// Makes two small-lettered records of each.
struct Whisper;

impl Transform for Whisper {
    fn apply(&self, mut record: Record, out: &mut Vec<Record>) -> Result<(), Error> {
        record.value = Some(record.text().to_lowercase().into());
        record.origin.offset = "elsewhere".into();
        out.extend([record.clone(), record]);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_that_run_out_are_a_reason_only_where_it_is_asked_for() {
    for (on_exhausted, on_record_error) in [
        (OnExhausted::DeadLetter, OnRecordError::DeadLetter),
        (OnExhausted::DeadLetter, OnRecordError::Stop),
        (OnExhausted::Stop, OnRecordError::DeadLetter),
    ] {
        let source = MemorySource::of([record("a", "1").at("p", "1")]);
        let (sink, graves) = (MemorySink::new(), MemorySink::new());
        let faulty = FaultySink::new(sink.clone(), (0..3).map(|_| Fault::refuse(ErrorKind::Transient)));
        let mut bench = bench(&source, faulty.factory("memory"), graves.factory("graves"));
        bench.spec.settings.middleware.retry.attempts = 3;
        bench.spec.settings.middleware.retry.on_exhausted = on_exhausted;
        bench.spec.dead_letter.as_mut().unwrap().on_record_error = on_record_error;
        bench.start().await.unwrap();
        let kept = letters(&graves);
        if on_exhausted == OnExhausted::Stop {
            assert_eq!((kept.len(), sink.len(), source.opened_at().len()), (0, 1, 2));
            continue;
        }
        assert_eq!((kept.len(), sink.len(), source.opened_at().len()), (1, 0, 1), "{on_record_error:?}");
        assert_eq!((kept[0].facts.kind, kept[0].facts.attempts), (ErrorKind::Transient, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_may_ask_to_stop_instead() {
    let source = MemorySource::of([record("a", "bad").at("p", "1")]);
    let (sink, graves) = (MemorySink::new(), MemorySink::new());
    let mut bench = bench(&source, picky(&sink), graves.factory("graves"));
    bench.spec.dead_letter.as_mut().unwrap().on_record_error = OnRecordError::Stop;
    bench.start();
    let reason = bench.until(State::Failed).await;
    assert!(reason.starts_with("record b\"1\" of partition p: larger than the topic takes"), "{reason}");
    assert!(graves.is_empty() && bench.saved().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_repeat_after_a_restart_has_the_same_id() {
    let records = with_poison(60);
    let (sink, graves) = (MemorySink::new(), MemorySink::new());
    let source = MemorySource::of(records.clone());
    let mut first = bench(&source, picky(&sink), graves.factory("graves"));
    first.spec.settings.lanes = 1;
    first.start().await.unwrap();
    // The same task begins anew without its checkpoint: as after a kill before the save.
    let mut again = bench(&source, picky(&sink), graves.factory("graves"));
    again.spec.settings.lanes = 1;
    again.start().await.unwrap();
    let ids: Vec<_> = letters(&graves).iter().map(|letter| letter.facts.id).collect();
    assert_eq!(ids.len(), 12);
    assert_eq!(ids[..6], ids[6..]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_between_loses_neither_letters_nor_records() {
    let records = with_poison(300);
    let (source, sink, graves) = (MemorySource::of(records.clone()), MemorySink::new(), MemorySink::new());
    let faults = [Fault::None, Fault::Panic, Fault::None, Fault::None, Fault::Panic];
    let faulty = FaultySink::new(graves.clone(), faults);
    let bench = bench(&source, picky(&sink), faulty.factory("graves"));
    bench.start().await.unwrap();
    assert!(source.opened_at().len() > 1 && faulty.remaining() == 0);
    let good: Vec<Record> = records.iter().filter(|record| !is_bad(record)).cloned().collect();
    Trace::by_origin(&good, &sink.records()).assert_complete();
    let kept: Vec<Record> = letters(&graves).into_iter().map(|letter| letter.record).collect();
    let bad: Vec<Record> = records.iter().filter(is_bad).cloned().collect();
    Trace::by_origin(&bad, &kept).assert_complete();
}

/// A source that cannot read values that begin with `bad`.
struct Garbled {
    inner: Box<dyn Source>,
    refused: Vec<Refused>,
}

#[async_trait]
impl Source for Garbled {
    fn start(&self) -> Start {
        self.inner.start()
    }

    async fn poll(&mut self, room: Room) -> Result<Option<Batch>, Error> {
        let Some(batch) = self.inner.poll(room).await? else { return Ok(None) };
        let (bad, good) = batch.records.into_vec().into_iter().partition(|record| is_bad(&record));
        let bad: Vec<Record> = bad;
        let error = Error::new(ErrorKind::Record, "cut off in the middle");
        self.refused = bad.into_iter().map(|record| Refused { record, error: error.clone() }).collect();
        Ok(Some(Batch { records: Vec::into(good), checkpoint: batch.checkpoint }))
    }

    fn refused(&mut self) -> Vec<Refused> {
        std::mem::take(&mut self.refused)
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_source_cannot_read_is_a_dead_letter_and_ends_the_task_where_there_are_none() {
    let records = with_poison(50);
    let memory = MemorySource::of(records.clone());
    let opened = memory.clone();
    let garbled = factory::source("garbled", move |resume| {
        Ok(Box::new(Garbled { inner: opened.open(resume)?, refused: Vec::new() }))
    });
    let (sink, graves) = (MemorySink::new(), MemorySink::new());
    let mut bench = bench(&memory, sink.factory("memory"), graves.factory("graves"));
    bench.spec.source = garbled;
    bench.start().await.unwrap();
    let kept = letters(&graves);
    assert_eq!((kept.len(), sink.len()), (5, 45));
    assert!(kept.iter().all(|letter| records.contains(&letter.record)));
    assert_eq!((kept[0].facts.stage, kept[0].facts.refused_by.as_str()), (Stage::Source, "garbled"));
    assert_eq!(bench.saved().unwrap().checkpoint.get(&"p".into()).unwrap().as_bytes(), "49");

    let mut bare = Bench::new(&memory, sink.factory("memory"));
    bare.spec.source = bench.spec.source.clone();
    bare.start();
    let reason = bare.until(State::Failed).await;
    assert!(reason.contains("of partition p: cut off in the middle"), "{reason}");
}
