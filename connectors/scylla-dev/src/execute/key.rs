//! Keys and ranges of keys from the values of a statement.
use std::ops::Bound;

use bytes::Bytes;

use super::plan::{BoundValues, Choice, Clustering, Edge, Prefix};
use super::term::{Env, Term};
use crate::error::DbError;
use crate::schema::{Bounds, ClusteringKey, ClusteringRange, Column, PartitionKey, Table};
use crate::storage::TokenRange;
use crate::value::{self, collection};

/// ScyllaDB's limit of keys that one statement may name by IN.
const MAX_KEYS: usize = 100;

/// The partitions that the choices name, sorted by value, each once.
pub(super) fn partition_keys(
    table: &Table,
    choices: &[Choice],
    env: &Env<'_>,
) -> Result<Vec<PartitionKey>, DbError> {
    let columns = table.partition_key_columns();
    if let Some(values) = single(columns, choices, env)? {
        return Ok(vec![table.partition_key(&values)?]);
    }
    let mut rows: Vec<Vec<Bytes>> = vec![Vec::with_capacity(columns.len())];
    for (column, choice) in columns.iter().zip(choices) {
        rows = product(rows, &sorted(choice.values(column, env)?, column), "partition")?;
    }
    rows.iter().map(|values| table.partition_key(values)).collect()
}

/// The values if there is one for each column, which is by far the most frequent case.
fn single(columns: &[Column], choices: &[Choice], env: &Env<'_>) -> Result<Option<Vec<Bytes>>, DbError> {
    let mut values = Vec::with_capacity(columns.len());
    for (column, choice) in columns.iter().zip(choices) {
        let Choice::One(term) = choice else { return Ok(None) };
        values.push(env.required(term, &|| format!("column {}", column.name))?);
    }
    Ok(Some(values))
}

/// Every row with every value appended.
fn product(rows: Vec<Vec<Bytes>>, values: &[Bytes], what: &str) -> Result<Vec<Vec<Bytes>>, DbError> {
    if let [value] = values {
        let mut rows = rows;
        rows.iter_mut().for_each(|row| row.push(value.clone()));
        return Ok(rows);
    }
    let size = rows.len() * values.len();
    if size > MAX_KEYS {
        return Err(DbError::server(format!(
            "size of {what}-key IN list or {what}-key cartesian product of IN list {size} is greater than maximum \
             {MAX_KEYS}."
        )));
    }
    let longer = |row: &Vec<Bytes>, value: &Bytes| row.iter().chain([value]).cloned().collect();
    Ok(rows.iter().flat_map(|row| values.iter().map(move |value| longer(row, value))).collect())
}

fn sorted(mut values: Vec<Bytes>, column: &Column) -> Vec<Bytes> {
    if values.len() > 1 {
        values.sort_by(|left, right| value::compare(&column.typ, left, right));
        values.dedup_by(|left, right| value::compare(&column.typ, left, right).is_eq());
    }
    values
}

impl Choice {
    /// The values allowed for a key column.
    fn values(&self, column: &Column, env: &Env<'_>) -> Result<Vec<Bytes>, DbError> {
        let what = || format!("column {}", column.name);
        self.values_of(env, &what)
    }

    fn values_of(&self, env: &Env<'_>, what: &dyn Fn() -> String) -> Result<Vec<Bytes>, DbError> {
        match self {
            Self::One(term) => Ok(vec![env.required(term, what)?]),
            Self::Several(terms) => terms.iter().map(|term| env.required(term, what)).collect(),
            Self::List(term) => {
                let list = env.required(term, &|| format!("IN restriction of {}", what()))?;
                Ok(collection::elements(&list).map(|element| list.slice_ref(element)).collect())
            }
        }
    }
}

/// The tokens between two terms.
pub(super) fn token_range(
    lower: Option<&(Term, Edge)>,
    upper: Option<&(Term, Edge)>,
    env: &Env<'_>,
) -> Result<TokenRange, DbError> {
    let bound = |end: Option<&(Term, Edge)>| {
        let Some((term, edge)) = end else { return Ok(Bound::Unbounded) };
        let value = env.required(term, &|| "token".to_owned())?;
        let token = value.as_ref().try_into().map(i64::from_be_bytes);
        let token = token.map_err(|_| DbError::invalid("Invalid token: not a bigint"))?;
        Ok(match edge {
            Edge::Included => Bound::Included(token),
            Edge::Excluded => Bound::Excluded(token),
        })
    };
    let start = bound(lower)?;
    // As the end of a range the smallest token stands for the end of the ring.
    let end = match bound(upper)? {
        Bound::Included(i64::MIN) | Bound::Excluded(i64::MIN) if upper.is_some() => Bound::Unbounded,
        end => end,
    };
    Ok(TokenRange { start, end })
}

/// The ranges of rows, sorted and disjoint.
pub(super) fn clustering_ranges(
    table: &Table,
    clustering: &Clustering,
    env: &Env<'_>,
) -> Result<Vec<ClusteringRange>, DbError> {
    let open = clustering.lower.is_none() && clustering.upper.is_none();
    if clustering.prefix.is_empty() && open {
        return Ok(vec![ClusteringRange::all()]);
    }
    let rows = prefixes(table, &clustering.prefix, env)?;
    let lower = bound_values(clustering.lower.as_ref(), env)?;
    let upper = bound_values(clustering.upper.as_ref(), env)?;
    let bounds = Bounds { lower: as_bound(lower.as_ref()), upper: as_bound(upper.as_ref()) };
    let ranges = rows.iter().filter_map(|prefix| table.clustering_range(prefix, &bounds));
    Ok(disjoint(ranges.collect()))
}

/// The keys of the rows when the whole clustering key is given.
pub(super) fn clustering_keys(
    table: &Table,
    clustering: &Clustering,
    env: &Env<'_>,
) -> Result<Vec<ClusteringKey>, DbError> {
    if let Some(values) = single_row(table, &clustering.prefix, env)? {
        return Ok(vec![clustering_key(table, &values)?]);
    }
    let rows = prefixes(table, &clustering.prefix, env)?;
    let mut keys = rows.iter().map(|values| clustering_key(table, values)).collect::<Result<Vec<_>, _>>()?;
    if keys.len() > 1 {
        keys.sort();
        keys.dedup();
    }
    Ok(keys)
}

/// The values if there is one for each column.
fn single_row(table: &Table, prefix: &[Prefix], env: &Env<'_>) -> Result<Option<Vec<Bytes>>, DbError> {
    let columns = table.clustering_key_columns();
    let mut values = Vec::with_capacity(columns.len());
    for (column, part) in columns.iter().zip(prefix) {
        let Prefix::Column(Choice::One(term)) = part else { return Ok(None) };
        values.push(env.required(term, &|| format!("column {}", column.name))?);
    }
    Ok(Some(values))
}

fn clustering_key(table: &Table, values: &[Bytes]) -> Result<ClusteringKey, DbError> {
    let size: usize = values.iter().map(Bytes::len).sum();
    if size > usize::from(u16::MAX) {
        return Err(DbError::invalid(format!("Key size too large: {size} > {}", u16::MAX)));
    }
    Ok(table.clustering_key(values))
}

fn prefixes(table: &Table, prefix: &[Prefix], env: &Env<'_>) -> Result<Vec<Vec<Bytes>>, DbError> {
    let columns = table.clustering_key_columns();
    let mut rows = vec![Vec::with_capacity(columns.len())];
    for part in prefix {
        let at = rows.first().map_or(0, Vec::len);
        match part {
            Prefix::Column(choice) => {
                let Some(column) = columns.get(at) else { break };
                rows = product(rows, &choice.values(column, env)?, "clustering")?;
            }
            Prefix::Columns(width, choice) => {
                let tuples = choice.values_of(env, &|| "a multi-column restriction".to_owned())?;
                let tuples =
                    tuples.iter().map(|tuple| split(tuple, *width)).collect::<Result<Vec<_>, _>>()?;
                let longer =
                    |row: &Vec<Bytes>, tuple: &Vec<Bytes>| row.iter().chain(tuple).cloned().collect();
                rows =
                    rows.iter().flat_map(|row| tuples.iter().map(move |tuple| longer(row, tuple))).collect();
            }
        }
        if rows.is_empty() {
            break;
        }
    }
    Ok(rows)
}

/// The fields of a tuple, none of them null.
pub(super) fn split(tuple: &Bytes, width: usize) -> Result<Vec<Bytes>, DbError> {
    let fields: Option<Vec<Bytes>> =
        collection::fields(tuple).map(|field| field.map(|field| tuple.slice_ref(field))).collect();
    match fields {
        Some(fields) if fields.len() == width => Ok(fields),
        _ => Err(DbError::invalid("Invalid null value in a multi-column restriction")),
    }
}

type End = (Vec<Bytes>, Edge);

fn bound_values(bound: Option<&(BoundValues, Edge)>, env: &Env<'_>) -> Result<Option<End>, DbError> {
    let Some((values, edge)) = bound else { return Ok(None) };
    let what = || "a bound of a clustering column".to_owned();
    let values = match values {
        BoundValues::Column(term) => vec![env.required(term, &what)?],
        BoundValues::Columns(term) => {
            let tuple = env.required(term, &what)?;
            let width = collection::fields(&tuple).count();
            split(&tuple, width)?
        }
    };
    Ok(Some((values, *edge)))
}

fn as_bound(end: Option<&End>) -> Bound<&[Bytes]> {
    match end {
        None => Bound::Unbounded,
        Some((values, Edge::Included)) => Bound::Included(values),
        Some((values, Edge::Excluded)) => Bound::Excluded(values),
    }
}

/// Ranges that come from IN are equal or apart, never overlapping by part.
fn disjoint(mut ranges: Vec<ClusteringRange>) -> Vec<ClusteringRange> {
    if ranges.len() > 1 {
        ranges.sort_by(|left, right| left.start.cmp(&right.start));
        ranges.dedup();
    }
    ranges
}
