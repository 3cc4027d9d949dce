//! `Retry`: sends again what may be sent again, only the records that need it.
//!
//! A write ends when each of its records is durable or refused for good. Outages are the [circuit breaker]'s: it counts
//! a failure first, and while it is not closed nothing is used up here, the next attempt simply waits in it. Attempts
//! count only against a far side that seems to work, and when they run out [`Sink::probe`] is asked before anything is
//! given up; so no record is given up because of an outage.
//!
//! A batch that is refused as a whole, because of some record that the sink cannot name, is split until the record is
//! found: one poison among n records costs about 2 log₂ n writes, and the others flow.
//!
//! [circuit breaker]: super::circuit_breaker

pub mod budget;
mod round;

use std::sync::Arc;
use std::time::Duration;

use weir_sdk::metrics::{Counter, Metrics, names};
use weir_sdk::{Error, Order, Records, Sink, WriteError, async_trait};

use super::circuit_breaker::CircuitBreaker;
use super::policy::{self, Decision};
use budget::RetryBudget;
use round::{Next, Round};

/// How failed writes are sent again.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The bound of the first delay.
    pub initial: Duration,
    /// By how much each bound is larger than the one before.
    pub factor: f64,
    /// The largest bound.
    pub max: Duration,
    /// Attempts before `on_exhausted`, the first one counted; at least 1.
    pub attempts: u32,
    /// What happens when attempts run out although the far side answers.
    pub on_exhausted: OnExhausted,
    /// How many retries the sink may send altogether.
    pub budget: budget::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(100),
            factor: 2.0,
            max: Duration::from_secs(30),
            attempts: 5,
            on_exhausted: OnExhausted::Park,
            budget: budget::Settings::default(),
        }
    }
}

/// What happens when attempts run out although the far side answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnExhausted {
    /// Wait as if the far side were down, and begin anew.
    #[default]
    Park,
    /// The task ends with the error.
    Stop,
    /// The records come back as if it were their own fault: with an error of kind [`Record`](weir_sdk::ErrorKind),
    /// caused by the last one.
    DeadLetter,
}

/// A sink that tries again.
pub struct Retry {
    inner: Arc<CircuitBreaker>,
    settings: Settings,
    budget: RetryBudget,
    attempts: Counter,
    splits: Counter,
}

/// What to do about an error that left records unsettled.
enum Step {
    Again,
    GiveUp,
    DeadLetter,
}

impl Retry {
    /// Retries the writes of `inner`.
    pub fn new(inner: Arc<CircuitBreaker>, settings: Settings, metrics: &Metrics) -> Self {
        let budget = RetryBudget::new(settings.budget.clone(), metrics);
        let (attempts, splits) =
            (metrics.counter(names::RETRY_ATTEMPTS), metrics.counter(names::POISON_SPLITS));
        Self { inner, settings, budget, attempts, splits }
    }

    /// Goes on after a first attempt that failed, until every record is durable or refused for good.
    async fn again(&self, records: Records, failed: WriteError) -> Result<(), WriteError> {
        let mut round = Round::new(records, &self.settings);
        let mut answer = Err(failed);
        loop {
            match round.settle(answer) {
                Next::Done => return round.finish(),
                Next::Onward => {}
                Next::Split => self.splits.add(1),
                Next::Unsettled(error) => match self.step(&mut round, &error).await {
                    Step::Again => self.attempts.add(1),
                    Step::GiveUp => return round.give_up(&error),
                    Step::DeadLetter if round.bury(&error) => {}
                    Step::DeadLetter => return round.finish(),
                },
            }
            answer = self.inner.write(round.attempt()).await;
        }
    }

    /// Waits as long as this error asks for, and says what then.
    async fn step(&self, round: &mut Round, error: &Error) -> Step {
        match policy::decide(error.kind()) {
            Decision::Dead | Decision::End(_) | Decision::Rebuild => return Step::GiveUp,
            Decision::Retry | Decision::Park if !self.inner.is_closed() => {
                round.begin_anew();
                return Step::Again;
            }
            // That outage was over before its answer came.
            Decision::Wait | Decision::Park => {}
            Decision::Retry => {
                round.failures += 1;
                if round.failures >= self.settings.attempts {
                    return self.exhausted(round, error).await;
                }
            }
        }
        let delay = round.backoff.next().unwrap_or_default();
        tokio::time::sleep(delay.max(error.wait_hint().unwrap_or_default())).await;
        self.budget.spend().await;
        Step::Again
    }

    /// Attempts have run out while the breaker was closed.
    async fn exhausted(&self, round: &mut Round, error: &Error) -> Step {
        let answers = self.inner.probe().await.is_ok();
        let on_exhausted = if answers { self.settings.on_exhausted } else { OnExhausted::Park };
        match on_exhausted {
            OnExhausted::Stop => Step::GiveUp,
            OnExhausted::DeadLetter => Step::DeadLetter,
            OnExhausted::Park => {
                self.inner.open(error);
                round.begin_anew();
                Step::Again
            }
        }
    }
}

#[async_trait]
impl Sink for Retry {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
        self.budget.earn();
        match self.inner.write(records.clone()).await {
            Ok(()) => Ok(()),
            Err(failed) => self.again(records, failed).await,
        }
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
