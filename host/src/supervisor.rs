//! The supervisor of a task: builds it anew after a failure, halts it when ordered, and never lets it touch another.
//!
//! What a failure means stands in the [policy]; here stands how long to wait before the next
//! try. A task is built in a tokio task of its own, so a panic in a connector ends there.

use std::convert::Infallible;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use weir_sdk::metrics::names;
use weir_sdk::{Backoff, Error, ErrorKind};

use crate::middleware::policy::{self, Decision};
use crate::orders::{Next, Orders};
use crate::state::{Pen, State};
use crate::stop::{Stop, Stopper};
use crate::task::{self, Ended, Spec};

/// How the supervision of a task ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The task ended as it should.
    Ended(Ended),
    /// It was asked to stop while it was not running; why it was not.
    Down(Error),
    /// It ended by itself and will not be built again.
    Retired(Error),
}

/// A task that ran so long without failing is healthy: delays begin anew.
const HEALTHY: Duration = Duration::from_secs(600);

/// How long a task that the operator halts or restarts may settle what it has read. What is left is read again.
const DRAIN: Duration = Duration::from_secs(5);

/// Runs the task, as the operator orders, until its source ends or somebody asks to stop.
pub async fn supervise(spec: Spec, pen: Pen, stop: Stop, mut orders: Orders) -> Outcome {
    let (mut delays, mut pen_now) = (Delays::new(&spec), pen.clone());
    let mut last = Ok(Ended::Drained);
    loop {
        match orders.take() {
            Next::Halt => {
                pen.because(State::Paused, paused(&last));
                orders.obeyed();
                tokio::select! {
                    () = orders.changed() => continue,
                    () = stop.requested() => return down(&pen, last),
                }
            }
            Next::Anew => {
                delays = Delays::new(&spec);
                pen.because(State::Restarting, "built anew, as the operator ordered");
            }
            Next::GoOn => {}
        }
        orders.obeyed();
        let began = Instant::now();
        last = once(&spec, &pen_now, &stop, &mut orders).await;
        if began.elapsed() >= HEALTHY {
            delays = Delays::new(&spec);
        }
        let error = match &last {
            Ok(ended) if *ended == Ended::Exhausted || stop.is_requested() => {
                return Outcome::Ended(stopped(&pen, *ended));
            }
            Err(error) if policy::decide(error.kind()) == Decision::End(State::Stopped) => {
                pen.because(State::Stopped, policy::reason(error));
                return Outcome::Retired(error.clone());
            }
            Err(error) if !orders.are_new() => error,
            // Halted or restarted by an order, or failed while it obeyed one.
            Ok(_) | Err(_) => continue,
        };
        if error.kind() == ErrorKind::Gap && spec.gap.take_up() {
            pen_now = pen.clone().noting(&go_over(&spec, &pen, error));
            continue;
        }
        if !spec.gap.is_in_use() {
            pen_now = pen.clone();
        }
        let (state, delay) = delays.after(error);
        pen.because(state, reason(state, error, delay));
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = orders.changed() => continue,
            () = stop.requested() => return down(&pen, last),
        }
        if state == State::Parked {
            // A far side that is not there yet is an outage and no failure of the task, which never began.
            continue;
        }
        spec.metrics.counter(names::TASK_RESTARTS).add(1);
    }
}

/// One life of the task; it ends early when somebody asks to stop, or gives an order.
async fn once(spec: &Spec, pen: &Pen, stop: &Stop, orders: &mut Orders) -> Result<Ended, Error> {
    let (stopper, ends) = Stopper::new();
    let ordered = async {
        orders.changed().await;
        stopper.stop(if pen.state() == State::Parked { Duration::ZERO } else { DRAIN });
        std::future::pending::<Infallible>().await
    };
    // What is in flight to a far side that is down will not be settled soon: nobody waits for it.
    let asked = async {
        stop.requested().await;
        if pen.state() == State::Parked {
            stopper.stop(Duration::ZERO);
        }
        stopper.follow(stop).await
    };
    // In a set, so that nothing of it runs on when the supervision is dropped.
    let mut life = JoinSet::new();
    let (spec, pen) = (spec.clone(), pen.clone());
    life.spawn(async move { task::run(&spec, &pen, &ends).await });
    let ended = tokio::select! {
        ended = life.join_next() => ended,
        never = asked => match never {},
        never = ordered => match never {},
    };
    match ended {
        Some(Ok(ended)) => ended,
        Some(Err(join)) => Err(Error::new(ErrorKind::Bug, "the task panicked").caused_by(join)),
        None => Err(Error::new(ErrorKind::Bug, "the task was never begun")),
    }
}

/// The operator accepts the gap: says so wherever it may be looked for, and gives the note to show from now on.
fn go_over(spec: &Spec, pen: &Pen, error: &Error) -> String {
    spec.metrics.counter(names::GAPS_ACCEPTED).add(1);
    tracing::error!(task = %spec.id, lost = %error, "a gap is accepted: what has expired in it is lost");
    pen.because(State::Restarting, format!("going on over a gap, which the operator accepts: {error}"));
    format!("went on over a gap, which the operator accepted: {error}")
}

/// What happened and what to do; and how often it is tried again, where the operator has to do it.
fn reason(state: State, error: &Error, delay: Duration) -> String {
    let reason = policy::reason(error);
    match state {
        State::Failed | State::Gap => {
            format!("{reason}; it is tried again every {}", humantime::format_duration(delay))
        }
        _ => reason,
    }
}

fn paused(last: &Result<Ended, Error>) -> String {
    match last {
        Ok(Ended::Abandoned) => {
            "paused by the operator; what was in flight could not be settled in time and is \
                                 read again; resume to go on"
                .to_owned()
        }
        Ok(_) => "paused by the operator; everything that was read is settled and saved; resume to go on"
            .to_owned(),
        Err(error) => format!("paused by the operator; resume to go on; before that: {error}"),
    }
}

/// Asked to stop while it was not running.
fn down(pen: &Pen, last: Result<Ended, Error>) -> Outcome {
    match last {
        Ok(ended) => Outcome::Ended(stopped(pen, ended)),
        Err(error) => {
            pen.because(State::Stopped, format!("stopped while it was {}: {error}", pen.state().as_str()));
            Outcome::Down(error)
        }
    }
}

fn stopped(pen: &Pen, ended: Ended) -> Ended {
    let reason = match ended {
        Ended::Exhausted => "the source came to its end; everything is settled and saved",
        Ended::Drained => "asked to stop; everything that was read is settled and saved",
        Ended::Abandoned => "asked to stop; what was in flight at the deadline is read again next time",
    };
    pen.because(State::Stopped, reason);
    ended
}

/// How long to wait before the next try.
struct Delays {
    failures: Backoff,
    outages: Backoff,
    /// How long a task that needs the operator waits.
    operator: Duration,
}

impl Delays {
    fn new(spec: &Spec) -> Self {
        Self {
            operator: spec.settings.retry_failed,
            failures: Backoff::new(Duration::from_secs(1), 2.0, Duration::from_secs(300)),
            outages: Backoff::new(Duration::from_millis(250), 2.0, Duration::from_secs(5)),
        }
    }

    /// The state to show meanwhile, and the delay.
    fn after(&mut self, error: &Error) -> (State, Duration) {
        match policy::decide(error.kind()) {
            Decision::Park => (State::Parked, self.outages.next().unwrap_or_default()),
            Decision::End(state) => (state, self.operator),
            Decision::Dead => (State::Failed, self.operator),
            Decision::Wait => (State::Restarting, error.wait_hint().unwrap_or(Duration::from_secs(1))),
            Decision::Retry | Decision::Rebuild => (State::Restarting, self.next_failure()),
        }
    }

    /// At least half of the bound: a task that fails at once must not storm the far side by luck of the jitter.
    fn next_failure(&mut self) -> Duration {
        let least = self.failures.bound() / 2;
        self.failures.next().unwrap_or_default().max(least)
    }
}
