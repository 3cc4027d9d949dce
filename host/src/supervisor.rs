//! The supervisor of a task: builds it anew after a failure, and never lets it touch another.
//!
//! What a failure means stands in the [policy]; here stands how long to wait before the next
//! try. A task is built in a tokio task of its own, so a panic in a connector ends there.

use std::time::Duration;

use tokio::time::Instant;
use weir_sdk::metrics::names;
use weir_sdk::{Backoff, Error, ErrorKind};

use crate::middleware::policy::{self, Decision};
use crate::state::{Pen, State};
use crate::stop::Stop;
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
/// How often a task that needs the operator is tried again by itself.
const OPERATOR: Duration = Duration::from_secs(300);

/// Runs the task until its source ends or somebody asks to stop.
pub async fn supervise(spec: Spec, pen: Pen, stop: Stop) -> Outcome {
    let mut delays = Delays::new();
    loop {
        let began = Instant::now();
        let error = match once(&spec, &pen, &stop).await {
            Ok(ended) => return Outcome::Ended(stopped(&pen, ended)),
            Err(error) => error,
        };
        if began.elapsed() >= HEALTHY {
            delays = Delays::new();
        }
        let (state, delay) = delays.after(&error);
        if state == State::Stopped {
            pen.because(state, policy::reason(&error));
            return Outcome::Retired(error);
        }
        pen.because(state, policy::reason(&error));
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = stop.requested() => {
                pen.because(State::Stopped, format!("stopped while it was {}: {error}", state.as_str()));
                return Outcome::Down(error);
            }
        }
        spec.metrics.counter(names::TASK_RESTARTS).add(1);
        if state != State::Parked && pen.state() != State::Restarting {
            pen.because(State::Restarting, format!("trying again after: {error}"));
        }
    }
}

/// One life of the task.
async fn once(spec: &Spec, pen: &Pen, stop: &Stop) -> Result<Ended, Error> {
    let (spec, pen, stop) = (spec.clone(), pen.clone(), stop.clone());
    let life = tokio::spawn(async move { task::run(&spec, &pen, &stop).await });
    life.await.unwrap_or_else(|join| Err(Error::new(ErrorKind::Bug, "the task panicked").caused_by(join)))
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
}

impl Delays {
    fn new() -> Self {
        Self {
            failures: Backoff::new(Duration::from_secs(1), 2.0, Duration::from_secs(300)),
            outages: Backoff::new(Duration::from_millis(250), 2.0, Duration::from_secs(5)),
        }
    }

    /// The state to show meanwhile, and the delay.
    fn after(&mut self, error: &Error) -> (State, Duration) {
        match policy::decide(error.kind()) {
            Decision::Park => (State::Parked, self.outages.next().unwrap_or_default()),
            Decision::End(state) => (state, OPERATOR),
            Decision::Dead => (State::Failed, OPERATOR),
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
