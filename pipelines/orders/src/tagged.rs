//! Events whose payload is one JSON object, and whose type stands beside it.
use serde::Serialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::{Map, Value};

/// The payload of an event, without its type; `event` is an enum of structs.
pub(crate) fn encode(event: &impl Serialize) -> Result<String, serde_json::Error> {
    match serde_json::to_value(event)? {
        Value::Object(tagged) if tagged.len() == 1 => tagged
            .into_values()
            .next()
            .map_or_else(|| Ok("{}".to_owned()), |payload| serde_json::to_string(&payload)),
        _ => Err(serde_json::Error::custom("an event is an enum of structs")),
    }
}

/// The event of this type with this payload.
pub(crate) fn decode<E: DeserializeOwned>(event_type: &str, payload: &str) -> Result<E, serde_json::Error> {
    let tagged = Map::from_iter([(event_type.to_owned(), serde_json::from_str(payload)?)]);
    serde_json::from_value(Value::Object(tagged))
}
