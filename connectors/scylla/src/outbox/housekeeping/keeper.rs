//! The housekeeper: minute by minute it compares the log with what consumers have told, and deletes what all have passed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use weir_sdk::metrics::{Counter, Gauge, Metrics, names};
use weir_sdk::{Conditions, Error};

use super::heard::Heard;
use super::ledger::{Ledger, Place};
use super::names::{Names, stretches};
use super::reports::Reports;
use super::sweep::Sweep;
use super::trouble::Trouble;
use super::verdict::Verdict;
use crate::hub::shared::Shared;
use crate::reader::tally::{Minute, Tally, begin_of, seconds};
use crate::reader::time::Micros;

/// How often it looks whether there is something to do.
const LOOK: Duration = Duration::from_secs(1);
/// A consumer that it waits for longer than this is worth a word in the log.
const PATIENCE: Duration = Duration::from_secs(600);

/// The housekeeper.
pub struct Keeper {
    /// Every consumer; it works for the first one.
    pub consumers: Vec<String>,
    /// The age at which it looks at a minute.
    pub after: Micros,
    /// Where consumers tell.
    pub ledger: Arc<Ledger>,
    /// Where the log is read.
    pub names: Names,
    /// `None` where nothing is deleted.
    pub sweep: Option<Sweep>,
    /// The log's clock and streams.
    pub shared: Arc<Shared>,
    /// What it has found.
    pub reports: Reports,
    /// What it counts.
    pub figures: Figures,
    /// Where it says that it fails.
    pub conditions: Conditions,
}

/// What the housekeeper counts.
pub struct Figures {
    deleted: Counter,
    age: Gauge,
}

impl Figures {
    /// Those of the task that it works for.
    pub fn new(metrics: &Metrics) -> Self {
        let deleted = metrics.counter(names::HOUSEKEEPING_DELETED);
        Self { deleted, age: metrics.gauge(names::HOUSEKEEPING_AGE) }
    }
}

impl Keeper {
    /// Works until it is dropped. What fails is told, and tried again.
    pub async fn run(self) {
        let mut trouble = Trouble::new(self.conditions.clone());
        let mut work = Work { keeper: self, place: None, again: 0, waits: None };
        loop {
            match work.step().await {
                Ok(step) => {
                    trouble.over();
                    if step == Step::Idle {
                        tokio::time::sleep(LOOK).await;
                    }
                }
                Err(error) => trouble.wait(&error).await,
            }
        }
    }
}

/// The housekeeper at work.
struct Work {
    keeper: Keeper,
    /// `None` before it was read.
    place: Option<Place>,
    /// Of the minutes with unpassed rows the one that it looked at last.
    again: Minute,
    waits: Option<Wait>,
}

/// It waits for a consumer.
struct Wait {
    consumer: usize,
    since: Instant,
    told: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Done,
    Idle,
}

impl Work {
    /// Looks at the next minute, if it is time to; otherwise at one where something was unpassed.
    async fn step(&mut self) -> Result<Step, Error> {
        let mut place = match &self.place {
            Some(place) => place.clone(),
            None => self.keeper.ledger.place(self.name()).await?,
        };
        let before = place.clone();
        let step = self.look(&mut place).await?;
        if step == Step::Idle {
            self.look_again(&mut place).await?;
        }
        if place != before {
            self.keeper.ledger.save(self.name(), &place).await?;
        }
        if place.next > 0 {
            let age = self.keeper.shared.now().shown - begin_of(place.next);
            self.keeper.figures.age.count_from(age as f64 / 1e6);
        }
        self.place = Some(place);
        Ok(step)
    }

    async fn look(&mut self, place: &mut Place) -> Result<Step, Error> {
        let minute = place.next;
        if self.keeper.shared.now().age(seconds(minute).end - 1) < self.keeper.after {
            return Ok(Step::Idle);
        }
        match self.hear(minute).await? {
            Heard::WaitsFor(consumer) => {
                self.wait_for(consumer);
                return Ok(Step::Idle);
            }
            Heard::BeginsWith(later) => place.next = later,
            Heard::All(told) => {
                if self.judge(minute, told).await? {
                    place.unpassed.insert(minute);
                }
                place.next = minute + 1;
            }
        }
        self.waits = None;
        Ok(Step::Done)
    }

    /// What was unpassed may have been passed since, and is forgotten in the end.
    async fn look_again(&mut self, place: &mut Place) -> Result<(), Error> {
        let later = place.unpassed.range(self.again + 1..).next();
        let Some(minute) = later.or(place.unpassed.first()).copied() else { return Ok(()) };
        self.again = minute;
        let is_over = match self.hear(minute).await? {
            Heard::WaitsFor(_) => return Ok(()),
            Heard::All(told) => {
                let is_known = self.keeper.reports.knows(minute, &told);
                if is_known && !is_forgotten(&self.keeper.shared, minute).await {
                    return Ok(());
                }
                !self.judge(minute, told).await?
            }
            // Somebody is on the list since who never was to pass it.
            Heard::BeginsWith(_) => !self.keeper.reports.set(minute, Vec::new(), Vec::new()),
        };
        if is_over {
            place.unpassed.remove(&minute);
        }
        Ok(())
    }

    /// Compares a minute of the log with what consumers have told of it, and deletes what all have passed. `true` when
    /// something is unpassed.
    async fn judge(&mut self, minute: Minute, told: Vec<Tally>) -> Result<bool, Error> {
        let keeper = &mut self.keeper;
        if is_forgotten(&keeper.shared, minute).await {
            keeper.reports.forget(minute);
            return Ok(false);
        }
        let mut unpassed = Vec::new();
        for stretch in stretches(minute, &told) {
            let verdict = Verdict::on(keeper.names.of(stretch).await?, &told);
            unpassed.extend(verdict.unpassed);
            if let Some(sweep) = &keeper.sweep {
                let now = keeper.shared.now().shown;
                let since = keeper.shared.cluster().await.streams.since(now).unwrap_or(Micros::MIN);
                keeper.figures.deleted.add(sweep.delete(verdict.passed, since).await?);
            }
        }
        Ok(keeper.reports.set(minute, told, unpassed))
    }

    async fn hear(&self, minute: Minute) -> Result<Heard, Error> {
        Heard::of(minute, &self.keeper.consumers, &self.keeper.ledger).await
    }

    fn wait_for(&mut self, consumer: usize) {
        match &mut self.waits {
            Some(wait) if wait.consumer == consumer => {
                if !wait.told && wait.since.elapsed() >= PATIENCE {
                    wait.told = true;
                    tracing::warn!(
                        consumer = self.keeper.consumers[consumer],
                        "housekeeping waits for a consumer that has not told what it has passed: it is behind, does not \
                         run, lacks the block `housekeeping`, or is not called so"
                    );
                }
            }
            Some(_) | None => self.waits = Some(Wait { consumer, since: Instant::now(), told: false }),
        }
    }

    /// The consumer that it works for.
    fn name(&self) -> &str {
        &self.keeper.consumers[0]
    }
}

/// Does the log no longer hold all of this minute?
async fn is_forgotten(shared: &Shared, minute: Minute) -> bool {
    let now = shared.now().shown;
    begin_of(minute) < shared.cluster().await.oldest(now)
}
