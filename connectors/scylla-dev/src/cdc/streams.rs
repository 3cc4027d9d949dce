//! The streams there are: generations shared by all tables on vnodes, and a history of its own for each on tablets.
use std::collections::BTreeMap;

use super::generation::{Generation, Generations};
use crate::error::DbError;
use crate::schema::{Schema, Table, TableId};

/// A table's first streams are in use this long before it is there, so that no write is too early for them, ms.
const HEAD_START: i64 = 5_000;
/// New streams are announced this long before they are used (twice ScyllaDB's ring delay, and its leeway), ms.
pub(crate) const NOTICE: i64 = 65_000;

/// Where the changes of each table go.
#[derive(Debug, Clone, Default)]
pub struct Streams {
    vnodes: Generations,
    /// By log table.
    tablets: BTreeMap<TableId, Generations>,
}

impl Streams {
    /// The generations for this log.
    pub fn of(&self, log: TableId) -> &Generations {
        self.tablets.get(&log).unwrap_or(&self.vnodes)
    }

    /// The generations of all logs on vnodes.
    pub fn vnodes(&self) -> &Generations {
        &self.vnodes
    }

    /// The generations of the log, if it is on tablets.
    pub fn tablets(&self, log: TableId) -> Option<&Generations> {
        self.tablets.get(&log)
    }

    /// Adds a generation for all logs on vnodes.
    pub(crate) fn add(&mut self, generation: Generation) {
        self.vnodes.add(generation);
    }

    /// Gives a log a stream for each of `count` tablets (a power of two) from `since_millis` on.
    pub(crate) fn resize(
        &mut self,
        log: &Table,
        count: u32,
        since_millis: i64,
        random: impl FnMut() -> u64,
    ) -> Result<(), DbError> {
        let Some(generations) = self.tablets.get_mut(&log.id) else {
            return Err(DbError::invalid(format!("{}.{} is no CDC log on tablets", log.keyspace, log.name)));
        };
        append(generations, count, since_millis, random);
        Ok(())
    }

    /// Follows a change of the schema at `now_millis`: logs on tablets come, go, and get more or fewer tablets.
    pub(crate) fn follow(
        &mut self,
        (before, after): (&Schema, &Schema),
        now_millis: i64,
        mut random: impl FnMut() -> u64,
    ) {
        self.tablets.retain(|id, _| after.tables().any(|table| table.id == *id));
        for log in after.tables().filter(|table| table.is_cdc_log()) {
            let Some(count) = after.tablets(log) else { continue };
            let was = before.tables().find(|table| table.id == log.id).and_then(|log| before.tablets(log));
            match self.tablets.get_mut(&log.id) {
                None => {
                    let first = Generation::of_tablets(now_millis - HEAD_START, count, &mut random);
                    self.tablets.entry(log.id).or_default().add(first);
                }
                Some(generations) if was != Some(count) => {
                    append(generations, count, now_millis + NOTICE, &mut random);
                }
                Some(_) => {}
            }
        }
    }
}

/// Adds streams for so many tablets from then on, but later than those there are.
fn append(generations: &mut Generations, count: u32, since_millis: i64, random: impl FnMut() -> u64) {
    let last = generations.iter().last().map_or(i64::MIN, |last| last.since_millis);
    generations.add(Generation::of_tablets(since_millis.max(last.saturating_add(1)), count, random));
}
