//! What a message becomes: a record whose bytes are copied once, key and value into one piece of memory.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers as _, Message as _};
use weir_sdk::{HeaderName, Headers, Origin, Packer, Partition, Record, Timestamp};

/// Names of headers seen so far, so that a name costs no memory of its own in each record.
pub(super) struct Names {
    known: HashMap<String, HeaderName>,
    /// Messages of a topic mostly have the same headers as the one before.
    last: Packer,
}

/// More names than any sane topic has.
const NAMES: usize = 1_000;
/// Headers share pieces of memory no larger than this, so that one record kept keeps no more.
const PIECE: usize = 16 * 1024;

impl Default for Names {
    fn default() -> Self {
        Self { known: HashMap::new(), last: Packer::new([].into(), 0) }
    }
}

impl Names {
    pub(super) fn record(&mut self, message: &BorrowedMessage<'_>, partition: &Partition) -> Record {
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let mut memory = Vec::with_capacity(length(message.key()) + length(message.payload()));
        let mut keep = |bytes: Option<&[u8]>| {
            bytes.map(|bytes| {
                let begin = memory.len();
                memory.extend_from_slice(bytes);
                begin..memory.len()
            })
        };
        let (key, value) = (keep(message.key()), keep(message.payload()));
        let memory = Bytes::from(memory);
        let slice = |range: Option<Range<usize>>| range.map(|range| memory.slice(range));
        Record {
            key: slice(key),
            value: slice(value),
            headers: message.headers().map_or_else(Headers::default, |headers| self.headers(headers)),
            timestamp: Timestamp(message.timestamp().to_millis().unwrap_or(0).saturating_mul(1000)),
            origin: Origin { partition: partition.clone(), offset: message.offset().to_string().into() },
        }
    }

    fn headers(&mut self, headers: &BorrowedHeaders) -> Headers {
        let names = || headers.iter().map(|header| header.key);
        if !names().eq(self.last.names().iter().map(HeaderName::as_str)) {
            self.last = Packer::new(names().map(|name| self.name(name)).collect(), PIECE);
        }
        let mut packing = self.last.begin();
        for header in headers.iter() {
            match header.value {
                Some(value) => packing.copy(value),
                None => packing.null(),
            }
        }
        packing.end()
    }

    fn name(&mut self, name: &str) -> HeaderName {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        let new = HeaderName::from(name.to_owned());
        if self.known.len() < NAMES {
            self.known.insert(name.to_owned(), new.clone());
        }
        new
    }
}
