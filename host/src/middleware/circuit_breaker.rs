//! `CircuitBreaker`: leaves a far side alone that does not work, and finds out with one write at a time when it does.
//!
//! An open breaker fails nobody: a write waits until it is admitted, so nothing is given up because of an outage, and
//! the records behind it fill the task's budget until its source pauses. A task is PARKED exactly while its breaker is
//! not closed. What to decide stands in [`circuit`], which can be tested without a clock; here is what waits and tells.
//!
//! The way back: when the time is over, one waiting write asks [`Sink::probe`] first, and if that answers is itself the
//! trial; the others wait until it has ended. So many trials in a row that were durable close the breaker. Nobody who
//! waits any more closes it too, or a quiet pipeline would show PARKED for ever.

pub mod circuit;
mod window;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use weir_sdk::metrics::{Gauge, Metrics, names};
use weir_sdk::{Error, Order, Records, Sink, WriteError, async_trait};

use super::parking::{Parked, Parking};
use super::policy::{self, Weight};
use circuit::{Admission, Circuit, Mode, Outcome, Ticket};

pub use circuit::Settings;

/// A sink whose writes wait while the far side does not work; one for all lanes of a task.
pub struct CircuitBreaker {
    inner: Arc<dyn Sink>,
    slot: Arc<Slot>,
}

/// The circuit, and who is told of it.
struct Slot {
    state: Mutex<State>,
    changed: Notify,
    born: Instant,
    parking: Parking,
    metrics: Metrics,
    shown: Gauge,
}

struct State {
    circuit: Circuit,
    /// Held while the circuit is not closed.
    parked: Option<Parked>,
}

impl CircuitBreaker {
    /// Watches over the writes of `inner`; `parking` shows when it is not closed.
    pub fn new(inner: Arc<dyn Sink>, settings: Settings, metrics: &Metrics, parking: Parking) -> Self {
        let shown = metrics.gauge(names::CIRCUIT_BREAKER_STATE);
        shown.set(0.0);
        let state = State { circuit: Circuit::new(settings), parked: None };
        let slot = Slot {
            state: Mutex::new(state),
            changed: Notify::new(),
            born: Instant::now(),
            parking,
            metrics: metrics.clone(),
            shown,
        };
        Self { inner, slot: Arc::new(slot) }
    }

    /// Writes pass.
    pub fn is_closed(&self) -> bool {
        self.slot.state().circuit.mode() == Mode::Closed
    }

    /// Opens it because of `error`, which its own calls have not told it. One that is not closed stays as it is.
    pub fn open(&self, error: &Error) {
        self.slot.change(Some(error), Circuit::trip);
    }

    /// Waits until a call may be made.
    async fn admitted(&self) -> Admitted {
        loop {
            // Listens before it looks, so that no change is missed in between.
            let changed = self.slot.changed.notified();
            let (admission, now) = self.slot.change(None, |circuit, now| (circuit.admit(now), now));
            match admission {
                Admission::Call(ticket) => return self.admit(ticket, now),
                Admission::Probe(ticket) => {
                    let admitted = self.admit(ticket, now);
                    match self.inner.probe().await {
                        Err(error) if policy::weight(error.kind()) != Weight::Nothing => {
                            admitted.report(Outcome::Down, Some(&error));
                        }
                        // What else a probe can tell, the write will tell as well.
                        Ok(()) | Err(_) => return admitted,
                    }
                }
                Admission::Until(time) => tokio::select! {
                    () = tokio::time::sleep_until(self.slot.born + time) => {}
                    () = changed => {}
                },
                Admission::Later => changed.await,
            }
        }
    }

    fn admit(&self, ticket: Ticket, began: Duration) -> Admitted {
        Admitted { slot: self.slot.clone(), ticket, began, reported: false }
    }
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the circuit and tells everybody what has become of it; `why` is what would have opened it.
    fn change<T>(&self, why: Option<&Error>, change: impl FnOnce(&mut Circuit, Duration) -> T) -> T {
        let mut state = self.state();
        // Read under the lock: the circuit's time never goes back.
        let now = self.born.elapsed();
        let before = state.circuit.mode();
        let changed = change(&mut state.circuit, now);
        let after = state.circuit.mode();
        if before != after {
            self.tell(&mut state, before, after, why);
            self.changed.notify_waiters();
        }
        changed
    }

    fn tell(&self, state: &mut State, before: Mode, after: Mode, why: Option<&Error>) {
        self.shown.set(f64::from(after as u8));
        if let Some(name) = transition(before, after) {
            self.metrics.counter(name).add(1);
        }
        match after {
            Mode::Closed => state.parked = None,
            Mode::HalfOpen => {}
            Mode::Open => {
                let reason =
                    why.map_or_else(|| "too many writes failed or were slow".to_owned(), policy::reason);
                state.parked = Some(self.parking.park(reason));
            }
        }
    }
}

fn transition(from: Mode, to: Mode) -> Option<names::Name> {
    match (from, to) {
        (Mode::Closed, Mode::Open) => Some(names::CIRCUIT_BREAKER_OPENED),
        (Mode::Open, Mode::HalfOpen) => Some(names::CIRCUIT_BREAKER_HALF_OPENED),
        (Mode::HalfOpen, Mode::Open) => Some(names::CIRCUIT_BREAKER_REOPENED),
        (Mode::HalfOpen, Mode::Closed) => Some(names::CIRCUIT_BREAKER_CLOSED),
        _ => None,
    }
}

/// A call that may be made. Dropped without a report, it tells nothing, but another one may try.
struct Admitted {
    slot: Arc<Slot>,
    ticket: Ticket,
    /// By the circuit's time.
    began: Duration,
    reported: bool,
}

impl Admitted {
    fn report(mut self, outcome: Outcome, why: Option<&Error>) {
        self.reported = true;
        self.tell(outcome, why);
    }

    fn tell(&self, outcome: Outcome, why: Option<&Error>) {
        let mode = self.slot.change(why, |circuit, now| {
            circuit.report(self.ticket, outcome, now.saturating_sub(self.began), now);
            circuit.mode()
        });
        if mode != Mode::HalfOpen {
            return;
        }
        self.slot.changed.notify_waiters();
        // Without a runtime nobody is left to show anything to.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(rest(Arc::downgrade(&self.slot)));
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if !self.reported {
            self.tell(Outcome::Nothing, None);
        }
    }
}

/// Looks once whether a half-open circuit is still wanted.
async fn rest(slot: std::sync::Weak<Slot>) {
    tokio::time::sleep(Circuit::QUIET).await;
    if let Some(slot) = slot.upgrade() {
        slot.change(None, Circuit::rest);
    }
}

/// What an answer about so many records tells of the far side, and the error that tells it.
fn judge(answer: &Result<(), WriteError>, records: usize) -> (Outcome, Option<&Error>) {
    let of = |error: &Error| match policy::weight(error.kind()) {
        Weight::Opens => Outcome::Down,
        Weight::Counts => Outcome::Failure,
        Weight::Nothing => Outcome::Nothing,
    };
    let failed = match answer {
        Ok(()) => return (Outcome::Success, None),
        Err(WriteError::All(error)) => return (of(error), Some(error)),
        Err(WriteError::Some(failed)) => failed,
    };
    let first = |wanted| failed.iter().map(|failed| &failed.error).find(|error| of(error) == wanted);
    if let Some(error) = first(Outcome::Down) {
        return (Outcome::Down, Some(error));
    }
    match first(Outcome::Failure) {
        // Something was durable: the far side works, whatever it has against the rest.
        _ if failed.len() < records => (Outcome::Success, None),
        Some(error) => (Outcome::Failure, Some(error)),
        None => (Outcome::Nothing, None),
    }
}

#[async_trait]
impl Sink for CircuitBreaker {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
        let admitted = self.admitted().await;
        let count = records.len();
        let answer = self.inner.write(records).await;
        let (outcome, why) = judge(&answer, count);
        admitted.report(outcome, why);
        answer
    }

    async fn probe(&self) -> Result<(), Error> {
        self.inner.probe().await
    }

    fn order(&self) -> Order {
        self.inner.order()
    }

    async fn close(&self) -> Result<(), Error> {
        self.inner.close().await
    }
}

#[cfg(test)]
mod tests;
