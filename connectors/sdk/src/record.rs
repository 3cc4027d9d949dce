//! `Record`: a key, a value, headers and a time, and where it came from.

mod headers;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use crate::checkpoint::{Offset, Partition};

pub use headers::{Header, HeaderName, Headers, Packer, Packing};

/// One record on its way from a source to a sink. Cloning copies no bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What order is kept by, where it is kept; `None` orders by [`Origin::partition`].
    pub key: Option<Bytes>,
    /// The payload, opaque to the host; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Names and values beside the payload.
    pub headers: Headers,
    /// When it was written at the source.
    pub timestamp: Timestamp,
    /// The partition and offset it was read from; it stays the same through transforms, retries and restarts.
    pub origin: Origin,
}

impl Record {
    /// Bytes this record keeps in memory, for bounds; names of headers count, bookkeeping does not.
    pub fn size(&self) -> usize {
        let part = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        part(&self.key) + part(&self.value) + self.headers.size()
    }
}

/// Where a record came from: the same record read twice has the same origin.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The partition of the source.
    pub partition: Partition,
    /// Its place inside the partition, opaque to the host.
    pub offset: Offset,
}

/// Microseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Milliseconds since 1970-01-01 UTC, rounded down, as Kafka counts.
    pub fn as_millis(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}us", self.0)
    }
}

/// Records shared by tasks, retries and plugins; cloning copies a pointer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records(Arc<Vec<Record>>);

impl Records {
    /// The records at `indexes`, in that order, as a set of their own.
    ///
    /// # Panics
    /// When an index is out of range.
    #[must_use]
    pub fn pick(&self, indexes: impl IntoIterator<Item = usize>) -> Self {
        indexes.into_iter().map(|index| self[index].clone()).collect()
    }

    /// The sum of the records' [`Record::size`].
    pub fn size(&self) -> usize {
        self.iter().map(Record::size).sum()
    }

    /// The records themselves; copies none when nobody else holds them.
    pub fn into_vec(self) -> Vec<Record> {
        Arc::try_unwrap(self.0).unwrap_or_else(|shared| shared.as_ref().clone())
    }
}

impl Deref for Records {
    type Target = [Record];

    fn deref(&self) -> &[Record] {
        &self.0
    }
}

impl From<Vec<Record>> for Records {
    fn from(records: Vec<Record>) -> Self {
        Self(Arc::new(records))
    }
}

impl FromIterator<Record> for Records {
    fn from_iter<I: IntoIterator<Item = Record>>(records: I) -> Self {
        Self(Arc::new(records.into_iter().collect()))
    }
}
