//! The circuit by table and by property, and the breaker around it on a paused clock.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use proptest::prelude::*;
use weir_sdk::metrics::{Metrics, names};
use weir_sdk::testing::{Effect, Fault, FaultySink, MemorySink, numbered};
use weir_sdk::{Error, ErrorKind, Sink, TaskId, WriteError};

use super::circuit::{Admission, Circuit, Mode, Outcome, Settings, Ticket};
use super::{CircuitBreaker, judge};
use crate::middleware::parking::Parking;
use crate::state::{Board, State};

fn settings() -> Settings {
    Settings {
        failures: 5,
        rate: 0.5,
        calls: 10,
        window: Duration::from_secs(10),
        slow_call: None,
        open_for: Duration::from_secs(30),
        open_for_max: Duration::from_secs(300),
        successes: 3,
    }
}

/// A circuit, its time, and calls that end at once.
struct Bench {
    circuit: Circuit,
    now: Duration,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        Self { circuit: Circuit::new(settings), now: Duration::ZERO }
    }

    fn admit(&mut self) -> Admission {
        self.circuit.admit(self.now)
    }

    fn ticket(&mut self) -> Ticket {
        match self.admit() {
            Admission::Call(ticket) | Admission::Probe(ticket) => ticket,
            held => panic!("not admitted: {held:?}"),
        }
    }

    fn report(&mut self, ticket: Ticket, outcome: Outcome) -> Mode {
        self.circuit.report(ticket, outcome, Duration::ZERO, self.now);
        self.circuit.mode()
    }

    fn call(&mut self, outcome: Outcome) -> Mode {
        let ticket = self.ticket();
        self.report(ticket, outcome)
    }

    /// How many seconds it stays open; now they are over.
    fn wait(&mut self) -> u64 {
        let Admission::Until(time) = self.admit() else { panic!("not open") };
        let wait = time - self.now;
        self.now = time;
        wait.as_secs()
    }
}

#[test]
fn opens_after_failures_in_a_row() {
    let mut bench = Bench::new(settings());
    let calls = [Outcome::Failure, Outcome::Failure, Outcome::Success, Outcome::Nothing];
    for outcome in calls.into_iter().chain([Outcome::Failure; 4]) {
        assert_eq!(bench.call(outcome), Mode::Closed);
    }
    assert_eq!(bench.call(Outcome::Nothing), Mode::Closed, "which neither counts nor breaks the row");
    assert_eq!(bench.call(Outcome::Failure), Mode::Open);
}

#[test]
fn opens_when_half_of_ten_calls_in_the_window_failed() {
    let mut bench = Bench::new(settings());
    for _ in 0..9 {
        let outcome = if bench.now.as_secs().is_multiple_of(2) { Outcome::Failure } else { Outcome::Success };
        assert_eq!(bench.call(outcome), Mode::Closed);
        bench.now += Duration::from_secs(1);
    }
    assert_eq!(bench.call(Outcome::Success), Mode::Open, "5 of 10");
    let mut slower = Bench::new(settings());
    for call in 0..100 {
        let outcome = if call % 2 == 0 { Outcome::Failure } else { Outcome::Success };
        assert_eq!(slower.call(outcome), Mode::Closed, "never ten within 10 s");
        slower.now += Duration::from_millis(1200);
    }
}

#[test]
fn slow_calls_open_it_where_a_limit_is_set() {
    let took = Duration::from_secs(3);
    for (slow_call, wanted) in [(None, Mode::Closed), (Some(Duration::from_secs(2)), Mode::Open)] {
        let mut circuit = Circuit::new(Settings { slow_call, ..settings() });
        for _ in 0..10 {
            if let Admission::Call(ticket) = circuit.admit(Duration::ZERO) {
                circuit.report(ticket, Outcome::Success, took, Duration::ZERO);
            }
        }
        assert_eq!(circuit.mode(), wanted);
    }
}

#[test]
fn the_way_back_is_one_probe_and_then_one_call_at_a_time() {
    let mut bench = Bench::new(settings());
    assert_eq!(bench.call(Outcome::Down), Mode::Open, "at once");
    assert_eq!(bench.wait(), 30);
    let Admission::Probe(trial) = bench.admit() else { panic!("the first is a probe") };
    assert_eq!(bench.admit(), Admission::Later, "one at a time");
    assert_eq!(bench.report(trial, Outcome::Success), Mode::HalfOpen);
    let Admission::Call(trial) = bench.admit() else { panic!("probed already") };
    assert_eq!(bench.admit(), Admission::Later);
    assert_eq!(bench.report(trial, Outcome::Nothing), Mode::HalfOpen, "which is no success");
    assert_eq!(bench.call(Outcome::Success), Mode::HalfOpen);
    assert_eq!(bench.call(Outcome::Success), Mode::Closed);
}

#[test]
fn the_wait_doubles_until_a_write_succeeds() {
    let mut bench = Bench::new(settings());
    let mut waits = Vec::new();
    for _ in 0..6 {
        bench.call(Outcome::Down);
        waits.push(bench.wait());
    }
    assert_eq!(waits, [30, 60, 120, 240, 300, 300]);
    assert_eq!(bench.call(Outcome::Nothing), Mode::HalfOpen, "it answers, but nothing was written");
    bench.now += Circuit::QUIET;
    bench.circuit.rest(bench.now);
    assert_eq!((bench.circuit.mode(), bench.call(Outcome::Down)), (Mode::Closed, Mode::Open));
    assert_eq!(bench.wait(), 300, "no write has succeeded in between");
    assert_eq!([Outcome::Success; 3].map(|outcome| bench.call(outcome))[2], Mode::Closed);
    bench.call(Outcome::Down);
    assert_eq!(bench.wait(), 30);
}

#[test]
fn answers_of_calls_admitted_before_it_opened_are_ignored() {
    let mut bench = Bench::new(settings());
    let stragglers: Vec<Ticket> = (0..8).map(|_| bench.ticket()).collect();
    bench.call(Outcome::Down);
    let opened = bench.circuit.clone();
    for (straggler, outcome) in stragglers.iter().zip([Outcome::Success, Outcome::Down, Outcome::Failure]) {
        bench.report(*straggler, outcome);
    }
    assert_eq!(bench.circuit, opened);
    bench.now += Duration::from_secs(30);
    let trial = bench.ticket();
    assert_eq!(bench.report(stragglers[3], Outcome::Success), Mode::HalfOpen);
    assert_eq!(bench.admit(), Admission::Later, "the trial goes on");
    for _ in 0..2 {
        bench.report(trial, Outcome::Success);
        bench.ticket();
    }
    assert_eq!(bench.report(trial, Outcome::Success), Mode::Closed);
    assert_eq!(bench.report(stragglers[4], Outcome::Down), Mode::Closed);
}

#[derive(Clone, Debug)]
enum Event {
    Admit,
    /// The n-th of the open calls ends.
    Ends(usize, Outcome),
    Passes(u64),
    Trip,
    Rest,
}

fn event() -> impl Strategy<Value = Event> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Success),
        2 => Just(Outcome::Failure),
        1 => Just(Outcome::Down),
        1 => Just(Outcome::Nothing)
    ];
    prop_oneof![
        4 => Just(Event::Admit),
        4 => (0usize..8, outcome).prop_map(|(which, outcome)| Event::Ends(which, outcome)),
        2 => (0u64..40_000).prop_map(Event::Passes),
        1 => Just(Event::Trip),
        1 => Just(Event::Rest),
    ]
}

proptest! {
    /// Whatever happens: an open circuit lets nobody through before its time, a half-open one lets one through at a
    /// time, stragglers change nothing, it closes only from half-open, and it never stays open longer than allowed.
    #[test]
    fn holds_whatever_happens(events in proptest::collection::vec(event(), 1..300)) {
        let mut bench = Bench::new(settings());
        // Open calls, and in which opening they were admitted.
        let (mut calls, mut openings): (Vec<(Ticket, u32)>, u32) = (Vec::new(), 0);
        let mut successes = 0;
        for event in events {
            let (before, was) = (bench.circuit.mode(), bench.circuit.clone());
            let mut straggled = false;
            match event {
                Event::Passes(millis) => bench.now += Duration::from_millis(millis),
                Event::Trip => bench.circuit.trip(bench.now),
                Event::Rest => bench.circuit.rest(bench.now),
                Event::Admit => match bench.admit() {
                    Admission::Call(ticket) | Admission::Probe(ticket) => {
                        let trials = calls.iter().filter(|(_, opening)| *opening == openings).count();
                        prop_assert!(bench.circuit.mode() == Mode::Closed || trials == 0, "two trials");
                        calls.push((ticket, openings));
                    }
                    Admission::Until(time) => {
                        prop_assert_eq!(before, Mode::Open);
                        prop_assert!(time > bench.now && time - bench.now <= Duration::from_secs(300));
                    }
                    Admission::Later => prop_assert_eq!(before, Mode::HalfOpen),
                },
                Event::Ends(which, outcome) => {
                    if calls.is_empty() {
                        continue;
                    }
                    let (ticket, opening) = calls.remove(which % calls.len());
                    straggled = opening != openings;
                    bench.report(ticket, outcome);
                    if before == Mode::HalfOpen && !straggled && outcome == Outcome::Success {
                        successes += 1;
                    }
                }
            }
            let after = bench.circuit.mode();
            if straggled {
                prop_assert_eq!(&bench.circuit, &was);
            }
            match (before, after) {
                (Mode::Closed | Mode::HalfOpen, Mode::Open) => openings += 1,
                (Mode::Open, Mode::HalfOpen) => successes = 0,
                (Mode::HalfOpen, Mode::Closed) => {
                    let rested = matches!(event, Event::Rest);
                    prop_assert!(rested || successes == 3, "closed after {successes} successes");
                }
                (before, after) => prop_assert_eq!(before, after),
            }
        }
    }
}

/// A breaker of a sink in memory, and what is shown of it.
struct Shown {
    breaker: Arc<CircuitBreaker>,
    faulty: FaultySink,
    sink: MemorySink,
    board: Board,
    metrics: Metrics,
}

impl Shown {
    fn new() -> Self {
        let (board, metrics, sink) = (Board::default(), Metrics::default(), MemorySink::new());
        let pen = board.enter(TaskId { pipeline: "p".into(), sink: "s".into() }, metrics.clone());
        pen.running();
        let faulty = FaultySink::new(sink.clone(), []);
        let parking = Parking::new(pen);
        let breaker = CircuitBreaker::new(Arc::new(faulty.clone()), settings(), &metrics, parking);
        Self { breaker: Arc::new(breaker), faulty, sink, board, metrics }
    }

    fn state(&self) -> (State, f64) {
        let state = self.board.tasks().values().next().unwrap().state;
        (state, self.metrics.gauge(names::CIRCUIT_BREAKER_STATE).get())
    }

    async fn write(&self, from: usize) -> Result<(), WriteError> {
        self.breaker.write(numbered("p", from..from + 2, 1).into()).await
    }
}

fn outage() -> Error {
    Error::new(ErrorKind::Unavailable, "broker gone")
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_fails_nobody_and_shows_parked() {
    let shown = Shown::new();
    shown.faulty.down(outage());
    shown.write(0).await.unwrap_err();
    assert_eq!(shown.state(), (State::Parked, 2.0));
    assert!(shown.write(0).now_or_never().is_none(), "it waits");
    let (held, breaker) = (tokio::time::Instant::now(), shown.breaker.clone());
    let waiting = (0..3).map(|n| {
        let breaker = breaker.clone();
        tokio::spawn(async move { breaker.write(numbered("p", n..n + 1, 1).into()).await })
    });
    let waiting: Vec<_> = waiting.collect();
    // The first probe finds nobody; the second one does, at 30 + 60 s.
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!((shown.faulty.calls(), shown.faulty.probes(), shown.state()), (1, 1, (State::Parked, 2.0)));
    shown.faulty.up();
    for write in waiting {
        write.await.unwrap().unwrap();
    }
    assert_eq!((held.elapsed().as_secs(), shown.faulty.probes(), shown.sink.len()), (90, 2, 3));
    assert_eq!(shown.state(), (State::Running, 0.0));
    let counts = [
        names::CIRCUIT_BREAKER_OPENED,
        names::CIRCUIT_BREAKER_HALF_OPENED,
        names::CIRCUIT_BREAKER_REOPENED,
        names::CIRCUIT_BREAKER_CLOSED,
    ];
    assert_eq!(counts.map(|name| shown.metrics.counter(name).get()), [1, 2, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn one_write_tries_while_the_others_wait() {
    let shown = Shown::new();
    shown.faulty.down(outage());
    shown.write(0).await.unwrap_err();
    shown.faulty.up();
    (0..3).for_each(|_| shown.faulty.push(Fault::slow(Duration::from_secs(4))));
    let writes = (0..8).map(|n| shown.write(2 * n));
    let (_, steps) = futures::join!(futures::future::join_all(writes), async {
        let mut steps = Vec::new();
        for second in [29, 3, 4, 4, 1] {
            tokio::time::sleep(Duration::from_secs(second)).await;
            steps.push((shown.faulty.calls(), shown.state().1));
        }
        steps
    });
    assert_eq!(steps, [(1, 2.0), (2, 1.0), (3, 1.0), (4, 1.0), (4, 1.0)]);
    assert_eq!((shown.sink.len(), shown.state()), (16, (State::Running, 0.0)));
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_is_dropped_lets_another_one_try() {
    let shown = Shown::new();
    shown.faulty.down(outage());
    shown.write(0).await.unwrap_err();
    shown.faulty.up();
    shown.faulty.push(Fault::Hang(Effect::None));
    tokio::time::timeout(Duration::from_secs(40), shown.write(0)).await.unwrap_err();
    shown.write(0).await.unwrap();
    assert_eq!((shown.faulty.calls(), shown.state().0), (3, State::Parked));
    tokio::time::sleep(Circuit::QUIET * 2).await;
    assert_eq!(shown.state(), (State::Running, 0.0), "nobody waits any more");
}

#[test]
fn what_an_answer_tells() {
    let some = |kinds: &[ErrorKind]| {
        let failed = kinds.iter().enumerate();
        let failed = failed.map(|(index, kind)| weir_sdk::Failed { index, error: Error::new(*kind, "no") });
        Err(WriteError::Some(failed.collect()))
    };
    use ErrorKind::{Record, Throttled, Transient, Unavailable};
    let of = |answer: &Result<(), WriteError>| judge(answer, 2).0;
    assert_eq!(of(&Ok(())), Outcome::Success);
    assert_eq!(of(&some(&[Transient, Record])), Outcome::Failure);
    assert_eq!(of(&some(&[Record, Throttled])), Outcome::Nothing);
    assert_eq!(of(&some(&[Transient])), Outcome::Success, "the other one is durable");
    assert_eq!(of(&some(&[Unavailable])), Outcome::Down, "although one was durable before");
    assert_eq!(of(&Err(Error::new(Transient, "no").into())), Outcome::Failure);
}
