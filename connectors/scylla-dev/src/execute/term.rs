//! Values of a statement with all names resolved: constants, bind variables, calls, and collections made of them.
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::functions::{Function, Input};
use crate::error::DbError;
use crate::outcome::BoundValue;
use crate::schema::Table;
use crate::value::{CqlType, collection, order};

/// How a value comes about when the statement runs.
#[derive(Debug, Clone)]
pub(crate) enum Term {
    /// Known since the statement was prepared; `None` is null.
    Constant(Option<Bytes>),
    /// A bind variable.
    Marker(usize),
    /// The result of a function.
    Call(Box<Function>, Vec<Term>),
    /// `token(…)` of a partition key of the table.
    Token(Arc<Table>, Vec<Term>),
    /// A collection, tuple or user-defined type of these parts.
    Build(Box<Shape>, Vec<Term>),
}

/// What [`Term::Build`] makes of its parts.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    List,
    /// Of elements of this type.
    Set(CqlType),
    /// With keys of this type; keys and values take turns.
    Map(CqlType),
    /// Of these fields, null allowed. A user-defined type too.
    Tuple,
}

/// What terms need to know when they are evaluated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Env<'a> {
    /// Already checked against the types of their variables.
    pub(crate) values: &'a [BoundValue],
    /// The server's time, microseconds since 1970.
    pub(crate) now: i64,
    pub(crate) null_keys: NullKeys,
}

/// What a null is where the value of a key or a bound of keys is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NullKeys {
    /// A mistake: modifications name their rows.
    Refused,
    /// Equal to nothing: SELECT finds nothing.
    MatchNothing,
}

impl Env<'_> {
    /// The term's value.
    pub(crate) fn value(&self, term: &Term) -> Result<BoundValue, DbError> {
        match term {
            Term::Constant(Some(bytes)) => Ok(BoundValue::Set(bytes.clone())),
            Term::Constant(None) => Ok(BoundValue::Null),
            Term::Marker(number) => Ok(self.values.get(*number).cloned().unwrap_or(BoundValue::Unset)),
            Term::Call(function, arguments) => self.call(function, arguments),
            Term::Token(table, parts) => self.token(table, parts),
            Term::Build(shape, parts) => self.build(shape, parts).map(BoundValue::Set),
        }
    }

    /// The term's value where null and UNSET are mistakes; `what` names the place in messages.
    pub(crate) fn required(&self, term: &Term, what: &dyn Fn() -> String) -> Result<Bytes, DbError> {
        match self.value(term)? {
            BoundValue::Set(bytes) => Ok(bytes),
            BoundValue::Null => Err(DbError::invalid(format!("Invalid null value for {}", what()))),
            BoundValue::Unset => Err(DbError::invalid(format!("Invalid unset value for {}", what()))),
        }
    }

    /// The value of a key column, or of a bound of one; `None` if null, where that matches nothing.
    pub(crate) fn key(&self, term: &Term, what: &dyn Fn() -> String) -> Result<Option<Bytes>, DbError> {
        match self.value(term)? {
            BoundValue::Set(bytes) => Ok(Some(bytes)),
            BoundValue::Null if self.null_keys == NullKeys::MatchNothing => Ok(None),
            BoundValue::Null => {
                Err(DbError::invalid(format!("Invalid null value in condition for {}", what())))
            }
            BoundValue::Unset => Err(DbError::invalid(format!("Invalid unset value for {}", what()))),
        }
    }

    fn call(&self, function: &Function, arguments: &[Term]) -> Result<BoundValue, DbError> {
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            match self.value(argument)? {
                BoundValue::Set(bytes) => values.push(bytes),
                BoundValue::Null => return Ok(BoundValue::Null),
                BoundValue::Unset => {
                    let message = format!("Invalid unset value for argument of function {}", function.name);
                    return Err(DbError::invalid(message));
                }
            }
        }
        let result = (function.eval)(&Input { function, arguments: &values, now: self.now })?;
        Ok(result.map_or(BoundValue::Null, BoundValue::Set))
    }

    fn token(&self, table: &Table, parts: &[Term]) -> Result<BoundValue, DbError> {
        let mut values = Vec::with_capacity(parts.len());
        for part in parts {
            values.push(self.required(part, &|| "argument of token()".to_owned())?);
        }
        let key = table.partition_key(&values)?;
        Ok(BoundValue::Set(Bytes::copy_from_slice(&key.token.to_be_bytes())))
    }

    fn build(&self, shape: &Shape, parts: &[Term]) -> Result<Bytes, DbError> {
        let mut out = BytesMut::new();
        if matches!(shape, Shape::Tuple) {
            let values = parts.iter().map(|part| self.value(part)).collect::<Result<Vec<_>, _>>()?;
            collection::write_fields(
                &mut out,
                values.iter().map(|value| match value {
                    BoundValue::Set(bytes) => Some(bytes.as_ref()),
                    BoundValue::Null | BoundValue::Unset => None,
                }),
            );
            return Ok(out.freeze());
        }
        let element = |part| match self.value(part)? {
            BoundValue::Set(bytes) => Ok(bytes),
            BoundValue::Null => Err(DbError::invalid("null is not supported inside collections")),
            BoundValue::Unset => Err(DbError::invalid("unset value is not supported inside collections")),
        };
        let values = parts.iter().map(element).collect::<Result<Vec<_>, _>>()?;
        match shape {
            Shape::Map(key) => {
                let mut entries: Vec<_> =
                    values.chunks_exact(2).map(|pair| (&pair[0][..], &pair[1][..])).collect();
                // Of two entries with one key the later stays.
                entries.reverse();
                entries.sort_by_cached_key(|(k, _)| order::sortable(key, k));
                entries.dedup_by(|next, kept| order::sortable(key, next.0) == order::sortable(key, kept.0));
                collection::write_entries(&mut out, entries.into_iter());
            }
            Shape::Set(typ) => {
                let mut elements: Vec<&[u8]> = values.iter().map(AsRef::as_ref).collect();
                elements.sort_by_cached_key(|element| order::sortable(typ, element));
                elements.dedup_by(|next, kept| order::sortable(typ, next) == order::sortable(typ, kept));
                collection::write_elements(&mut out, elements.into_iter());
            }
            Shape::List | Shape::Tuple => {
                collection::write_elements(&mut out, values.iter().map(AsRef::as_ref));
            }
        }
        Ok(out.freeze())
    }
}

impl Term {
    /// The number of the bind variable, if the term is nothing but one.
    pub(crate) fn marker(&self) -> Option<u16> {
        match self {
            Self::Marker(number) => u16::try_from(*number).ok(),
            _ => None,
        }
    }

    /// Whether the value is known before the statement runs.
    pub(crate) fn is_constant(&self) -> bool {
        matches!(self, Self::Constant(_))
    }
}
