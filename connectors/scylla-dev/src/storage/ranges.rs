//! Deleted ranges of one partition, kept disjoint, the newest deletion of each place on top.
use std::collections::BTreeMap;
use std::ops::Bound;

use crate::mutation::Tombstone;
use crate::mutation::merge::newer;
use crate::schema::ClusteringRange;

/// Disjoint deleted ranges by their start.
#[derive(Debug, Default)]
pub(super) struct RangeTombstones(BTreeMap<Vec<u8>, (Option<Vec<u8>>, Tombstone)>);

impl RangeTombstones {
    /// The newest deletion that covers the row at `place`.
    pub(super) fn covering(&self, place: &[u8]) -> Option<Tombstone> {
        if self.0.is_empty() {
            return None;
        }
        let (_, (end, tombstone)) =
            self.0.range::<[u8], _>((Bound::Unbounded, Bound::Included(place))).next_back()?;
        end.as_ref().is_none_or(|end| place < end.as_slice()).then_some(*tombstone)
    }

    /// Adds a deletion.
    pub(super) fn add(&mut self, range: &ClusteringRange, tombstone: Tombstone) {
        let mut from = range.start.clone();
        for (start, end, existing) in self.take_overlapping(range) {
            if start < range.start {
                self.put(start, Some(range.start.clone()), existing);
            } else if from < start {
                self.put(from, Some(start.clone()), tombstone);
                from = start;
            }
            let inside = earlier(end.as_deref(), range.end.as_deref()).map(<[u8]>::to_vec);
            let newest = newer(Some(existing), Some(tombstone)).unwrap_or(tombstone);
            self.put(from, inside.clone(), newest);
            if let Some(range_end) = &range.end
                && end.as_ref().is_none_or(|end| end > range_end)
            {
                self.put(range_end.clone(), end, existing);
            }
            match inside {
                Some(inside) => from = inside,
                None => return,
            }
        }
        if range.end.as_ref().is_none_or(|end| from < *end) {
            self.put(from, range.end.clone(), tombstone);
        }
    }

    /// Forgets deletions that the deletion of the whole partition at `timestamp` covers, and those made before `grace`.
    pub(super) fn forget(&mut self, timestamp: i64, grace: u32) {
        self.0.retain(|_, (_, tombstone)| tombstone.timestamp > timestamp && tombstone.deleted_at >= grace);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn put(&mut self, start: Vec<u8>, end: Option<Vec<u8>>, tombstone: Tombstone) {
        if end.as_ref().is_none_or(|end| start < *end) {
            self.0.insert(start, (end, tombstone));
        }
    }

    /// Removes the ranges that overlap with `range`, in order.
    fn take_overlapping(&mut self, range: &ClusteringRange) -> Vec<(Vec<u8>, Option<Vec<u8>>, Tombstone)> {
        let mut starts: Vec<Vec<u8>> = Vec::new();
        if let Some((start, (end, _))) =
            self.0.range::<[u8], _>((Bound::Unbounded, Bound::Excluded(range.start.as_slice()))).next_back()
            && end.as_ref().is_none_or(|end| *end > range.start)
        {
            starts.push(start.clone());
        }
        let inside = self.0.range(range.start.clone()..);
        starts.extend(
            inside
                .take_while(|(start, _)| range.end.as_ref().is_none_or(|end| *start < end))
                .map(|(start, _)| start.clone()),
        );
        starts
            .into_iter()
            .filter_map(|start| self.0.remove(&start).map(|(end, tombstone)| (start, end, tombstone)))
            .collect()
    }
}

/// The earlier of two ends, where `None` is the very end.
fn earlier<'a>(left: Option<&'a [u8]>, right: Option<&'a [u8]>) -> Option<&'a [u8]> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (left, right) => left.or(right),
    }
}
