//! From a command to appended events: load, decide, append, and again when somebody else was faster.
use std::marker::PhantomData;
use std::time::Duration;

use uuid::Uuid;

use crate::load::Pause;
use crate::{Aggregate, Context, DomainEvent, Error, EventEnvelope, EventStore, Head, NewEvent};

/// Carries out the commands of one kind of aggregate.
#[derive(Debug)]
pub struct CommandHandler<A> {
    store: EventStore,
    retries: Retries,
    aggregate: PhantomData<fn() -> A>,
}

impl<A> Clone for CommandHandler<A> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), retries: self.retries, aggregate: PhantomData }
    }
}

/// How often a command is tried while others are faster, with random pauses in between.
#[derive(Debug, Clone, Copy)]
pub struct Retries {
    /// Tries in all, at least one.
    pub attempts: u32,
    /// The longest first pause; it doubles each time.
    pub initial: Duration,
    /// The longest pause.
    pub max: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self { attempts: 20, initial: Duration::from_millis(5), max: Duration::from_millis(500) }
    }
}

/// Why a command came: carried by every event that it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause {
    /// The request that everything of one cause shares.
    pub correlation_id: Uuid,
    /// The command, or the event that led to it.
    pub causation_id: Uuid,
}

impl Cause {
    /// A new request, with a command of its own.
    #[must_use]
    pub fn new_request() -> Self {
        Self { correlation_id: Uuid::now_v7(), causation_id: Uuid::now_v7() }
    }

    /// What follows from an event: of the same request, caused by it.
    #[must_use]
    pub fn from_event(event: &EventEnvelope) -> Self {
        let correlation_id = event.correlation_id.unwrap_or(event.event_id);
        Self { correlation_id, causation_id: event.event_id }
    }
}

/// What a command has done.
#[derive(Debug)]
pub struct Executed<A> {
    /// The aggregate after it.
    pub aggregate: A,
    /// Where its history ends now.
    pub head: Head,
    /// The events that the command led to, in order; none when there was nothing to do.
    pub events: Vec<EventEnvelope>,
}

/// What a command leads to, not appended yet.
#[derive(Debug)]
pub struct Decision<A> {
    /// The aggregate that decided.
    pub aggregate: A,
    /// Where its history ended then.
    pub head: Head,
    /// What it decided.
    pub events: Vec<NewEvent>,
}

/// Why a command has done nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommandError<R: std::error::Error + 'static> {
    /// The rules forbid it.
    #[error("refused: {0}")]
    Refused(#[source] R),
    /// The store could not do it. Only [`Error::Busy`] and [`Error::Unpublished`] leave open whether the events will
    /// be there; a load tells.
    #[error(transparent)]
    Store(#[from] Error),
}

impl<A: Aggregate> CommandHandler<A> {
    /// A handler that appends to `store`.
    #[must_use]
    pub fn new(store: EventStore) -> Self {
        Self::with_retries(store, Retries::default())
    }

    /// A handler that tries as often as `retries` says.
    #[must_use]
    pub fn with_retries(store: EventStore, retries: Retries) -> Self {
        Self { store, retries, aggregate: PhantomData }
    }

    /// The store that it appends to.
    #[must_use]
    pub fn store(&self) -> &EventStore {
        &self.store
    }

    /// Carries out a command: its events are in the event store and in the outbox when this answers.
    ///
    /// # Errors
    /// [`CommandError::Refused`] when the rules forbid it (nothing is written), [`CommandError::Store`] when the store
    /// fails, or when others were faster as often as there are tries.
    pub async fn execute(
        &self,
        aggregate_id: Uuid,
        command: &A::Command,
        cause: &Cause,
    ) -> Result<Executed<A>, CommandError<A::Refusal>> {
        let mut pause = Pause::new(self.retries.initial, self.retries.max);
        let mut tried = Vec::new();
        let mut open = None;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let error = match self.attempt(aggregate_id, command, cause, &mut tried).await {
                Err(CommandError::Store(error)) => error,
                done => return done,
            };
            // While it is open whether an earlier try took effect, only a load can tell, so even a failed one is
            // tried again, and the last word is that it is open.
            let again = error.calls_for_another_try() || open.is_some();
            tracing::debug!(%aggregate_id, attempt, %error, "the command was not carried out");
            if !again || attempt >= self.retries.attempts {
                return Err(CommandError::Store(open.unwrap_or(error)));
            }
            if matches!(error, Error::Busy { .. } | Error::Unpublished { .. }) {
                open = Some(error);
            }
            pause.wait().await;
        }
    }

    /// The first half of [`CommandHandler::execute`]: loads the aggregate and lets it decide. For callers that want
    /// to take the steps of the append one by one.
    ///
    /// # Errors
    /// As [`CommandHandler::execute`].
    pub async fn decide(
        &self,
        aggregate_id: Uuid,
        command: &A::Command,
        cause: &Cause,
    ) -> Result<Decision<A>, CommandError<A::Refusal>> {
        let (aggregate, head, _) = self.load(aggregate_id).await?;
        decide(&self.store, aggregate, head, (command, cause))
    }

    /// The aggregate as its events have made it, and where they end.
    ///
    /// # Errors
    /// When the store cannot read them, or one cannot be decoded.
    pub async fn load(&self, aggregate_id: Uuid) -> Result<(A, Head, Vec<EventEnvelope>), Error> {
        let history = self.store.load(aggregate_id).await?;
        let mut aggregate = A::default();
        apply_all(&mut aggregate, &history.events)?;
        Ok((aggregate, history.head, history.events))
    }

    /// `tried` keeps the ids of all events that were handed to the store, so that a try whose outcome was unknown is
    /// recognised when it turns out to have succeeded.
    async fn attempt(
        &self,
        aggregate_id: Uuid,
        command: &A::Command,
        cause: &Cause,
        tried: &mut Vec<Uuid>,
    ) -> Result<Executed<A>, CommandError<A::Refusal>> {
        let (aggregate, head, history) = self.load(aggregate_id).await?;
        let done: Vec<_> = history.into_iter().filter(|e| tried.contains(&e.event_id)).collect();
        if !done.is_empty() {
            return Ok(Executed { aggregate, head, events: done });
        }
        let decision = decide(&self.store, aggregate, head, (command, cause))?;
        tried.extend(decision.events.iter().map(|e| e.event_id));
        let appended = self.store.append(&decision.head, A::TYPE, decision.events).await?;
        let mut aggregate = decision.aggregate;
        apply_all(&mut aggregate, &appended.events)?;
        Ok(Executed { aggregate, head: appended.head, events: appended.events })
    }
}

fn decide<A: Aggregate>(
    store: &EventStore,
    aggregate: A,
    head: Head,
    (command, cause): (&A::Command, &Cause),
) -> Result<Decision<A>, CommandError<A::Refusal>> {
    let context = Context { aggregate_id: head.aggregate_id(), now: store.options().clock.now() };
    let decided = aggregate.decide(command, &context).map_err(CommandError::Refused)?;
    let events = decided.iter().map(|event| encode(event, cause)).collect::<Result<_, Error>>()?;
    Ok(Decision { aggregate, head, events })
}

fn encode<E: DomainEvent>(event: &E, cause: &Cause) -> Result<NewEvent, Error> {
    let (event_type, event_version) = (event.event_type(), event.event_version());
    let payload = event.encode().map_err(|source| Error::Payload {
        event_type: event_type.to_owned(),
        event_version,
        source,
    })?;
    let mut new = NewEvent::new(event_type, event_version, payload);
    new.correlation_id = Some(cause.correlation_id);
    new.causation_id = Some(cause.causation_id);
    Ok(new)
}

fn apply_all<A: Aggregate>(aggregate: &mut A, events: &[EventEnvelope]) -> Result<(), Error> {
    for event in events {
        let decoded =
            A::Event::decode(&event.event_type, event.event_version, &event.payload).map_err(|source| {
                Error::Payload {
                    event_type: event.event_type.clone(),
                    event_version: event.event_version,
                    source,
                }
            })?;
        aggregate.apply(&decoded);
    }
    Ok(())
}
