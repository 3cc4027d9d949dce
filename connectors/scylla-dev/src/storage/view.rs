//! Reading: one partition, ranges of its rows either way, or partitions in token order.
use std::ops::{Bound, ControlFlow};

use bytes::Bytes;

use super::partition::{Partition, bounds};
use super::tables::Tables;
use crate::mutation::LiveRow;
use crate::schema::{ClusteringKey, ClusteringRange, PartitionKey, Table};

/// The data while the store is locked, and the time at which it is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot<'a> {
    pub(super) tables: &'a Tables,
    pub(super) micros: i64,
}

/// A range of tokens of a full scan.
#[derive(Debug, Clone, Copy)]
pub struct TokenRange {
    /// From here.
    pub start: Bound<i64>,
    /// To here.
    pub end: Bound<i64>,
}

/// Which way rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As they are stored.
    #[default]
    Forward,
    /// The other way.
    Reverse,
}

/// One partition at one moment.
#[derive(Debug, Clone, Copy)]
pub struct PartitionView<'a> {
    table: &'a Table,
    key: &'a PartitionKey,
    partition: &'a Partition,
    now: u32,
}

impl<'a> Snapshot<'a> {
    /// The partition with this key, if anything is stored in it.
    pub fn partition(&self, table: &'a Table, key: &PartitionKey) -> Option<PartitionView<'a>> {
        // The token before all others is that of no partition: a CDC log is asked for what is no stream id.
        let (key, partition) =
            self.tables.get(table.id)?.get_key_value(key).filter(|_| key.token != i64::MIN)?;
        Some(PartitionView { table, key, partition, now: self.seconds() })
    }

    /// The partitions in `range` in token order, from the partition `from` on (inclusive), for the next page of a scan.
    pub fn partitions(
        &self,
        table: &'a Table,
        range: TokenRange,
        from: Option<&PartitionKey>,
    ) -> impl Iterator<Item = PartitionView<'a>> + use<'a> {
        let now = self.seconds();
        let least = |token| PartitionKey { token, bytes: Bytes::new() };
        let mut start = match range.start {
            Bound::Unbounded => Some(least(i64::MIN)),
            Bound::Included(token) => Some(least(token)),
            Bound::Excluded(token) => token.checked_add(1).map(least),
        };
        if let (Some(start), Some(from)) = (&mut start, from)
            && *start < *from
        {
            *start = from.clone();
        }
        let end = match range.end {
            Bound::Unbounded => Bound::Unbounded,
            Bound::Included(token) => {
                token.checked_add(1).map_or(Bound::Unbounded, |next| Bound::Excluded(least(next)))
            }
            Bound::Excluded(token) => Bound::Excluded(least(token)),
        };
        let sound = start.filter(|start| !matches!(&end, Bound::Excluded(end) if end <= start));
        let found = sound
            .zip(self.tables.get(table.id))
            .map(|(start, data)| data.range((Bound::Included(start), end)));
        found.into_iter().flatten().map(move |(key, partition)| PartitionView { table, key, partition, now })
    }

    fn seconds(&self) -> u32 {
        u32::try_from(self.micros / 1_000_000).unwrap_or(u32::MAX)
    }
}

impl TokenRange {
    /// All tokens.
    #[cfg(test)]
    pub fn all() -> Self {
        Self { start: Bound::Unbounded, end: Bound::Unbounded }
    }
}

impl<'a> PartitionView<'a> {
    /// The partition's key.
    pub fn key(&self) -> &'a PartitionKey {
        self.key
    }

    /// The static row, if anything in it lives.
    pub fn static_row(&self) -> Option<LiveRow<'a>> {
        let packed = self.partition.static_row.as_deref()?;
        let mut row = LiveRow::new(self.table, self.now);
        row.look_at(&[], packed).then_some(row)
    }

    /// The row with this key, if anything in it lives.
    pub fn row(&self, key: &ClusteringKey) -> Option<LiveRow<'a>> {
        let (place, packed) = self.partition.rows.get(&key.0)?;
        let mut row = LiveRow::new(self.table, self.now);
        row.look_at(place, packed).then_some(row)
    }

    /// Shows the live rows of `ranges`, which must be sorted and disjoint, until `visit` breaks.
    pub fn for_each_row(
        &self,
        ranges: &[ClusteringRange],
        order: Order,
        mut visit: impl FnMut(&LiveRow<'a>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut row = LiveRow::new(self.table, self.now);
        let mut show = |place: &'a [u8], packed: &'a [u8]| {
            if row.look_at(place, packed) { visit(&row) } else { ControlFlow::Continue(()) }
        };
        let rows = |range: &ClusteringRange| self.partition.rows.range(bounds(range));
        match order {
            Order::Forward => {
                ranges.iter().flat_map(rows).try_for_each(|(place, packed)| show(place, packed))
            }
            Order::Reverse => {
                let mut rows = ranges.iter().rev().flat_map(|range| rows(range).rev());
                rows.try_for_each(|(place, packed)| show(place, packed))
            }
        }
    }
}
