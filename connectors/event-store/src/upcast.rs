//! Upcasting: payloads of older forms brought up to the form of today, whenever they are read.
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::{Error, EventEnvelope};

/// What turns events of older forms into those of today, one step from each older form. What is stored never changes.
///
/// ```
/// use serde_json::json;
/// use weir_event_store::Upcasters;
///
/// let upcasters = Upcasters::default()
///     // Version 1 had one price for all, in whole euros.
///     .payload("OrderCreated", 1, |mut old| {
///         old["total_cents"] = json!(old["total"].as_i64().unwrap_or_default() * 100);
///         old
///     })
///     .renamed("OrderUpdated", 1, "OrderItemsUpdated");
/// ```
#[derive(Clone, Default)]
pub struct Upcasters(HashMap<String, HashMap<i32, Step>>);

#[derive(Clone)]
enum Step {
    /// To the next version.
    Payload(Arc<dyn Fn(Value) -> Value + Send + Sync>),
    /// To another type of the same version.
    Renamed(String),
}

impl Upcasters {
    /// How a payload of `event_type` in version `from` becomes one in version `from + 1`.
    #[must_use]
    pub fn payload(
        mut self,
        event_type: &str,
        from: i32,
        change: impl Fn(Value) -> Value + Send + Sync + 'static,
    ) -> Self {
        self.add(event_type, from, Step::Payload(Arc::new(change)));
        self
    }

    /// What events of `event_type` in version `from` are called today. Their version stays.
    #[must_use]
    pub fn renamed(mut self, event_type: &str, from: i32, to: &str) -> Self {
        self.add(event_type, from, Step::Renamed(to.to_owned()));
        self
    }

    fn add(&mut self, event_type: &str, from: i32, step: Step) {
        self.0.entry(event_type.to_owned()).or_default().insert(from, step);
    }

    /// Brings an event up to the form of today; most are already, and are not looked into.
    ///
    /// # Errors
    /// [`Error::Payload`] when an event of an older form is not JSON.
    pub fn upcast(&self, event: &mut EventEnvelope) -> Result<(), Error> {
        let mut payload: Option<Value> = None;
        // As many steps as there are forms: names that lead in a circle come to rest.
        for _ in 0..=self.0.values().map(HashMap::len).sum() {
            match self.0.get(&event.event_type).and_then(|steps| steps.get(&event.event_version)) {
                None => break,
                Some(Step::Renamed(to)) => event.event_type.clone_from(to),
                Some(Step::Payload(change)) => {
                    let old = match payload.take() {
                        Some(old) => old,
                        None => {
                            serde_json::from_str(&event.payload).map_err(|source| refused(event, source))?
                        }
                    };
                    payload = Some(change(old));
                    event.event_version += 1;
                }
            }
        }
        if let Some(payload) = payload {
            event.payload = payload.to_string();
        }
        Ok(())
    }
}

fn refused(event: &EventEnvelope, source: serde_json::Error) -> Error {
    Error::Payload { event_type: event.event_type.clone(), event_version: event.event_version, source }
}

/// The forms that it knows.
impl fmt::Debug for Upcasters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.0.iter().flat_map(|(name, steps)| steps.keys().map(move |version| (name, version)));
        f.debug_set().entries(known).finish()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;
    use uuid::Uuid;

    use super::Upcasters;
    use crate::EventEnvelope;

    fn event(event_type: &str, event_version: i32, payload: &str) -> EventEnvelope {
        EventEnvelope {
            event_id: Uuid::nil(),
            event_type: event_type.to_owned(),
            event_version,
            aggregate_id: Uuid::nil(),
            aggregate_type: "Order".to_owned(),
            sequence_number: 1,
            correlation_id: None,
            causation_id: None,
            traceparent: None,
            created_at: Timestamp::UNIX_EPOCH,
            payload: payload.to_owned(),
        }
    }

    fn upcasters() -> Upcasters {
        Upcasters::default()
            .payload("Created", 1, |mut old| {
                old["cents"] = json!(old["euros"].as_i64().unwrap() * 100);
                old
            })
            .renamed("Created", 2, "Placed")
            .payload("Placed", 2, |mut old| {
                old.as_object_mut().unwrap().remove("euros");
                old
            })
    }

    #[test]
    fn every_older_form_comes_to_the_one_of_today() {
        for (name, version, payload) in [
            ("Created", 1, r#"{"euros":3}"#),
            ("Created", 2, r#"{"cents":300,"euros":3}"#),
            ("Placed", 3, r#"{"cents":300}"#),
        ] {
            let mut event = event(name, version, payload);
            upcasters().upcast(&mut event).unwrap();
            assert_eq!((event.event_type.as_str(), event.event_version), ("Placed", 3));
            assert_eq!(event.payload, r#"{"cents":300}"#);
        }
    }

    #[test]
    fn what_is_of_today_is_not_looked_into_and_a_circle_ends() {
        let mut today = event("Placed", 3, "no JSON");
        upcasters().upcast(&mut today).unwrap();
        assert_eq!(today.payload, "no JSON");
        let mut old = event("Created", 1, "no JSON");
        assert!(
            upcasters().upcast(&mut old).unwrap_err().to_string().starts_with("event Created version 1: ")
        );
        let circle = Upcasters::default().renamed("A", 1, "B").renamed("B", 1, "A");
        circle.upcast(&mut event("A", 1, "{}")).unwrap();
    }
}
