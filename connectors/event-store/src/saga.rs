//! A saga (process manager): reacts to what happens to several aggregates, and asks something of others.
//!
//! A saga is itself kept as events, its *steps*. A signal comes in (an event of some aggregate, or a time-out), the saga
//! decides on steps, they are appended to its history, and then each step is carried out: commands to aggregates,
//! time-outs to set. Undoing is a step like any other. A saga is known by the id of what it is about; its history lies
//! under an id of its own, made of that and the name of its kind.
//!
//! It survives a kill at any point because each half can be repeated. A signal that comes again finds its steps in
//! the history by the id of its event ([`CommandHandler::execute_once`]), and carries the same steps out again; a
//! command that is sent again finds its events by the id of the step. So the caller has one duty: to give a signal
//! again until it was taken, which is what at-least-once delivery does.
mod timeouts;

use std::convert::Infallible;

use jiff::Timestamp;
use uuid::Uuid;

use crate::{Aggregate, Cause, CommandError, CommandHandler, Context, DomainEvent, Error, EventStore};
use timeouts::Timeouts;

/// What an application writes of a saga; all of it is pure.
///
/// `Default` is the state before the first step.
pub trait Saga: Default + Send + Sync {
    /// The name of this kind of saga. It is stored with every step.
    const TYPE: &'static str;
    /// What it reacts to.
    type Signal: Send + Sync;
    /// What it decides, kept as its history.
    type Step: DomainEvent + Send + Sync;

    /// Takes in a step.
    fn apply(&mut self, step: &Self::Step);

    /// What follows from a signal; an empty list when nothing does. Signals may come in any order and more than once.
    fn react(&self, signal: &Self::Signal, context: &Context) -> Vec<Self::Step>;

    /// When the saga wants to hear of a time-out that this step sets.
    fn due(_: &Self::Step) -> Option<Timestamp> {
        None
    }

    /// The signal that such a time-out is.
    fn time_out() -> Self::Signal;
}

/// What a step does to the world.
pub trait CarryOut<S: Saga>: Send + Sync {
    /// Sends the commands of a step, each with `cause` and by [`CommandHandler::execute_once`], since a step may be
    /// carried out more than once. At most one command to each aggregate. A command that is refused is no error: the
    /// saga hears of what happens instead as a signal.
    ///
    /// # Errors
    /// When a command could not be sent; the signal will come again.
    fn carry_out(
        &self,
        saga_id: Uuid,
        step: &S::Step,
        cause: &Cause,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Runs the sagas of one kind.
#[derive(Debug)]
pub struct SagaRunner<S, C> {
    sagas: CommandHandler<Kept<S>>,
    timeouts: Timeouts,
    effects: C,
}

impl<S: Saga, C: CarryOut<S>> SagaRunner<S, C> {
    /// Keeps the steps in `store`, and time-outs in its table of them.
    ///
    /// # Errors
    /// [`Error::Database`] when there is no such table, or the database does not answer.
    pub async fn open(store: EventStore, effects: C) -> Result<Self, Error> {
        let timeouts = Timeouts::open(store.clone(), S::TYPE).await?;
        Ok(Self { sagas: CommandHandler::new(store), timeouts, effects })
    }

    /// Gives a signal to a saga. `cause` says which event it is: [`Cause::from_event`], or both ids of a record.
    ///
    /// # Errors
    /// When the steps could not be stored or carried out, perhaps in part: give the signal again.
    pub async fn signal(&self, saga_id: Uuid, signal: &S::Signal, cause: &Cause) -> Result<(), Error> {
        let decided = self.sagas.execute_once(kept_as::<S>(saga_id), signal, cause).await;
        let decided = decided.map_err(|error| match error {
            CommandError::Store(error) => error,
            CommandError::Refused(never) => match never {},
        })?;
        for event in &decided.events {
            let step = S::Step::decode(&event.event_type, event.event_version, &event.payload);
            let step = step.map_err(|source| Error::Payload {
                event_type: event.event_type.clone(),
                event_version: event.event_version,
                source,
            })?;
            if let Some(due) = S::due(&step) {
                self.timeouts.set(saga_id, event.event_id, due).await?;
            }
            self.effects.carry_out(saga_id, &step, &Cause::from_event(event)).await?;
        }
        Ok(())
    }

    /// Gives their signal to the sagas whose time-outs are due; how many there were. To be called again and again.
    ///
    /// # Errors
    /// As [`SagaRunner::signal`]; time-outs that were not given stay due.
    pub async fn time_out(&self) -> Result<usize, Error> {
        let due = self.timeouts.due().await?;
        for timeout in &due {
            let (correlation_id, causation_id) = (timeout.saga_id, timeout.step_id);
            let cause = Cause { correlation_id, causation_id, traceparent: None };
            self.signal(timeout.saga_id, &S::time_out(), &cause).await?;
            self.timeouts.forget(timeout).await?;
        }
        Ok(due.len())
    }

    /// The saga as its steps have made it.
    ///
    /// # Errors
    /// When the store cannot read them.
    pub async fn load(&self, saga_id: Uuid) -> Result<S, Error> {
        Ok(self.sagas.load(kept_as::<S>(saga_id)).await?.aggregate.0)
    }
}

/// The id of a saga's history.
fn kept_as<S: Saga>(saga_id: Uuid) -> Uuid {
    Uuid::new_v5(&saga_id, S::TYPE.as_bytes())
}

/// A saga as the aggregate that it is kept as.
#[derive(Debug, Default)]
struct Kept<S>(S);

impl<S: Saga> Aggregate for Kept<S> {
    const TYPE: &'static str = S::TYPE;
    type Command = S::Signal;
    type Event = S::Step;
    type Refusal = Infallible;

    fn apply(&mut self, step: &S::Step) {
        self.0.apply(step);
    }

    fn decide(&self, signal: &S::Signal, context: &Context) -> Result<Vec<S::Step>, Infallible> {
        Ok(self.0.react(signal, context))
    }
}
