//! The smallest aggregate: a counter that can be raised up to a limit.
use serde::{Deserialize, Serialize};
use weir_event_store::{Aggregate, Context, DomainEvent, Snapshot};

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counter {
    pub(crate) count: u64,
}

/// Raise the counter once, but not above `limit`.
#[derive(Debug)]
pub(crate) struct Raise {
    pub(crate) by: &'static str,
    pub(crate) limit: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Raised {
    by: String,
    to: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("the counter is at its limit of {0}")]
pub(crate) struct AtLimit(u64);

impl Aggregate for Counter {
    const TYPE: &'static str = "Counter";
    type Command = Raise;
    type Event = Raised;
    type Refusal = AtLimit;

    fn apply(&mut self, event: &Raised) {
        assert_eq!(event.to, self.count + 1, "an event was decided on another state than it follows");
        self.count = event.to;
    }

    fn decide(&self, command: &Raise, _: &Context) -> Result<Vec<Raised>, AtLimit> {
        if self.count >= command.limit {
            return Err(AtLimit(command.limit));
        }
        Ok(vec![Raised { by: command.by.to_owned(), to: self.count + 1 }])
    }
}

impl Snapshot for Counter {
    const VERSION: i32 = 1;
}

impl DomainEvent for Raised {
    fn event_type(&self) -> &'static str {
        "Raised"
    }

    fn encode(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    fn decode(_: &str, _: i32, payload: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(payload)
    }
}
