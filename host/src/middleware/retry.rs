//! `Retry`: sends again what may be sent again, only the records that need it.
//!
//! A write ends when each of its records is durable or refused for good. An outage is waited for, however long it
//! takes: a far side that is down uses up no attempts, and running out of attempts asks [`Sink::probe`] first, so a
//! record is never given up because of an outage.

use std::sync::Arc;
use std::time::Duration;

use weir_sdk::metrics::{Counter, Metrics, names};
use weir_sdk::{Backoff, Error, Failed, Order, Records, Sink, WriteError, async_trait};

use super::parking::{Parked, Parking};
use super::policy::{self, Decision};

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
}

/// What happens when attempts run out although the far side answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnExhausted {
    /// Wait as if the far side were down, and begin anew.
    #[default]
    Park,
    /// The task ends in FAILED.
    Stop,
}

/// A sink that tries again.
pub struct Retry {
    inner: Arc<dyn Sink>,
    settings: Settings,
    attempts: Counter,
    parking: Parking,
}

impl Retry {
    /// Retries the writes of `inner`; waiting for a far side that is down shows in `parking`.
    pub fn new(inner: Arc<dyn Sink>, settings: Settings, metrics: &Metrics, parking: Parking) -> Self {
        Self { inner, settings, attempts: metrics.counter(names::RETRY_ATTEMPTS), parking }
    }

    /// Goes on after a first attempt that failed, until every record is durable or refused for good.
    async fn again(&self, records: Records, mut failed: WriteError) -> Result<(), WriteError> {
        let mut round = Round::new(records.len(), &self.settings);
        let mut attempt = records.clone();
        loop {
            let before = round.pending.len();
            let Some(error) = round.settle(failed) else { return round.finish() };
            if round.pending.len() < before {
                round.progress();
                attempt = records.pick(round.pending.iter().copied());
            }
            if policy::decide(error.kind()) == Decision::Retry {
                round.failures += 1;
            }
            match self.next_step(&round, &error).await {
                Step::GiveUp => return round.give_up(&error),
                Step::Again => {}
                Step::Park => {
                    round.failures = 0;
                    round.parked = Some(self.parking.park(policy::reason(&error)));
                }
            }
            let delay = round.backoff.next().unwrap_or_default();
            tokio::time::sleep(delay.max(error.wait_hint().unwrap_or_default())).await;
            self.attempts.add(1);
            match self.inner.write(attempt.clone()).await {
                Ok(()) => return round.finish(),
                Err(error) => failed = error,
            }
        }
    }

    /// What to do after a round left records unsettled, and how long to wait before.
    async fn next_step(&self, round: &Round, error: &Error) -> Step {
        match policy::decide(error.kind()) {
            Decision::Wait => Step::Again,
            Decision::Park => Step::Park,
            Decision::Retry if round.failures < self.settings.attempts => Step::Again,
            Decision::Retry => match (self.inner.probe().await, self.settings.on_exhausted) {
                (Ok(()), OnExhausted::Stop) => Step::GiveUp,
                (Err(_), _) | (Ok(()), OnExhausted::Park) => Step::Park,
            },
            Decision::Dead | Decision::End(_) | Decision::Rebuild => Step::GiveUp,
        }
    }
}

enum Step {
    Again,
    Park,
    GiveUp,
}

/// What is known of one write between two attempts.
struct Round {
    /// Indexes, in the caller's records, of those that are not settled.
    pending: Vec<usize>,
    /// Refused for good.
    dead: Vec<Failed>,
    failures: u32,
    backoff: Backoff,
    parked: Option<Parked>,
}

impl Round {
    fn new(records: usize, settings: &Settings) -> Self {
        let backoff = Backoff::new(settings.initial, settings.factor, settings.max);
        Self { pending: (0..records).collect(), dead: Vec::new(), failures: 0, backoff, parked: None }
    }

    /// Sorts the failed records of one attempt; the error to act on, when any record is left.
    fn settle(&mut self, failed: WriteError) -> Option<Error> {
        let failed = match failed {
            WriteError::All(error) if policy::decide(error.kind()) != Decision::Dead => return Some(error),
            WriteError::All(error) => {
                (0..self.pending.len()).map(|index| Failed { index, error: error.clone() }).collect()
            }
            WriteError::Some(failed) => failed,
        };
        let (mut left, mut first) = (Vec::new(), None);
        for Failed { index, error } in failed {
            let index = self.pending[index];
            if policy::decide(error.kind()) == Decision::Dead {
                self.dead.push(Failed { index, error });
            } else {
                left.push(index);
                first.get_or_insert(error);
            }
        }
        self.pending = left;
        first
    }

    fn finish(mut self) -> Result<(), WriteError> {
        if self.dead.is_empty() {
            return Ok(());
        }
        self.dead.sort_by_key(|failed| failed.index);
        Err(WriteError::Some(self.dead))
    }

    /// Gives up what is left, for this reason.
    fn give_up(mut self, error: &Error) -> Result<(), WriteError> {
        self.dead.extend(self.pending.iter().map(|index| Failed { index: *index, error: error.clone() }));
        self.finish()
    }

    /// A round settled some of the records: the far side works, so attempts and delays begin anew.
    fn progress(&mut self) {
        self.failures = 0;
        self.backoff.reset();
        self.parked = None;
    }
}

#[async_trait]
impl Sink for Retry {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
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
