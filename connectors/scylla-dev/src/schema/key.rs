//! Keys and ranges of keys, made from serialized values.
use std::ops::Bound;

use bytes::Bytes;

use super::{Column, Partitioner, Table};
use crate::error::DbError;
use crate::value::order::{self, Direction};
use crate::value::token;

/// A partition's key and where it stands on the ring. Sorts as a full scan goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionKey {
    /// Its token.
    pub token: i64,
    /// As routing keys are: one value as it is; several each as length (u16), value, 0.
    pub bytes: Bytes,
}

/// A row's place in its partition: sortable bytes, empty in tables without clustering columns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ClusteringKey(pub Vec<u8>);

/// Rows from `start` to before `end` (`None`: to the last), in storage order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ClusteringRange {
    /// Sortable bytes: where the range starts.
    pub start: Vec<u8>,
    /// Sortable bytes: before what it ends.
    pub end: Option<Vec<u8>>,
}

/// Bounds on the clustering columns that follow those that are fixed. In CQL's sense: `lower` is the smaller value,
/// whichever way the column sorts. More than one value for a multi-column relation, `(a, b) > (1, 2)`.
#[derive(Debug, Clone)]
pub struct Bounds<'a> {
    /// From here.
    pub lower: Bound<&'a [Bytes]>,
    /// To here.
    pub upper: Bound<&'a [Bytes]>,
}

const MAX_KEY: usize = u16::MAX as usize;

impl Table {
    /// The key of these values, one for each partition key column, already checked against their types.
    pub fn partition_key(&self, values: &[Bytes]) -> Result<PartitionKey, DbError> {
        let too_long = |length: usize| {
            DbError::invalid(format!("Key length of {length} is longer than maximum of 65535"))
        };
        let bytes = match values {
            [value] if value.is_empty() => return Err(DbError::invalid("Key may not be empty")),
            [value] if value.len() > MAX_KEY => return Err(too_long(value.len())),
            [value] => value.clone(),
            values => {
                let length: usize = values.iter().map(|value| value.len() + 3).sum();
                if length > MAX_KEY {
                    return Err(too_long(length));
                }
                let mut bytes = Vec::with_capacity(length);
                for value in values {
                    bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
                    bytes.extend_from_slice(value);
                    bytes.push(0);
                }
                bytes.into()
            }
        };
        Ok(PartitionKey { token: self.token(&bytes), bytes })
    }

    /// The token of a serialized partition key.
    pub fn token(&self, key: &[u8]) -> i64 {
        match self.partitioner {
            Partitioner::Murmur3 => token::murmur3(key),
            Partitioner::Cdc => token::of_stream(key),
        }
    }

    /// The values a partition key is made of.
    pub fn partition_values<'k>(&self, key: &'k [u8]) -> impl Iterator<Item = &'k [u8]> + use<'k> {
        let single = self.partition_columns == 1;
        let mut rest = Some(key);
        std::iter::from_fn(move || {
            if single {
                return rest.take();
            }
            let (length, after) = rest?.split_first_chunk::<2>()?;
            let (value, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            rest = after.get(1..);
            Some(value)
        })
    }

    /// The place of the row with these values, one for each clustering column.
    pub fn clustering_key<V: AsRef<[u8]>>(&self, values: &[V]) -> ClusteringKey {
        ClusteringKey(encode(self.clustering_key_columns(), values))
    }

    /// The values a clustering key (or its prefix) is made of.
    #[cfg(test)]
    pub fn clustering_values(&self, key: &[u8]) -> Vec<Vec<u8>> {
        let mut rest = key;
        let mut values = Vec::new();
        for column in self.clustering_key_columns() {
            let mut value = Vec::new();
            if order::decode(&column.typ, column.direction, &mut rest, &mut value).is_none() {
                break;
            }
            values.push(value);
        }
        values
    }

    /// The rows whose first clustering columns are `prefix` and whose next ones lie within `bounds`, in CQL's sense.
    /// `None` when there can be none. Multi-column bounds need columns that all sort the same way.
    pub fn clustering_range(&self, prefix: &[Bytes], bounds: &Bounds<'_>) -> Option<ClusteringRange> {
        let columns = self.clustering_key_columns();
        let next = columns.get(prefix.len()..).unwrap_or(&[]);
        let descending = next.first().is_some_and(|column| column.direction == Direction::Descending);
        let (first, last) =
            if descending { (bounds.upper, bounds.lower) } else { (bounds.lower, bounds.upper) };
        let base = encode(columns, prefix);
        let at = |values: &[Bytes], after: bool| {
            let mut place = base.clone();
            place.extend(encode(next, values));
            if after {
                place.push(order::AFTER);
            }
            place
        };
        let start = match first {
            Bound::Unbounded => base.clone(),
            Bound::Included(values) => at(values, false),
            Bound::Excluded(values) => at(values, true),
        };
        let end = match last {
            Bound::Unbounded if base.is_empty() => None,
            Bound::Unbounded => Some(at(&[], true)),
            Bound::Included(values) => Some(at(values, true)),
            Bound::Excluded(values) => Some(at(values, false)),
        };
        let range = ClusteringRange { start, end };
        (!range.is_empty()).then_some(range)
    }
}

fn encode<V: AsRef<[u8]>>(columns: &[Column], values: &[V]) -> Vec<u8> {
    let mut out = Vec::with_capacity(values.iter().map(|value| value.as_ref().len() + 8).sum());
    for (column, value) in columns.iter().zip(values) {
        order::encode(&column.typ, column.direction, value.as_ref(), &mut out);
    }
    out
}

/// The place right behind a row or prefix.
pub(crate) fn after(place: &[u8]) -> Vec<u8> {
    let mut end = Vec::with_capacity(place.len() + 1);
    end.extend_from_slice(place);
    end.push(order::AFTER);
    end
}

impl ClusteringRange {
    /// All rows of a partition.
    pub fn all() -> Self {
        Self::default()
    }

    /// Whether no row can be in it.
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }

    /// Whether the row at `place` is in it.
    pub fn contains(&self, place: &[u8]) -> bool {
        self.start.as_slice() <= place && self.end.as_ref().is_none_or(|end| place < end.as_slice())
    }

    /// What is left of it behind the row at `place`, going forward; for the next page.
    pub fn behind(&self, place: &[u8]) -> Self {
        Self { start: after(place).max(self.start.clone()), end: self.end.clone() }
    }

    /// What is left of it before the row at `place`, for the next page of a reverse read.
    pub fn before(&self, place: &[u8]) -> Self {
        let end = match &self.end {
            Some(end) if end.as_slice() < place => end.clone(),
            _ => place.to_vec(),
        };
        Self { start: self.start.clone(), end: Some(end) }
    }
}
