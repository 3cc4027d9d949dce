//! Keys and ranges of keys from the values of a statement.
use std::ops::Bound;

use bytes::Bytes;

use super::plan::{BoundValues, Choice, Clustering, Edge, Prefix};
use super::term::{Env, NullKeys, Term};
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
    if choices.iter().all(|choice| matches!(choice, Choice::One(_))) {
        let values = single(columns, choices.iter(), env)?;
        return values.and_then(|values| partition(table, &values, env)).into_iter().collect();
    }
    let mut rows: Vec<Vec<Bytes>> = vec![Vec::with_capacity(columns.len())];
    for (column, choice) in columns.iter().zip(choices) {
        rows = product(rows, &sorted(choice.values(column, env)?, column), "partition")?;
    }
    rows.iter().filter_map(|values| partition(table, values, env)).collect()
}

/// One value for each column, which is by far the most frequent case; `None` if a null matches nothing.
fn single<'c>(
    columns: &[Column],
    choices: impl Iterator<Item = &'c Choice>,
    env: &Env<'_>,
) -> Result<Option<Vec<Bytes>>, DbError> {
    let mut values = Vec::with_capacity(columns.len());
    for (column, choice) in columns.iter().zip(choices) {
        let Choice::One(term) = choice else { return Ok(None) };
        match env.key(term, &|| format!("column {}", column.name))? {
            Some(value) => values.push(value),
            None => return Ok(None),
        }
    }
    Ok(Some(values))
}

/// The partition of this key. The empty key is that of none, and a mistake only where a partition must be named.
fn partition(table: &Table, values: &[Bytes], env: &Env<'_>) -> Option<Result<PartitionKey, DbError>> {
    let nowhere = env.null_keys == NullKeys::MatchNothing && matches!(values, [value] if value.is_empty());
    (!nowhere).then(|| table.partition_key(values))
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
            Self::One(term) => Ok(env.key(term, what)?.into_iter().collect()),
            Self::Several(terms) => terms.iter().filter_map(|term| env.key(term, what).transpose()).collect(),
            Self::List(term) => {
                let list = env.key(term, what)?.unwrap_or_else(|| Bytes::from_static(&[0; 4]));
                if env.null_keys == NullKeys::Refused
                    && collection::optional_elements(&list).any(|element| element.is_none())
                {
                    let message = format!("Invalid null value in condition for {}", what());
                    return Err(DbError::invalid(message));
                }
                let elements = collection::optional_elements(&list).flatten();
                Ok(elements.map(|element| list.slice_ref(element)).collect())
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
    let (Some(lower), Some(upper)) = (lower, upper) else { return Ok(Vec::new()) };
    let bounds = Bounds { lower: as_slice(&lower), upper: as_slice(&upper) };
    let ranges = rows.iter().filter_map(|prefix| table.clustering_range(prefix, &bounds));
    Ok(disjoint(ranges.collect()))
}

/// The keys of the rows when the whole clustering key is given.
pub(super) fn clustering_keys(
    table: &Table,
    clustering: &Clustering,
    env: &Env<'_>,
) -> Result<Vec<ClusteringKey>, DbError> {
    let columns = table.clustering_key_columns();
    let one_row = clustering.prefix.iter().map_while(|part| match part {
        Prefix::Column(choice @ Choice::One(_)) => Some(choice),
        Prefix::Column(_) | Prefix::Columns(..) => None,
    });
    if one_row.clone().count() == columns.len() {
        let values = single(columns, one_row, env)?;
        return values.map(|values| clustering_key(table, &values)).into_iter().collect();
    }
    let rows = prefixes(table, &clustering.prefix, env)?;
    let mut keys = rows.iter().map(|values| clustering_key(table, values)).collect::<Result<Vec<_>, _>>()?;
    if keys.len() > 1 {
        keys.sort();
        keys.dedup();
    }
    Ok(keys)
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
        _ => Err(DbError::invalid("Invalid null value in condition for columns of a multi-column relation")),
    }
}

/// One end of a range; `None` if it is null, so that nothing lies in the range.
fn bound_values(
    bound: Option<&(BoundValues, Edge)>,
    env: &Env<'_>,
) -> Result<Option<Bound<Vec<Bytes>>>, DbError> {
    let Some((values, edge)) = bound else { return Ok(Some(Bound::Unbounded)) };
    let (BoundValues::Column(term) | BoundValues::Columns(term)) = values;
    let Some(value) = env.key(term, &|| "a bound of a clustering column".to_owned())? else {
        return Ok(None);
    };
    let values = match values {
        BoundValues::Column(_) => vec![value],
        BoundValues::Columns(_) => split(&value, collection::fields(&value).count())?,
    };
    Ok(Some(match edge {
        Edge::Included => Bound::Included(values),
        Edge::Excluded => Bound::Excluded(values),
    }))
}

fn as_slice(bound: &Bound<Vec<Bytes>>) -> Bound<&[Bytes]> {
    bound.as_ref().map(Vec::as_slice)
}

/// Ranges that come from IN are equal or apart, never overlapping by part.
fn disjoint(mut ranges: Vec<ClusteringRange>) -> Vec<ClusteringRange> {
    if ranges.len() > 1 {
        ranges.sort_by(|left, right| left.start.cmp(&right.start));
        ranges.dedup();
    }
    ranges
}
