//! COUNT, MIN, MAX, SUM and AVG.
use bytes::Bytes;

use super::functions::Number;
use super::plan::{Aggregate, Selector};
use super::row::RowContext;
use super::term::Env;
use crate::error::DbError;
use crate::value::{self, CqlType};

/// All aggregates of a statement while rows are taken in.
pub(super) struct Fold(Vec<State>);

enum State {
    Count(i64),
    First(Option<Option<Bytes>>),
    Best(Option<Bytes>),
    Sum { typ: CqlType, sum: Number, count: i64, average: Average },
}

/// Whether a sum is divided at the end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Average {
    Yes,
    No,
}

impl Fold {
    pub(super) fn new(aggregates: &[Aggregate]) -> Self {
        let sum = |typ: &CqlType, average| State::Sum {
            typ: typ.clone(),
            sum: Number::zero(typ),
            count: 0,
            average,
        };
        let states = aggregates.iter().map(|aggregate| match aggregate {
            Aggregate::CountRows | Aggregate::Count(_) => State::Count(0),
            Aggregate::First(_) => State::First(None),
            Aggregate::Min(..) | Aggregate::Max(..) => State::Best(None),
            Aggregate::Sum(_, typ) => sum(typ, Average::No),
            Aggregate::Avg(_, typ) => sum(typ, Average::Yes),
        });
        Self(states.collect())
    }

    /// Takes a row in.
    pub(super) fn add(
        &mut self,
        aggregates: &[Aggregate],
        env: &Env<'_>,
        row: &RowContext<'_>,
    ) -> Result<(), DbError> {
        let of = |selector: &Selector| row.select(selector, env, &[]);
        for (state, aggregate) in self.0.iter_mut().zip(aggregates) {
            match (state, aggregate) {
                (State::Count(count), Aggregate::CountRows) => *count += 1,
                (State::Count(count), Aggregate::Count(selector)) => {
                    *count += i64::from(of(selector)?.is_some());
                }
                (State::First(first @ None), Aggregate::First(selector)) => *first = Some(of(selector)?),
                (State::Best(best), Aggregate::Min(selector, typ)) => {
                    keep(best, of(selector)?, |new, old| value::compare(typ, new, old).is_lt());
                }
                (State::Best(best), Aggregate::Max(selector, typ)) => {
                    keep(best, of(selector)?, |new, old| value::compare(typ, new, old).is_gt());
                }
                (
                    State::Sum { typ, sum, count, .. },
                    Aggregate::Sum(selector, _) | Aggregate::Avg(selector, _),
                ) => {
                    if let Some(value) = of(selector)? {
                        *sum = std::mem::replace(sum, Number::zero(typ)).add(Number::read(typ, &value)?)?;
                        *count += 1;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The results, in the order of the aggregates.
    pub(super) fn finish(self) -> Result<Vec<Option<Bytes>>, DbError> {
        let finish = |state| match state {
            State::Count(count) => Ok(Some(Bytes::copy_from_slice(&i64::to_be_bytes(count)))),
            State::First(first) => Ok(first.flatten()),
            State::Best(best) => Ok(best),
            State::Sum { typ, sum, count, average } => {
                let divides = average == Average::Yes && count > 0;
                let result = if divides { sum.divide(count) } else { sum };
                let written = result.write(&typ)?;
                if matches!(result, Number::Integer(_)) && Number::read(&typ, &written)? != result {
                    return Err(DbError::server("Sum overflow. Values should be casted to a wider type."));
                }
                Ok(Some(written))
            }
        };
        self.0.into_iter().map(finish).collect()
    }
}

fn keep(best: &mut Option<Bytes>, new: Option<Bytes>, better: impl Fn(&[u8], &[u8]) -> bool) {
    if let Some(new) = new
        && best.as_ref().is_none_or(|best| better(&new, best))
    {
        *best = Some(new);
    }
}
