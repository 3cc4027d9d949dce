//! SELECT: limits, keys and ranges from the values, one scan under the lock, one page of rows.
use super::filter::{self, Nulls};
use super::key;
use super::output::Output;
use super::page::Position;
use super::plan::{Partitions, Select};
use super::scan::{End, Limits, Scan, Targets};
use super::term::{Env, Term};
use crate::error::DbError;
use crate::outcome::{BoundValue, Outcome, QueryOptions, Rows, RowsBody, Specs};
use crate::storage::Store;

pub(super) fn run(
    store: &Store,
    plan: &Select,
    specs: &Specs,
    env: &Env<'_>,
    options: &QueryOptions,
) -> Result<Outcome, DbError> {
    let limit = limit(plan.limit.as_ref(), "LIMIT", env)?;
    let per_partition = limit_of_partition(plan, env)?;
    let folded = !plan.aggregates.is_empty();
    let page = options.page_size.filter(|_| !folded);
    if plan.sort && page.is_some_and(|page| page < usize::try_from(limit).unwrap_or(usize::MAX)) {
        return Err(DbError::invalid(
            "Cannot page queries with both ORDER BY and a IN restriction on the partition key; you must either \
             remove the ORDER BY or the IN and sort client side, or disable paging for this query",
        ));
    }
    let from = options.paging_state.clone().map(Position::decode).transpose()?;
    let all = folded || plan.sort;
    let left = from.as_ref().map_or(limit, |from| from.left.min(limit));
    let targets = match &plan.partitions {
        Partitions::Keys(choices) => Targets::Keys(key::partition_keys(&plan.table, choices, env)?),
        Partitions::Tokens { lower, upper } => {
            Targets::Tokens(key::token_range(lower.as_ref(), upper.as_ref(), env)?)
        }
    };
    let ranges = key::clustering_ranges(&plan.table, &plan.clustering, env)?;
    let page = page.filter(|_| !one_row_at_most(plan, &targets, ranges.len(), per_partition));
    let mut scan = Scan {
        plan,
        env: *env,
        ranges,
        filters: filter::bind(&plan.filters, Nulls::Fail, env)?,
        limits: Limits {
            page: page.filter(|_| !all),
            left: if all { u32::MAX } else { left },
            per_partition,
        },
        output: Output::new(plan),
        position: None,
        asked: 0,
        shown: 0,
        failure: None,
    };
    let end = store.read(|snapshot| scan.run(snapshot, &targets, from))?;
    let paging_state = scan.position.filter(|_| end == End::More).map(|position| position.encode());
    let looked_for = scan.asked;
    let body: RowsBody = scan.output.finish(plan, env, limit)?;
    Ok(Outcome::Rows(Rows { specs: Specs::clone(specs), body, paging_state, looked_for }))
}

/// Whether a statement asks one partition for no more than a row; then it has no pages.
fn one_row_at_most(plan: &Select, targets: &Targets, places: usize, per_partition: u32) -> bool {
    let columns = plan.table.clustering_columns;
    let one_place = columns > 0 && plan.clustering.prefix.len() == columns && places <= 1;
    matches!(targets, Targets::Keys(keys) if keys.len() <= 1)
        && (one_place || plan.distinct || per_partition == 1)
}

fn limit_of_partition(plan: &Select, env: &Env<'_>) -> Result<u32, DbError> {
    limit(plan.per_partition_limit.as_ref(), "PER PARTITION LIMIT", env)
}

/// The value of a limit; without one there are never as many rows as the largest number.
fn limit(term: Option<&Term>, what: &str, env: &Env<'_>) -> Result<u32, DbError> {
    let Some(term) = term else { return Ok(u32::MAX) };
    match env.value(term)? {
        BoundValue::Unset => Ok(u32::MAX),
        BoundValue::Null => Err(DbError::invalid(format!("Invalid null value of {}", what.to_lowercase()))),
        BoundValue::Set(bytes) => {
            let rows = bytes.as_ref().try_into().map_or(0, i32::from_be_bytes);
            u32::try_from(rows)
                .ok()
                .filter(|rows| *rows > 0)
                .ok_or_else(|| DbError::invalid(format!("{what} must be strictly positive")))
        }
    }
}
