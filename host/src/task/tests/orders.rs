//! What a task does when its operator orders it to pause, to resume, or to be built anew.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use weir_sdk::testing::{Effect, Fault, FaultySink, MemorySink, MemorySource, Step, Trace, numbered};
use weir_sdk::{Checkpoint, Error, ErrorKind, Partition};

use super::bench::Bench;
use crate::control::{Refusal, Target};
use crate::orders::Command::{Pause, Restart, Resume};
use crate::state::State;
use crate::supervisor::Outcome;
use crate::task::Ended;

const HOUR: Duration = Duration::from_secs(3600);

fn outage() -> Error {
    Error::new(ErrorKind::Unavailable, "broker 127.0.0.1:9092 is unreachable")
}

fn no_topic() -> Error {
    Error::new(ErrorKind::Config, "no topic `orders`")
}

fn end(offset: &'static str) -> Checkpoint {
    [(Partition::from("p"), offset)].into_iter().collect()
}

#[tokio::test(start_paused = true)]
async fn a_pause_settles_and_saves_what_was_read_and_a_resume_goes_on_in_order() {
    let records = numbered("p", 0..100, 9);
    let (source, sink) = (MemorySource::of(records[..50].to_vec()).endless(), MemorySink::new());
    let slow = (0..20).map(|_| Fault::slow(Duration::from_millis(100)));
    let bench = Bench::new(&source, FaultySink::new(sink.clone(), slow).factory("memory"));
    bench.start();
    sink.until(|written| !written.is_empty()).await;
    bench.order(Pause).await;
    let (state, reason) = bench.shown();
    assert_eq!(state, State::Paused);
    assert!(reason.starts_with("paused by the operator; everything that was read is settled"), "{reason}");
    assert_eq!((sink.len(), source.closes(), sink.closes()), (50, 1, 1));
    assert_eq!(bench.saved().unwrap().checkpoint, end("49"));
    source.push(Step::Records(records[50..].to_vec()));
    let polls = source.polls();
    tokio::time::sleep(HOUR).await;
    assert_eq!((source.polls(), sink.len(), bench.shown().0), (polls, 50, State::Paused), "nothing moves");
    bench.order(Resume).await;
    sink.until(|written| written.len() == 100).await;
    assert_eq!(Trace::by_origin(&records, &sink.records()), Trace::default(), "nothing lost, nothing twice");
    assert_eq!((bench.shown().0, source.opened_at().len()), (State::Running, 2));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_settled_in_time_is_read_again() {
    let records = numbered("p", 0..10, 1);
    let (source, sink) = (MemorySource::of(records.clone()).endless(), MemorySink::new());
    let faulty = FaultySink::new(sink.clone(), [Fault::Hang(Effect::None)]);
    let bench = Bench::new(&source, faulty.factory("memory"));
    bench.start();
    bench.until(State::Running).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    bench.order(Pause).await;
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    assert!(
        bench.shown().1.contains("could not be settled in time and is read again"),
        "{:?}",
        bench.shown()
    );
    bench.order(Resume).await;
    sink.until(|written| written.len() == 10).await;
    Trace::by_origin(&records, &sink.records()).assert_complete();
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_down_pauses_at_once_and_is_not_tried_again() {
    let source = MemorySource::of(numbered("p", 0..5, 1)).endless();
    source.refuse_open(no_topic());
    let sink = MemorySink::new();
    let bench = Bench::new(&source, sink.factory("memory"));
    bench.start();
    bench.until(State::Failed).await;
    let began = Instant::now();
    bench.order(Pause).await;
    assert_eq!((began.elapsed(), bench.shown().0), (Duration::ZERO, State::Paused));
    assert!(
        bench.shown().1.ends_with("before that: open source memory: no topic `orders`"),
        "{:?}",
        bench.shown()
    );
    tokio::time::sleep(HOUR).await;
    assert_eq!(source.opened_at().len(), 1, "its own failure is not tried again while it is paused");
    bench.order(Resume).await;
    sink.until(|written| written.len() == 5).await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_while_it_halts_leaves_it_halted() {
    let (source, sink) = (MemorySource::of(numbered("p", 0..10, 1)).endless(), MemorySink::new());
    let slow = Fault::slow(Duration::from_secs(2));
    let faulty = FaultySink::new(sink.clone(), [slow, Fault::fail(0, ErrorKind::Config)]);
    let mut bench = Bench::new(&source, faulty.factory("memory"));
    bench.spec.settings.batch_records = 1;
    bench.start();
    bench.until(State::Running).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.order(Pause).await;
    assert!(bench.shown().1.contains("before that: "), "{:?}", bench.shown());
    tokio::time::sleep(HOUR).await;
    assert_eq!((bench.shown().0, source.opened_at().len()), (State::Paused, 1));
}

#[tokio::test(start_paused = true)]
async fn a_restart_does_not_wait_whatever_the_task_waits_for() {
    let (source, sink) = (MemorySource::of(numbered("p", 0..5, 1)).endless(), MemorySink::new());
    for kind in [ErrorKind::Config, ErrorKind::Gap, ErrorKind::Unavailable, ErrorKind::Bug] {
        source.refuse_open(Error::new(kind, "not now"));
    }
    let bench = Bench::new(&source, sink.factory("memory"));
    bench.start();
    for (tries, state) in
        [State::Failed, State::Gap, State::Parked, State::Restarting].into_iter().enumerate()
    {
        bench.until_shown(|shown, reason| shown == state && reason.contains("not now")).await;
        assert_eq!(source.opened_at().len(), tries + 1);
        let began = Instant::now();
        bench.order(Restart).await;
        assert_eq!(began.elapsed(), Duration::ZERO, "{state:?}");
    }
    sink.until(|written| written.len() == 5).await;
    bench.until(State::Running).await;
    bench.order(Restart).await;
    bench.until(State::Running).await;
    assert_eq!((source.opened_at().len(), source.closes()), (6, 1), "a running one is built anew, too");
}

#[tokio::test(start_paused = true)]
async fn a_parked_task_does_not_wait_for_what_is_in_flight() {
    let (source, sink) = (MemorySource::of(numbered("p", 0..5, 1)).endless(), MemorySink::new());
    let faulty = FaultySink::new(sink.clone(), []);
    faulty.down(outage());
    let bench = Bench::new(&source, faulty.factory("memory"));
    bench.start();
    for command in [Restart, Pause] {
        bench.until(State::Parked).await;
        let began = Instant::now();
        bench.order(command).await;
        assert_eq!(began.elapsed(), Duration::ZERO, "{command:?}");
    }
    faulty.up();
    tokio::time::sleep(HOUR).await;
    assert_eq!((bench.shown().0, sink.len()), (State::Paused, 0));
    bench.order(Resume).await;
    sink.until(|written| written.len() == 5).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_paused_task() {
    let (source, sink) = (MemorySource::of(numbered("p", 0..5, 1)).endless(), MemorySink::new());
    let bench = Bench::new(&source, sink.factory("memory"));
    let running = bench.start();
    bench.until(State::Running).await;
    bench.order(Pause).await;
    bench.stop(Duration::from_secs(30));
    assert!(matches!(running.await.unwrap(), Outcome::Ended(Ended::Drained)));
    assert_eq!(bench.shown().0, State::Stopped);
    let refused = bench.control.order(Resume, &Target::All).await.unwrap_err();
    assert!(matches!(refused, Refusal::Conflict(message, _) if message == "all has stopped"));
    source.refuse_open(no_topic());
    let failed = Bench::new(&source, sink.factory("memory"));
    let running = failed.start();
    failed.until(State::Failed).await;
    failed.order(Pause).await;
    failed.stop(Duration::from_secs(30));
    assert!(matches!(running.await.unwrap(), Outcome::Down(_)), "it was down before it was paused");
}

#[tokio::test(start_paused = true)]
async fn orders_are_idempotent_and_each_transition_is_logged_once() {
    let log = Log::default();
    let written = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || written.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (source, sink) = (MemorySource::of(numbered("p", 0..5, 1)).endless(), MemorySink::new());
    let bench = Bench::new(&source, sink.factory("memory"));
    bench.start();
    bench.until(State::Running).await;
    bench.order(Resume).await;
    for _ in 0..3 {
        bench.order(Pause).await;
    }
    let refused = bench.control.order(Restart, &Target::All).await.unwrap_err();
    assert!(matches!(refused, Refusal::Conflict(message, _) if message == "all is paused"));
    for _ in 0..3 {
        bench.order(Resume).await;
    }
    bench.until(State::Running).await;
    assert_eq!(source.opened_at().len(), 2);
    let transitions = ["RESTARTING RUNNING", "RUNNING PAUSED", "PAUSED RESTARTING", "RESTARTING RUNNING"];
    assert_eq!(log.transitions(), transitions);
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn transitions(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let value = |line: &str, name: &str| {
            let value = line.split(&format!("{name}=\"")).nth(1)?;
            value.split('"').next().map(str::to_owned)
        };
        let transition = |line: &str| Some(format!("{} {}", value(line, " from")?, value(line, " to")?));
        text.lines().filter_map(transition).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
