//! The loop of SELECT: partitions, ranges, rows, until the page is full or the limit is reached.
use std::cell::Cell;
use std::ops::ControlFlow;

use super::filter::BoundFilter;
use super::output::Output;
use super::page::Position;
use super::plan::Select;
use super::row::{RowContext, key_values};
use super::term::Env;
use crate::error::{DbError, ErrorCode};
use crate::schema::{ClusteringRange, PartitionKey};
use crate::storage::{LiveRow, Order, PartitionView, Snapshot, TokenRange};

/// The partitions to look at, in this order.
pub(super) enum Targets {
    Keys(Vec<PartitionKey>),
    Tokens(TokenRange),
}

/// A scan under way.
pub(super) struct Scan<'p> {
    pub(super) plan: &'p Select,
    pub(super) env: Env<'p>,
    pub(super) ranges: Vec<ClusteringRange>,
    pub(super) filters: Vec<BoundFilter<'p>>,
    pub(super) limits: Limits,
    pub(super) output: Output,
    /// The last row shown.
    pub(super) position: Option<Position>,
    /// Partitions looked for by their keys.
    pub(super) asked: u64,
    pub(super) shown: usize,
    pub(super) failure: Option<DbError>,
}

/// How many rows to show.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Rows to a page.
    pub(super) page: Option<usize>,
    /// Rows that LIMIT leaves.
    pub(super) left: u32,
    pub(super) per_partition: u32,
}

/// A page holds no more than this even when it has fewer rows than asked for.
const PAGE_BYTES: usize = 1 << 20;

/// What a client gets that asks for all rows at once; ScyllaDB's limit.
const UNPAGED_BYTES: usize = 100 << 20;

/// How a scan ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The page is full: there may be another row.
    More,
    Done,
}

impl Scan<'_> {
    /// Shows what follows `from`.
    pub(super) fn run(
        &mut self,
        snapshot: Snapshot<'_>,
        targets: &Targets,
        from: Option<Position>,
    ) -> Result<End, DbError> {
        let table = &*self.plan.table;
        let flow = match targets {
            Targets::Keys(keys) => {
                let start = match &from {
                    Some(from) => keys
                        .iter()
                        .position(|key| *key == from.key)
                        .ok_or_else(|| DbError::protocol("the paging state belongs to another statement"))?,
                    None => 0,
                };
                let asked = Cell::new(0);
                let views = keys[start..].iter().filter_map(|key| {
                    asked.update(|asked| asked + 1);
                    snapshot.partition(table, key)
                });
                let flow = self.partitions(views, from);
                self.asked = asked.get();
                flow
            }
            Targets::Tokens(range) => {
                let key = from.as_ref().map(|from| from.key.clone());
                let views = snapshot.partitions(table, *range, key.as_ref());
                self.partitions(views, from)
            }
        };
        match self.failure.take() {
            Some(error) => Err(error),
            None if flow.is_break() && self.limits.left > 0 => Ok(End::More),
            None => Ok(End::Done),
        }
    }

    fn partitions<'s>(
        &mut self,
        views: impl Iterator<Item = PartitionView<'s>>,
        mut from: Option<Position>,
    ) -> ControlFlow<()> {
        for view in views {
            let here = from.take().filter(|from| from.key == *view.key());
            match here {
                Some(Position { place: None, .. }) => {}
                here => self.partition(&view, here)?,
            }
        }
        ControlFlow::Continue(())
    }

    fn partition(&mut self, view: &PartitionView<'_>, from: Option<Position>) -> ControlFlow<()> {
        let key = key_values(&self.plan.table, view);
        let statics = view.static_row();
        let resumed = from.is_some();
        let mut here = Here { view, key: &key, statics: statics.as_ref(), rows: 0, shown: 0 };
        let order = if self.plan.reverse { Order::Reverse } else { Order::Forward };
        let narrowed = from.map(|from| {
            here.shown = from.shown_here;
            self.rest_of(from.place.as_deref().unwrap_or_default(), order)
        });
        let ranges = std::mem::take(&mut self.ranges);
        // Leaving the partition early is not leaving the scan.
        let mut flow = ControlFlow::Continue(());
        let left_early = view.for_each_row(narrowed.as_deref().unwrap_or(&ranges), order, |row| {
            here.rows += 1;
            if here.shown >= self.limits.per_partition || (self.plan.distinct && here.shown > 0) {
                return ControlFlow::Break(());
            }
            flow = self.visit(&mut here, Some(row));
            flow
        });
        self.ranges = ranges;
        if left_early.is_break() {
            return flow;
        }
        let only_statics = here.rows == 0 && !resumed && here.statics.is_some();
        if only_statics && self.shows_statics_alone() { self.visit(&mut here, None) } else { flow }
    }

    /// A partition without rows is shown by its static columns unless rows were asked for.
    fn shows_statics_alone(&self) -> bool {
        let clustering = &self.plan.clustering;
        clustering.prefix.is_empty() && clustering.lower.is_none() && clustering.upper.is_none()
    }

    fn rest_of(&self, place: &[u8], order: Order) -> Vec<ClusteringRange> {
        let rest = self.ranges.iter().map(|range| match order {
            Order::Forward => range.behind(place),
            Order::Reverse => range.before(place),
        });
        rest.filter(|range| !range.is_empty()).collect()
    }

    /// Shows the row if it passes; breaks when the page is full, without a look for what follows, as ScyllaDB does: a
    /// last page that is full is followed by an empty one.
    fn visit(&mut self, here: &mut Here<'_, '_>, row: Option<&LiveRow<'_>>) -> ControlFlow<()> {
        let context = RowContext {
            table: &self.plan.table,
            key: here.key,
            token: here.view.key().token,
            statics: here.statics,
            row,
        };
        match self.passes(&context) {
            Ok(true) => {}
            Ok(false) => return ControlFlow::Continue(()),
            Err(error) => return self.fail(error),
        }
        if let Err(error) = self.output.add(self.plan, &self.env, &context) {
            return self.fail(error);
        }
        if self.output.bytes() > UNPAGED_BYTES {
            return self.fail(too_much());
        }
        here.shown += 1;
        self.shown += 1;
        self.limits.left -= 1;
        if self.limits.left == 0 {
            return ControlFlow::Break(());
        }
        if self.is_full() {
            self.remember(here, row);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn passes(&self, context: &RowContext<'_>) -> Result<bool, DbError> {
        for filter in &self.filters {
            if !filter.holds(context)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_full(&self) -> bool {
        self.limits.page.is_some_and(|rows| self.shown >= rows || self.output.bytes() >= PAGE_BYTES)
    }

    fn remember(&mut self, here: &Here<'_, '_>, row: Option<&LiveRow<'_>>) {
        let more_here = row.filter(|_| !self.plan.distinct);
        self.position = Some(Position {
            key: here.view.key().clone(),
            place: more_here.map(|row| row.place().to_vec()),
            shown_here: here.shown,
            left: self.limits.left,
        });
    }

    fn fail(&mut self, error: DbError) -> ControlFlow<()> {
        self.failure = Some(error);
        ControlFlow::Break(())
    }
}

/// The partition at hand.
struct Here<'h, 's> {
    view: &'h PartitionView<'s>,
    key: &'h [&'h [u8]],
    statics: Option<&'h LiveRow<'h>>,
    /// Rows seen, shown or not.
    rows: u32,
    /// Rows shown.
    shown: u32,
}

fn too_much() -> DbError {
    let text = format!(
        "Memory usage of unpaged query exceeds hard limit of {UNPAGED_BYTES} (configured via \
         max_memory_for_unlimited_query_hard_limit)"
    );
    DbError::new(ErrorCode::ReadFailure { consistency: 1, received: 0, block_for: 1, failures: 1 }, text)
}
