//! What a record becomes: key, value, headers and time of a message.

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use weir_sdk::Record;

use crate::config::{HeaderChoice, Key, RedpandaConfig, Time};

/// A message on its way to librdkafka, which copies key and value; it carries its ticket.
pub(crate) type Message<'a> = BaseRecord<'a, [u8], [u8], usize>;

/// Which parts of a record go along.
#[derive(Debug)]
pub(crate) struct Shape {
    key: Key,
    headers: HeaderChoice,
    time: Time,
}

impl Shape {
    pub(crate) fn new(config: &RedpandaConfig) -> Self {
        Self { key: config.key.clone(), headers: config.headers.clone(), time: config.timestamp }
    }

    /// The message for a record. Its headers are built here, once, however often it is refused for want of room.
    pub(crate) fn message<'a>(&self, topic: &'a str, record: &'a Record, ticket: usize) -> Message<'a> {
        let mut message = Message::with_opaque_to(topic, ticket);
        message.key = match self.key {
            Key::Record => record.key.as_deref(),
            Key::None => None,
        };
        message.payload = record.value.as_deref();
        message.timestamp = match self.time {
            Time::Source => Some(record.timestamp.as_millis()),
            Time::Arrival => None,
        };
        message.headers = self.headers_of(record);
        message
    }

    fn headers_of(&self, record: &Record) -> Option<OwnedHeaders> {
        if record.headers.is_empty() || self.headers == HeaderChoice::None {
            return None;
        }
        let mut built = OwnedHeaders::new_with_capacity(record.headers.len());
        for header in record.headers.iter() {
            let name = header.name.as_str();
            if self.takes(name) {
                built = built.insert(Header { key: name, value: header.value });
            }
        }
        Some(built)
    }

    fn takes(&self, name: &str) -> bool {
        match &self.headers {
            HeaderChoice::All => true,
            HeaderChoice::None => false,
            HeaderChoice::Only(names) => names.iter().any(|known| known == name),
            HeaderChoice::Except(names) => names.iter().all(|known| known != name),
        }
    }
}

/// The bytes of a message that count against the room: those that its delivery report tells again.
pub(crate) fn size(key: Option<&[u8]>, value: Option<&[u8]>) -> usize {
    key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len)
}

#[cfg(test)]
mod tests {
    use super::Shape;
    use crate::config::RedpandaConfig;
    use rdkafka::message::Headers;
    use serde_json::{Value, json};
    use weir_sdk::config::read;
    use weir_sdk::testing::{RecordExt, record, tombstone};

    fn shape(block: Value) -> Shape {
        let mut config = json!({"brokers": "a", "topic": "t"});
        config.as_object_mut().unwrap().extend(block.as_object().unwrap().clone());
        Shape::new(&read::<RedpandaConfig>(&config).unwrap())
    }

    #[test]
    fn the_parts_that_are_asked_for_go_along() {
        let full =
            record("key", "value").header("a", "1").header("b", "2").header("a", "3").micros(1_234_567);
        let names = |shape: &Shape| -> Option<Vec<String>> {
            let headers = shape.message("t", &full, 0).headers?;
            Some(headers.iter().map(|header| header.key.to_owned()).collect())
        };
        let all = shape(json!({}));
        let message = all.message("t", &full, 7);
        assert_eq!((message.key, message.payload), (Some(&b"key"[..]), Some(&b"value"[..])));
        assert_eq!((message.timestamp, message.delivery_opaque), (Some(1_234), 7));
        assert_eq!(names(&all).unwrap(), ["a", "b", "a"]);
        assert_eq!(names(&shape(json!({"headers": {"only": ["b", "c"]}}))).unwrap(), ["b"]);
        assert_eq!(names(&shape(json!({"headers": {"except": ["b"]}}))).unwrap(), ["a", "a"]);
        assert_eq!(names(&shape(json!({"headers": "none"}))), None);

        let bare = shape(json!({"key": "none", "timestamp": "arrival"}));
        let message = bare.message("t", &full, 0);
        assert_eq!((message.key, message.timestamp), (None, None));
        assert_eq!(all.message("t", &tombstone("key"), 0).payload, None);
    }
}
