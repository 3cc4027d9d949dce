//! Short ways to write test records, and `Trace`, which compares what arrived with what was sent.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Range;

use bytes::Bytes;

use crate::record::{Headers, Origin, Record, Timestamp};

/// A record of partition `test`, whose offset is its value.
pub fn record(key: &str, value: &str) -> Record {
    Record { key: Some(Bytes::copy_from_slice(key.as_bytes())), ..keyless(value) }
}

/// A record without a key, of partition `test`, whose offset is its value.
pub fn keyless(value: &str) -> Record {
    let value = Bytes::copy_from_slice(value.as_bytes());
    Record {
        key: None,
        value: Some(value.clone()),
        headers: Headers::default(),
        timestamp: Timestamp::default(),
        origin: Origin { partition: "test".into(), offset: value.into() },
    }
}

/// A record without a value, of partition `test`, whose offset is its key.
pub fn tombstone(key: &str) -> Record {
    let mut record = record(key, key);
    record.value = None;
    record
}

/// Records of one partition, numbered by value and offset, their keys `k0`, `k1`, … going round.
pub fn numbered(partition: &str, numbers: Range<usize>, keys: usize) -> Vec<Record> {
    let one =
        |n: usize| record(&format!("k{}", n % keys.max(1)), &n.to_string()).at(partition, &n.to_string());
    numbers.map(one).collect()
}

/// Changes that read well in a test.
pub trait RecordExt: Sized {
    /// With one more header.
    #[must_use]
    fn header(self, name: &'static str, value: &str) -> Self;
    /// Read from this partition and offset.
    #[must_use]
    fn at(self, partition: &str, offset: &str) -> Self;
    /// Written at this time, in microseconds since 1970.
    #[must_use]
    fn micros(self, micros: i64) -> Self;
    /// The value as text, `-` where there is none.
    fn text(&self) -> String;
}

impl RecordExt for Record {
    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push(name, Bytes::copy_from_slice(value.as_bytes()));
        self
    }

    fn at(mut self, partition: &str, offset: &str) -> Self {
        self.origin =
            Origin { partition: partition.into(), offset: Bytes::copy_from_slice(offset.as_bytes()).into() };
        self
    }

    fn micros(mut self, micros: i64) -> Self {
        self.timestamp = Timestamp(micros);
        self
    }

    fn text(&self) -> String {
        let text = |value: &Bytes| String::from_utf8_lossy(value).into_owned();
        self.value.as_ref().map_or_else(|| "-".into(), text)
    }
}

/// What order is kept by: the key, or the partition where there is no key.
pub fn order_key(record: &Record) -> (Option<Bytes>, Option<&str>) {
    match &record.key {
        Some(key) => (Some(key.clone()), None),
        None => (None, Some(record.origin.partition.as_str())),
    }
}

/// What arrived, compared with what was sent. Each list holds the records by their text.
///
/// Order is judged as delivery at least once promises it: per key, one may go back as far as one likes, but forward
/// only one record at a time, and the last record comes last. So `1 2 1 2 3` is kept order, `1 3 2 3` is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Sent, and never arrived.
    pub missing: Vec<String>,
    /// Arrived, and never sent.
    pub unexpected: Vec<String>,
    /// Arrived again.
    pub repeated: Vec<String>,
    /// Arrived before one that should have come first, as `key: earlier → later`.
    pub disordered: Vec<String>,
}

impl Trace {
    /// Tells records apart by key and value, which is what an independent reader sees; both must be unique together.
    pub fn by_content(sent: &[Record], arrived: &[Record]) -> Self {
        Self::by(sent, arrived, |record| (record.key.clone(), record.value.clone()))
    }

    /// Tells records apart by where they came from.
    pub fn by_origin(sent: &[Record], arrived: &[Record]) -> Self {
        Self::by(sent, arrived, |record| record.origin.clone())
    }

    /// Tells records apart by `identity`, which must be unique among those sent.
    pub fn by<I: Hash + Eq>(sent: &[Record], arrived: &[Record], identity: impl Fn(&Record) -> I) -> Self {
        let mut trace = Self::default();
        let mut times: HashMap<I, usize> = sent.iter().map(|record| (identity(record), 0)).collect();
        for record in arrived {
            match times.get_mut(&identity(record)) {
                None => trace.unexpected.push(name(record)),
                Some(times) => {
                    *times += 1;
                    if *times > 1 {
                        trace.repeated.push(name(record));
                    }
                }
            }
        }
        let came = |record: &&Record| times[&identity(record)] > 0;
        trace.missing = sent.iter().filter(|record| !came(record)).map(name).collect();
        let mut chains: HashMap<_, Vec<&Record>> = HashMap::new();
        for record in sent.iter().filter(came) {
            chains.entry(order_key(record)).or_default().push(record);
        }
        let mut places = HashMap::new();
        for (key, chain) in &chains {
            places.extend(chain.iter().enumerate().map(|(place, record)| (identity(record), (key, place))));
        }
        let mut next: HashMap<_, usize> = HashMap::new();
        for record in arrived {
            let Some((key, place)) = places.get(&identity(record)) else { continue };
            let due = next.entry(*key).or_insert(0);
            if place > due {
                trace.disordered.push(jump(chains[*key][*due], record));
            }
            *due = place + 1;
        }
        for (key, due) in next {
            if let Some(record) = chains[key].get(due) {
                trace.disordered.push(format!("{}: does not end with its last record", name(record)));
            }
        }
        trace.disordered.sort();
        trace
    }

    /// Nothing missing, nothing unexpected, order kept; repeats do not matter.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.disordered.is_empty()
    }

    /// # Panics
    /// When it is not [complete](Trace::is_complete).
    #[track_caller]
    pub fn assert_complete(&self) {
        assert!(self.is_complete(), "what arrived is not what was sent: {self}");
    }
}

impl std::fmt::Display for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [
            ("missing", &self.missing),
            ("unexpected", &self.unexpected),
            ("out of order", &self.disordered),
            ("repeated", &self.repeated),
        ];
        let mut comma = "";
        for (what, list) in parts.into_iter().filter(|(_, list)| !list.is_empty()) {
            let shown = list.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(", ");
            write!(f, "{comma}{} {what} ({shown})", list.len())?;
            comma = "; ";
        }
        if comma.is_empty() { f.write_str("complete") } else { Ok(()) }
    }
}

/// `key=value`, shortened.
pub(crate) fn name(record: &Record) -> String {
    let key = record.key.as_ref().map_or_else(
        || format!("[{}]", record.origin.partition),
        |key| String::from_utf8_lossy(key).into_owned(),
    );
    format!("{key}={}", record.text().chars().take(40).collect::<String>())
}

fn jump(due: &Record, came: &Record) -> String {
    format!("{} came before {}", name(came), name(due))
}

#[cfg(test)]
mod tests {
    use super::{Trace, record};
    use crate::record::Record;

    fn list(values: &str) -> Vec<Record> {
        values.split(' ').map(|value| record(&value[..1], value)).collect()
    }

    #[test]
    fn going_back_keeps_order_and_jumping_forward_does_not() {
        let sent = list("a1 b1 a2 a3");
        let complete = |arrived: &str| Trace::by_content(&sent, &list(arrived)).is_complete();
        assert!(complete("a1 b1 a2 a3"));
        assert!(complete("b1 a1 a2 a1 a2 b1 a3"));
        assert!(!complete("b1 a1 a3 a2 a3"), "a jump");
        assert!(!complete("b1 a2 a1 a2 a3"), "begins in the middle");
        assert!(!complete("b1 a1 a2 a3 a2"), "does not end with the last");
        assert!(!complete("a1 a2 a3"), "b1 is missing");
        assert!(!complete("a1 b1 a2 a3 c1"), "c1 was never sent");
    }

    #[test]
    fn a_trace_names_what_is_wrong_once() {
        let trace = Trace::by_content(&list("a1 a2 a3"), &list("a3 a3 x1"));
        assert_eq!(trace.to_string(), "2 missing (a=a1, a=a2); 1 unexpected (x=x1); 1 repeated (a=a3)");
        let trace = Trace::by_content(&list("a1 a2"), &list("a2 a1"));
        assert_eq!(trace.disordered.len(), 2);
    }
}
