//! From a command to appended events: load, decide, append, and again when somebody else was faster.
use std::num::NonZeroU32;
use std::time::Duration;

use uuid::Uuid;

use crate::load::Pause;
use crate::snapshot::{Snapshot, Snapshots};
use crate::{Aggregate, Context, DomainEvent, Error, EventEnvelope, EventStore, Head, NewEvent, Traceparent};

/// Carries out the commands of one kind of aggregate.
#[derive(Debug)]
pub struct CommandHandler<A> {
    store: EventStore,
    retries: Retries,
    snapshots: Option<Snapshots<A>>,
}

impl<A> Clone for CommandHandler<A> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), retries: self.retries, snapshots: self.snapshots }
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
    /// The trace that this happens in; [`Cause::traced`].
    pub traceparent: Option<Traceparent>,
}

impl Cause {
    /// A new request, with a command of its own.
    #[must_use]
    pub fn new_request() -> Self {
        Self { correlation_id: Uuid::now_v7(), causation_id: Uuid::now_v7(), traceparent: None }
    }

    /// What follows from an event: of the same request, caused by it.
    #[must_use]
    pub fn from_event(event: &EventEnvelope) -> Self {
        let correlation_id = event.correlation_id.unwrap_or(event.event_id);
        Self { correlation_id, causation_id: event.event_id, traceparent: event.traceparent }
    }

    /// The same, as a part of this trace.
    #[must_use]
    pub fn traced(self, traceparent: Traceparent) -> Self {
        Self { traceparent: Some(traceparent), ..self }
    }
}

/// An aggregate as its events have made it.
#[derive(Debug)]
pub struct Loaded<A> {
    /// Its state.
    pub aggregate: A,
    /// Where its history ends.
    pub head: Head,
    /// Its events: all of them, or those behind the snapshot that the load began with.
    pub events: Vec<EventEnvelope>,
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
        Self { store, retries, snapshots: None }
    }

    /// Keeps a snapshot of an aggregate every so many events, and begins a load with the newest one. The table is
    /// [`Options::snapshots`](crate::Options::snapshots).
    #[must_use]
    pub fn with_snapshots(self, every: NonZeroU32) -> Self
    where
        A: Snapshot,
    {
        Self { snapshots: Some(Snapshots::every(every)), ..self }
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
        self.carry_out(aggregate_id, (command, cause), Tries::default()).await
    }

    /// Like [`CommandHandler::execute`], for a command that may come more than once: `cause.causation_id` is the
    /// command's own id (or that of the event it follows from, when that leads to one command on this aggregate). If
    /// the history has events of it, these are the answer, and nothing is decided again.
    ///
    /// A command that led to no events leaves no trace, and is decided anew. With snapshots, the database looks
    /// through the aggregate's history for the id.
    ///
    /// # Errors
    /// As [`CommandHandler::execute`].
    pub async fn execute_once(
        &self,
        aggregate_id: Uuid,
        command: &A::Command,
        cause: &Cause,
    ) -> Result<Executed<A>, CommandError<A::Refusal>> {
        let tries = Tries { once: Some(cause.causation_id), ..Tries::default() };
        self.carry_out(aggregate_id, (command, cause), tries).await
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
        let loaded = self.load(aggregate_id).await?;
        decide(&self.store, loaded, (command, cause))
    }

    /// The aggregate as its events have made it, and where they end.
    ///
    /// # Errors
    /// When the store cannot read them, or one cannot be decoded.
    pub async fn load(&self, aggregate_id: Uuid) -> Result<Loaded<A>, Error> {
        self.load_from(aggregate_id, i64::MAX).await
    }

    /// From the newest snapshot at or before sequence `base`.
    async fn load_from(&self, aggregate_id: Uuid, base: i64) -> Result<Loaded<A>, Error> {
        let snapshot = match &self.snapshots {
            Some(snapshots) if base > 0 => snapshots.newest(&self.store, aggregate_id, base).await?,
            _ => None,
        };
        let (mut aggregate, after) = snapshot.unwrap_or_default();
        let history = self.store.load_after(aggregate_id, after).await?;
        apply_all(&mut aggregate, &history.events)?;
        Ok(Loaded { aggregate, head: history.head, events: history.events })
    }

    async fn carry_out(
        &self,
        aggregate_id: Uuid,
        order: (&A::Command, &Cause),
        mut tries: Tries,
    ) -> Result<Executed<A>, CommandError<A::Refusal>> {
        let mut pause = Pause::new(self.retries.initial, self.retries.max);
        let mut open = None;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let error = match self.attempt(aggregate_id, order, &mut tries).await {
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
            if matches!(error, Error::Busy { .. } | Error::Unpublished { .. } | Error::Ahead { .. }) {
                open = Some(error);
            }
            pause.wait().await;
        }
    }

    async fn attempt(
        &self,
        aggregate_id: Uuid,
        order: (&A::Command, &Cause),
        tries: &mut Tries,
    ) -> Result<Executed<A>, CommandError<A::Refusal>> {
        let loaded = self.load_from(aggregate_id, tries.base).await?;
        tries.base = tries.base.min(loaded.head.sequence());
        let done = self.done(&loaded, tries).await?;
        if !done.is_empty() {
            return Ok(Executed { aggregate: loaded.aggregate, head: loaded.head, events: done });
        }
        let decision = decide(&self.store, loaded, order)?;
        tries.events.extend(decision.events.iter().map(|e| e.event_id));
        let appended = self.store.append(&decision.head, A::TYPE, decision.events).await?;
        let mut aggregate = decision.aggregate;
        apply_all(&mut aggregate, &appended.events)?;
        if let Some(snapshots) = &self.snapshots {
            let passed = (decision.head.sequence(), appended.head.sequence());
            snapshots.keep(&self.store, &aggregate, aggregate_id, passed).await;
        }
        Ok(Executed { aggregate, head: appended.head, events: appended.events })
    }

    /// The events that this command has led to already.
    async fn done(&self, loaded: &Loaded<A>, tries: &Tries) -> Result<Vec<EventEnvelope>, Error> {
        let is_ours = |event: &&EventEnvelope| {
            tries.events.contains(&event.event_id)
                || (tries.once.is_some() && event.causation_id == tries.once)
        };
        let done: Vec<_> = loaded.events.iter().filter(is_ours).cloned().collect();
        let unseen = loaded.head.sequence() - i64::try_from(loaded.events.len()).unwrap_or(i64::MAX);
        match tries.once {
            Some(once) if done.is_empty() && unseen > 0 => {
                self.store.caused(loaded.head.aggregate_id(), unseen, once).await
            }
            _ => Ok(done),
        }
    }
}

/// What the tries of one command know of each other.
struct Tries {
    /// The ids of all events that were handed to the store: a try whose outcome was unknown is recognised by them when
    /// it turns out to have succeeded.
    events: Vec<Uuid>,
    /// Where the history ended at the first try: events behind it are loaded, and not passed over by a newer snapshot.
    base: i64,
    /// The command's own id, when it may have been carried out before.
    once: Option<Uuid>,
}

impl Default for Tries {
    fn default() -> Self {
        Self { events: Vec::new(), base: i64::MAX, once: None }
    }
}

fn decide<A: Aggregate>(
    store: &EventStore,
    Loaded { aggregate, head, .. }: Loaded<A>,
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
    new.traceparent = cause.traceparent;
    Ok(new)
}

pub(crate) fn apply_all<A: Aggregate>(aggregate: &mut A, events: &[EventEnvelope]) -> Result<(), Error> {
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
