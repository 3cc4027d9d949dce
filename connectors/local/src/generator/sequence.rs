//! `Sequence`: which record a number stands for.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use weir_sdk::{HeaderName, Headers, Origin, Partition, Record, Timestamp};

use super::GeneratorConfig;

/// The headers of each record, in this order.
const HEADERS: [&str; 2] = ["event_id", "sequence_number"];

/// Turns numbers into records: key `n % keys`, partition `key % partitions`, place inside the key `n / keys`.
pub(super) struct Sequence {
    keys: u64,
    size: usize,
    partitions: Vec<Partition>,
    headers: Arc<[HeaderName]>,
}

impl Sequence {
    pub(super) fn new(config: &GeneratorConfig) -> Self {
        let partitions = (0..config.partitions).map(|index| Partition::from(index.to_string())).collect();
        let headers = HEADERS.map(HeaderName::from).into();
        Self { keys: config.keys, size: config.size.as_usize(), partitions, headers }
    }

    /// Names what a checkpoint means: with other keys or partitions a number is another record.
    pub(super) fn identity(&self) -> String {
        format!("generator of {} keys in {} partitions", self.keys, self.partitions.len())
    }

    pub(super) fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// The index of the partition of record `n`.
    pub(super) fn partition(&self, n: u64) -> usize {
        let index = (n % self.keys) % self.partitions.len() as u64;
        usize::try_from(index).expect("it is less than the length of a list")
    }

    /// Record `n`; its parts are slices of one allocation.
    pub(super) fn record(&self, n: u64, timestamp: Timestamp) -> Record {
        let (key, sequence, partition) = (n % self.keys, n / self.keys, self.partition(n));
        let mut text = Vec::with_capacity(self.size + 96);
        let mut part = |write: &mut dyn FnMut(&mut Vec<u8>)| {
            let begin = text.len();
            write(&mut text);
            begin..text.len()
        };
        let key = part(&mut |text| put(text, format_args!("key-{key}")));
        let number = part(&mut |text| put(text, format_args!("{sequence}")));
        let id = part(&mut |text| put(text, format_args!("{n}")));
        let value = part(&mut |text| {
            let begin = text.len();
            put(text, format_args!(r#"{{"partition":{partition},"sequence":{n},"padding":""#));
            let end = begin + self.size.saturating_sub(2);
            text.resize(end.max(text.len()), b'.');
            text.extend_from_slice(b"\"}");
        });
        let text = Bytes::from(text);
        let headers = Headers::of(&self.headers, &[&text[id.clone()], &text[number]]);
        let origin = Origin { partition: self.partitions[partition].clone(), offset: text.slice(id).into() };
        Record { key: Some(text.slice(key)), value: Some(text.slice(value)), headers, timestamp, origin }
    }
}

fn put(text: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a list in memory takes everything");
}

#[cfg(test)]
mod tests {
    use super::Sequence;
    use crate::generator::GeneratorConfig;
    use weir_sdk::Timestamp;
    use weir_sdk::config::ByteSize;

    #[test]
    fn a_number_always_stands_for_the_same_record() {
        let config =
            GeneratorConfig { size: ByteSize::bytes(60), keys: 5, partitions: 2, ..Default::default() };
        let record = Sequence::new(&config).record(13, Timestamp(7));
        assert_eq!(record.key.as_deref(), Some(&b"key-3"[..]));
        let value = record.value.clone().unwrap();
        assert_eq!(value, r#"{"partition":1,"sequence":13,"padding":".................."}"#);
        assert_eq!(value.len(), 60);
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&value).unwrap()["sequence"], 13);
        assert_eq!(
            format!("{:?}", record.headers),
            r#"{"event_id": Some(b"13"), "sequence_number": Some(b"2")}"#
        );
        assert_eq!((record.origin.partition.as_str(), record.timestamp), ("1", Timestamp(7)));
        assert_eq!(Sequence::new(&config).record(13, Timestamp(7)), record);
    }

    #[test]
    fn a_value_is_as_large_as_asked_but_never_broken() {
        for size in [0, 1, 41, 42, 200, 1000] {
            let config = GeneratorConfig { size: ByteSize::bytes(size), ..Default::default() };
            let value = Sequence::new(&config).record(7, Timestamp(0)).value.unwrap();
            assert!(serde_json::from_slice::<serde_json::Value>(&value).is_ok());
            assert_eq!(value.len() as u64, size.max(41));
        }
    }
}
