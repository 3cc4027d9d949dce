//! From the mutations of a partition to the rows of its log.
use super::encode::LogRow;
use super::image::Images;
use super::streams::Streams;
use super::{change, delta};
use crate::error::DbError;
use crate::mutation::{Mutation, RowPatch, Stamp};
use crate::schema::{CdcLog, ClusteringKey, PreimageMode, Table};
use crate::value::order::{self, Direction};
use crate::value::timeuuid;

/// Records mutations at one moment.
pub(crate) struct Recorder<'a> {
    /// Where changes go.
    pub(crate) streams: &'a Streams,
    /// The server's time, µs.
    pub(crate) micros: i64,
    /// Gives numbers that tell apart log rows of the same time.
    pub(crate) salt: &'a dyn Fn() -> u64,
}

/// Looks up a packed row as it is before the change: the static row for `None`.
pub(crate) type Before<'a> = dyn Fn(Option<&[u8]>) -> Option<&'a [u8]> + 'a;

/// The part of a mutation with one write timestamp.
pub(super) struct Group<'g> {
    pub(super) base: &'g Table,
    pub(super) log: &'g CdcLog,
    pub(super) part: &'g Mutation,
    /// Of the log's cells: the write's timestamp, the log's TTL.
    pub(super) stamp: Stamp,
    /// Seconds since 1970.
    pub(super) now: u32,
}

impl Recorder<'_> {
    /// The log rows of a gathered mutation, as mutations of the log table; none if CDC is off for its table.
    pub(crate) fn record(&self, mutation: &Mutation, before: &Before<'_>) -> Result<Vec<Mutation>, DbError> {
        let base = &*mutation.table;
        let Some(log) = base.cdc_log.as_deref() else {
            return Ok(Vec::new());
        };
        let options = base.options.cdc;
        let now = u32::try_from(self.micros / 1_000_000).unwrap_or(u32::MAX);
        let wants_images = options.postimage || options.preimage != PreimageMode::Off;
        let mut images = wants_images.then(|| Images::load(mutation, before, now));
        let generations = self.streams.of(log.table.id);
        let mut recorded = Vec::new();
        for (timestamp, order, part) in change::by_timestamp(mutation) {
            let stream = generations.stream(timestamp, mutation.key.token, self.micros)?;
            let stamp = Stamp::expiring(timestamp, options.ttl, now);
            let group = Group { base, log, part: &part, stamp, now };
            let mut rows = Vec::new();
            if let Some(images) = &images {
                images.preimages(&group, &mut rows);
            }
            delta::rows(&group, order, &mut rows);
            if let Some(images) = &mut images {
                images.apply(&part);
                images.postimages(&group, &mut rows);
            }
            let mut out = Mutation::new(log.table.clone(), stream.clone());
            out.rows = self.place(&group, rows);
            recorded.push(out);
        }
        recorded.retain(|mutation| !mutation.rows.is_empty());
        Ok(recorded)
    }

    /// Gives the rows of one group their keys: one time for all, numbered.
    fn place(&self, group: &Group<'_>, mut rows: Vec<RowPatch>) -> Vec<(ClusteringKey, RowPatch)> {
        if let Some(last) = rows.last_mut() {
            last.set(group.log.end_of_batch, &[1], group.stamp);
        }
        let time = timeuuid::at(group.stamp.timestamp, (self.salt)());
        let columns = group.log.table.clustering_key_columns();
        let mut key = Vec::with_capacity(24);
        order::encode(&columns[0].typ, Direction::Ascending, time.as_bytes(), &mut key);
        let numbered = rows.into_iter().zip(0_i32..).map(|(row, number)| {
            let mut key = key.clone();
            order::encode(&columns[1].typ, Direction::Ascending, &number.to_be_bytes(), &mut key);
            (ClusteringKey(key), row)
        });
        numbered.collect()
    }
}

impl<'g> Group<'g> {
    /// Starts a log row about a row of the base table (`Some` place) or its partition.
    pub(super) fn row(
        &self,
        operation: super::encode::Operation,
        ttl: u32,
        place: Option<&[u8]>,
    ) -> LogRow<'g> {
        let mut row = LogRow::new(self, operation, ttl);
        row.partition_key(&self.part.key.bytes);
        if let Some(place) = place {
            row.clustering_key(place);
        }
        row
    }
}
