//! Refuses bytes that are not a value of their type, before they reach storage.
use scylla_cql::frame::response::result::{CollectionType, ColumnType, NativeType};

use super::CqlType;
use super::collection::sized;
use super::types;
use crate::error::DbError;

/// Whether `value` is a serialized value of `typ`; says what is wrong as ScyllaDB would.
pub fn check(typ: &CqlType, value: &[u8]) -> Result<(), DbError> {
    match typ {
        ColumnType::Native(native) => check_native(native, value),
        ColumnType::Collection { typ, .. } => check_collection(typ, value, Nulls::Refused),
        ColumnType::Tuple(items) => check_fields(items.iter(), value),
        ColumnType::UserDefinedType { definition, .. } => {
            check_fields(definition.field_types.iter().map(|(_, typ)| typ), value)
        }
        other => Err(DbError::invalid(format!("type {} is not supported", types::name(other)))),
    }
}

/// As [`check`], for the list after IN: nulls may stand in it.
pub fn check_choices(typ: &CqlType, value: &[u8]) -> Result<(), DbError> {
    match typ {
        ColumnType::Collection { typ, .. } => check_collection(typ, value, Nulls::Allowed),
        other => check(other, value),
    }
}

/// Whether elements may be null.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nulls {
    Refused,
    Allowed,
}

fn check_native(native: &NativeType, value: &[u8]) -> Result<(), DbError> {
    use NativeType as N;
    let fits = match native {
        N::Ascii if !value.is_ascii() => return Err(invalid("non-ASCII character in an ASCII string")),
        N::Ascii => true,
        N::Text => {
            return std::str::from_utf8(value).map(drop).map_err(|error| {
                let place = error.valid_up_to();
                invalid(&format!("non-UTF8 character in a UTF8 string, at byte offset {place}"))
            });
        }
        N::Blob => true,
        // Most types know an "empty" value beside null; a leftover of the first protocol.
        _ if value.is_empty() => !matches!(native, N::Duration | N::Counter),
        N::Boolean | N::TinyInt => value.len() == 1,
        N::SmallInt => value.len() == 2,
        N::Int | N::Float | N::Date => value.len() == 4,
        N::BigInt | N::Counter | N::Double | N::Timestamp | N::Time => value.len() == 8,
        N::Uuid => value.len() == 16,
        N::Timeuuid => {
            if value.len() == 16 && value[6] >> 4 != 1 {
                return Err(DbError::invalid("Unsupported UUID version (expected version 1 for timeuuid)"));
            }
            value.len() == 16
        }
        N::Inet => matches!(value.len(), 4 | 16),
        N::Varint => true,
        N::Decimal => value.len() > 4,
        N::Duration => value.len() >= 3,
        _ => true,
    };
    if fits {
        return Ok(());
    }
    let name = types::name(&ColumnType::Native(native.clone()));
    let size = value.len();
    Err(DbError::invalid(format!("marshaling error: Validation failed for type {name}: got {size} bytes")))
}

fn invalid(what: &str) -> DbError {
    DbError::invalid(format!("marshaling error: Validation failed - {what}"))
}

fn check_collection(typ: &CollectionType<'static>, value: &[u8], nulls: Nulls) -> Result<(), DbError> {
    let truncated = || DbError::invalid("Validation failed: collection is shorter than its lengths say");
    let (count, mut rest) = value.split_first_chunk::<4>().ok_or_else(truncated)?;
    let count = i32::from_be_bytes(*count);
    if count < 0 {
        return Err(DbError::invalid("Validation failed: a collection of negative length"));
    }
    let types: &[&CqlType] = match typ {
        CollectionType::Map(key, value) => &[key, value],
        CollectionType::List(item) | CollectionType::Set(item) => &[item],
        _ => return Err(DbError::invalid("this collection type is not supported")),
    };
    for _ in 0..count {
        for typ in types {
            match sized(&mut rest).ok_or_else(truncated)? {
                Some(item) => check(typ, item)?,
                None if nulls == Nulls::Allowed => {}
                None => return Err(DbError::invalid("null is not supported inside collections")),
            }
        }
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(DbError::invalid("Validation failed: bytes left over in a collection"))
    }
}

fn check_fields<'t>(types: impl Iterator<Item = &'t CqlType>, value: &[u8]) -> Result<(), DbError> {
    let mut rest = value;
    for typ in types {
        if rest.is_empty() {
            return Ok(());
        }
        let field =
            sized(&mut rest).ok_or_else(|| DbError::invalid("Not enough bytes to read a tuple field"))?;
        if let Some(field) = field {
            check(typ, field)?;
        }
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(DbError::invalid("Invalid remaining data after end of a tuple value"))
    }
}
