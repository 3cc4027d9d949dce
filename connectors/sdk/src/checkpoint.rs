//! `Checkpoint`: how far each partition has been read, and `Batch`, which carries one with its records.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::record::Records;

/// Records together with the checkpoint that covers them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// In the order of the source; may be empty, when there was nothing to read but time went on.
    pub records: Records,
    /// The changed partitions only.
    pub checkpoint: Checkpoint,
}

/// Partition → offset: everything up to here, in these partitions, is in this batch or in an earlier one.
///
/// A checkpoint never covers a record that was not emitted; it may cover less. The host neither reads nor compares
/// offsets: the order of batches is the order of checkpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint(BTreeMap<Partition, Option<Offset>>);

impl Checkpoint {
    /// Moves `partition` to `offset`.
    pub fn set(&mut self, partition: Partition, offset: impl Into<Offset>) {
        self.0.insert(partition, Some(offset.into()));
    }

    /// Forgets `partition`: it is closed, all of it is covered, and it will not come back.
    pub fn retire(&mut self, partition: Partition) {
        self.0.insert(partition, None);
    }

    /// Where `partition` stands.
    pub fn get(&self, partition: &Partition) -> Option<&Offset> {
        self.0.get(partition)?.as_ref()
    }

    /// Takes over what `later` says; partitions it does not name stay.
    pub fn merge(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    /// Drops the marks of retired partitions, which only a store needs.
    pub fn without_retired(mut self) -> Self {
        self.0.retain(|_, offset| offset.is_some());
        self
    }

    /// Every partition with its offset; `None` where it is retired.
    pub fn iter(&self) -> impl Iterator<Item = (&Partition, Option<&Offset>)> {
        self.0.iter().map(|(partition, offset)| (partition, offset.as_ref()))
    }

    /// Says nothing about any partition.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many partitions it names, retired ones too.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl<O: Into<Offset>> FromIterator<(Partition, O)> for Checkpoint {
    fn from_iter<I: IntoIterator<Item = (Partition, O)>>(offsets: I) -> Self {
        Self(offsets.into_iter().map(|(partition, offset)| (partition, Some(offset.into()))).collect())
    }
}

/// A part of a source inside which order is promised, by name. Cloning copies a pointer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(Arc<str>);

impl Partition {
    /// The name, unique within the source.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Partition {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<String> for Partition {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A place inside a partition, as bytes that only its source understands. Cloning copies no bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Offset(Bytes);

impl Offset {
    /// The source's own bytes.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl<B: Into<Bytes>> From<B> for Offset {
    fn from(bytes: B) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Checkpoint, Partition};

    #[test]
    fn a_later_checkpoint_wins_and_retires() {
        let (a, b, c) = (Partition::from("a"), Partition::from("b"), Partition::from("c"));
        let mut sum: Checkpoint = [(a.clone(), "1"), (b.clone(), "1")].into_iter().collect();
        let mut later = Checkpoint::default();
        later.set(b.clone(), "2");
        later.retire(a.clone());
        later.set(c.clone(), "1");
        sum.merge(later);
        assert_eq!((sum.get(&a), sum.len()), (None, 3));
        let kept = sum.without_retired();
        assert_eq!(kept, [(b, "2"), (c, "1")].into_iter().collect());
    }
}
