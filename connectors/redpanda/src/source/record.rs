//! What a message becomes: a record whose bytes are copied once, into one piece of memory.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use weir_sdk::{Header, HeaderName, Headers, Origin, Partition, Record, Timestamp};

/// Names of headers seen so far, so that a name costs no memory of its own in each record.
#[derive(Default)]
pub(super) struct Names(HashMap<String, HeaderName>);

/// More names than any sane topic has.
const NAMES: usize = 1_000;

impl Names {
    pub(super) fn record(&mut self, message: &BorrowedMessage<'_>, partition: &Partition) -> Record {
        let headers = message.headers();
        let all = || headers.iter().flat_map(|headers| headers.iter());
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let of_headers = all().map(|header| length(header.value)).sum::<usize>();
        let mut memory = Vec::with_capacity(length(message.key()) + length(message.payload()) + of_headers);
        let mut keep = |bytes: Option<&[u8]>| {
            bytes.map(|bytes| {
                let begin = memory.len();
                memory.extend_from_slice(bytes);
                begin..memory.len()
            })
        };
        let (key, value) = (keep(message.key()), keep(message.payload()));
        let kept: Vec<_> = all().map(|header| (self.name(header.key), keep(header.value))).collect();
        let memory = Bytes::from(memory);
        let slice = |range: Option<Range<usize>>| range.map(|range| memory.slice(range));
        let headers: Headers =
            kept.into_iter().map(|(name, value)| Header { name, value: slice(value) }).collect();
        Record {
            key: slice(key),
            value: slice(value),
            headers,
            timestamp: Timestamp(message.timestamp().to_millis().unwrap_or(0).saturating_mul(1000)),
            origin: Origin { partition: partition.clone(), offset: message.offset().to_string().into() },
        }
    }

    fn name(&mut self, name: &str) -> HeaderName {
        if let Some(known) = self.0.get(name) {
            return known.clone();
        }
        let new = HeaderName::from(name.to_owned());
        if self.0.len() < NAMES {
            self.0.insert(name.to_owned(), new.clone());
        }
        new
    }
}
