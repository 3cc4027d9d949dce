//! An event and what everybody must know about it without reading its payload.
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Traceparent;

/// An event as it stands in the store: part of its aggregate's history for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventEnvelope {
    /// Unique; a consumer that sees it twice sees a repeat.
    pub event_id: Uuid,
    /// What happened, e.g. `OrderShipped`.
    pub event_type: String,
    /// The version of the payload's form.
    pub event_version: i32,
    /// Whose history this is part of.
    pub aggregate_id: Uuid,
    /// What kind of thing that is, e.g. `Order`.
    pub aggregate_type: String,
    /// 1 for the first event of an aggregate, without gaps.
    pub sequence_number: i64,
    /// The request that everything of one cause shares.
    pub correlation_id: Option<Uuid>,
    /// The command or event that led to this one.
    pub causation_id: Option<Uuid>,
    /// The trace that it was written in. The outbox has it, if the table has a column `traceparent`; the event store
    /// does not, so an event that is read back has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Traceparent>,
    /// When it was appended, by the writer's clock, in milliseconds. For people; order comes from `sequence_number`.
    pub created_at: Timestamp,
    /// The event itself, as text: JSON by habit, though nothing here looks into it.
    pub payload: String,
}

/// An event that is to be appended. The store adds aggregate, sequence number and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Unique. Appending an event whose id is already at its place in the history changes nothing and succeeds.
    pub event_id: Uuid,
    /// What happened.
    pub event_type: String,
    /// The version of the payload's form.
    pub event_version: i32,
    /// The request that everything of one cause shares.
    pub correlation_id: Option<Uuid>,
    /// The command or event that led to this one.
    pub causation_id: Option<Uuid>,
    /// The trace that it is written in.
    pub traceparent: Option<Traceparent>,
    /// The event itself, as text.
    pub payload: String,
}

impl NewEvent {
    /// An event with a fresh id and no known cause.
    pub fn new(event_type: impl Into<String>, event_version: i32, payload: impl Into<String>) -> Self {
        Self {
            event_id: Uuid::now_v7(),
            event_type: event_type.into(),
            event_version,
            correlation_id: None,
            causation_id: None,
            traceparent: None,
            payload: payload.into(),
        }
    }

    /// What it takes of the largest append, in bytes: the texts, and the fixed columns roughly.
    pub(crate) fn size(&self) -> usize {
        const FIXED: usize = 200;
        FIXED + self.event_type.len() + self.payload.len()
    }
}
