//! Housekeeping of an outbox: rows that every consumer has durably passed are deleted, and those that one has not passed
//! are found.
//!
//! A row that becomes readable later than `safety` is emitted by nobody. If rows were deleted by their age, such a row
//! would be lost without a trace. So each consumer tells, of every minute that is settled, saved and durable in its sink,
//! what it has emitted of each second. The first consumer of the list has the housekeeper: when a minute is `after` old,
//! it reads the names of the log once more and compares. Rows of a second that all have passed exactly are deleted;
//! where one has passed less, nothing of that second is, and the operator is told who has to repeat what.
//!
//! Delivery never waits for any of this: it runs beside the reader, and what fails is told and tried again.
//!
//! * [`config`]: the block in YAML; [`ledger`]: the table where consumers tell; [`telling`]: how one does
//! * [`names`], [`heard`], [`verdict`]: what is in the log, what consumers say, and who is right
//! * [`sweep`], [`reports`]: what becomes of it; [`keeper`]: when; [`trouble`]: what if not

pub mod config;
pub mod heard;
pub mod keeper;
pub mod ledger;
pub mod names;
pub mod reports;
pub mod sweep;
pub mod telling;
pub mod trouble;
pub mod verdict;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use weir_sdk::config::Problem;
use weir_sdk::{Checkpoint, Commits, Conditions, Context, Degraded, Error};

use crate::hub::shared::Shared;
use crate::reader::Reader;
use crate::reader::open::Found;
use crate::reader::table::{Table, refused};
use crate::reader::time::micros;
use crate::reader::token::tallies::Tallies;
pub use config::HousekeepingConfig;
use keeper::{Figures, Keeper};
use ledger::Ledger;
use names::Names;
use reports::Reports;
use sweep::Sweep;
use telling::Telling;

/// The part of one consumer in it.
pub struct Housekeeping {
    consumer: String,
    ledger: Arc<Ledger>,
    telling: Arc<Telling>,
    /// Only the first of the list has one; gone when it has begun.
    keeper: Option<Keeper>,
    /// What runs beside the reader.
    beside: JoinSet<()>,
    conditions: Conditions,
    /// Held when it has crashed.
    degraded: Option<Degraded>,
}

impl Housekeeping {
    /// The part of the task that the context is of, which goes on at `resume`. Nothing is done before the first
    /// [`run`](Self::run).
    ///
    /// # Errors
    /// `Config` with everything that is wrong with the tables; otherwise those of the questions.
    pub async fn open(
        config: &HousekeepingConfig,
        log: &Found,
        shared: Arc<Shared>,
        resume: &Checkpoint,
        context: &Context,
    ) -> Result<Self, Error> {
        let Found { session, table, .. } = log;
        let mut problems = ledger::problems(session, config, table).await?;
        problems.extend(too_late(config, table));
        if !problems.is_empty() {
            let below = problems.into_iter().map(|problem| problem.under("/housekeeping"));
            return Err(refused(below.collect()));
        }
        let ledger = Arc::new(Ledger::prepare(session.clone(), config, table).await?);
        let telling = Arc::<Telling>::default();
        telling.add(Tallies::whole(resume)?);
        let (consumer, conditions) = (context.task().to_string(), context.conditions().clone());
        let keeper = if config.consumers.first() == Some(&consumer) {
            let sweep =
                if config.delete { Some(Sweep::prepare(session.clone(), table).await?) } else { None };
            Some(Keeper {
                consumers: config.consumers.clone(),
                after: micros(config.after.get()),
                ledger: ledger.clone(),
                names: Names::prepare(session.clone(), table, shared.clone()).await?,
                sweep,
                shared,
                reports: Reports::new(config.consumers.clone(), context.metrics(), conditions.clone()),
                figures: Figures::new(context.metrics()),
                conditions: conditions.clone(),
            })
        } else {
            None
        };
        let beside = JoinSet::new();
        Ok(Self { consumer, ledger, telling, keeper, beside, conditions, degraded: None })
    }

    /// Who wants to know what is durable and saved.
    pub fn commits(&self) -> Arc<dyn Commits> {
        self.telling.clone()
    }

    /// Called with every batch: begins, and lets the reader forget what was told.
    pub fn run(&mut self, reader: &mut Reader) {
        if self.beside.is_empty() && self.degraded.is_none() {
            let conditions = self.conditions.clone();
            let (consumer, ledger) = (self.consumer.clone(), self.ledger.clone());
            self.beside.spawn(telling::tell(consumer, ledger, self.telling.clone(), conditions));
            self.keeper.take().map(|keeper| self.beside.spawn(keeper.run()));
        }
        if let Some(Err(crash)) = self.beside.try_join_next() {
            tracing::error!(error = %crash, "housekeeping crashed");
            let reason = "housekeeping has crashed and does nothing: restart the task, and please report it";
            self.degraded = Some(self.conditions.degraded(reason));
        }
        for (minute, word) in self.telling.take_told() {
            reader.told(minute, &word.tally);
        }
    }
}

/// The log must still know what is looked at.
fn too_late(config: &HousekeepingConfig, table: &Table) -> Option<Problem> {
    let ttl = table.ttl().filter(|ttl| *ttl < config.after.get().saturating_add(SPARE))?;
    let message = format!(
        "the CDC log of {} forgets rows after {} s, before they are looked at",
        table.quoted(),
        ttl.as_secs()
    );
    Some(
        Problem::new("/after", message)
            .help("name a time that ends ten minutes before the log's TTL, or raise that"),
    )
}

/// What looking takes, at most.
const SPARE: Duration = Duration::from_secs(600);
