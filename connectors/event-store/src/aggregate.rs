//! What an application writes: how an aggregate takes in its events, and how it decides on a command. Both are pure.
use jiff::Timestamp;
use uuid::Uuid;

/// A thing with rules, rebuilt from its events whenever a command comes.
///
/// `Default` is the state before the first event.
pub trait Aggregate: Default + Send + Sync {
    /// The name of this kind of aggregate, e.g. `Order`. It is stored with every event.
    const TYPE: &'static str;
    /// What can be asked of it.
    type Command: Sync;
    /// What can happen to it.
    type Event: DomainEvent + Send;
    /// Why it says no.
    type Refusal: std::error::Error + Send + Sync + 'static;

    /// Takes in what has happened. Never refuses: it is a fact already.
    fn apply(&mut self, event: &Self::Event);

    /// What happens if `command` comes now; an empty list when there is nothing to do. Must not change anything, and
    /// must give the same answer to the same question, because it is asked again after a conflict.
    ///
    /// # Errors
    /// When the rules forbid it. Nothing is written then.
    fn decide(&self, command: &Self::Command, context: &Context) -> Result<Vec<Self::Event>, Self::Refusal>;
}

/// What a decision may use beside the aggregate's own state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The aggregate that decides. Its state does not know its own name before the first event.
    pub aggregate_id: Uuid,
    /// The time of the decision, in whole milliseconds.
    pub now: Timestamp,
}

/// An event of an application, and the text it is stored as.
pub trait DomainEvent: Sized {
    /// The name that readers know it by, e.g. `OrderShipped`.
    fn event_type(&self) -> &'static str;

    /// The version of the payload that [`DomainEvent::encode`] writes.
    fn event_version(&self) -> i32 {
        1
    }

    /// The payload.
    ///
    /// # Errors
    /// When the event cannot be written as text.
    fn encode(&self) -> Result<String, serde_json::Error>;

    /// The event behind a stored payload.
    ///
    /// # Errors
    /// When the type is not known, or the payload is not what its type and version promise.
    fn decode(event_type: &str, event_version: i32, payload: &str) -> Result<Self, serde_json::Error>;
}
