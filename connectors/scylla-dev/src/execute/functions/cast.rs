//! `CAST(value AS type)`: numbers to numbers, anything simple to text, times to times.
use bytes::Bytes;
use scylla_cql::frame::response::result::{ColumnType, NativeType};
use uuid::Uuid;

use super::number::{Number, decimal_of};
use super::{Input, named};
use crate::error::DbError;
use crate::value::{CqlType, types};

/// Whether CAST knows a way from one type to the other.
pub(crate) fn can_cast(from: &CqlType, to: &CqlType) -> bool {
    use NativeType as N;
    let (ColumnType::Native(from), ColumnType::Native(to)) = (from, to) else { return from == to };
    match to {
        _ if from == to => true,
        N::Ascii if *from == N::Text => false,
        N::Text | N::Ascii => !matches!(from, N::Blob | N::Duration | N::Counter),
        N::Timestamp | N::Date => matches!(from, N::Timeuuid | N::Date | N::Timestamp),
        _ => Number::is_type(from) && Number::is_type(to),
    }
}

/// The value as one of another type; see [`can_cast`].
pub(crate) fn cast(from: &CqlType, to: &CqlType, value: &Bytes) -> Result<Bytes, DbError> {
    use NativeType as N;
    let (ColumnType::Native(source), ColumnType::Native(target)) = (from, to) else {
        return Ok(value.clone());
    };
    match target {
        _ if source == target => Ok(value.clone()),
        N::Text | N::Ascii => Ok(text(from, source, value)?.into()),
        N::Timestamp | N::Date => {
            let name = if *target == N::Date { "todate" } else { "totimestamp" };
            let function = named(name).into_iter().find(|function| function.arguments == [source.clone()]);
            let function = function.ok_or_else(|| unable(from, to))?;
            let arguments = [value.clone()];
            let result = (function.eval)(&Input { function: &function, arguments: &arguments, now: 0 })?;
            result.ok_or_else(|| unable(from, to))
        }
        N::Decimal if *source == N::Float => decimal_of(&text(from, source, value)?),
        _ => Number::read(from, value)?.write(to),
    }
}

fn unable(from: &CqlType, to: &CqlType) -> DbError {
    DbError::invalid(format!("{} cannot be cast to {}", types::name(from), types::name(to)))
}

/// The value as CQL shows it.
fn text(typ: &CqlType, native: &NativeType, value: &[u8]) -> Result<String, DbError> {
    use NativeType as N;
    let wrong = || DbError::invalid(format!("a value of type {} cannot be shown as text", types::name(typ)));
    let long = || value.try_into().map(i64::from_be_bytes).map_err(|_| wrong());
    Ok(match native {
        N::Text | N::Ascii => String::from_utf8(value.to_vec()).map_err(|_| wrong())?,
        N::Boolean => (value == [1]).to_string(),
        N::Uuid | N::Timeuuid => Uuid::from_slice(value).map_err(|_| wrong())?.to_string(),
        N::Inet => match (<[u8; 4]>::try_from(value), <[u8; 16]>::try_from(value)) {
            (Ok(short), _) => std::net::IpAddr::from(short).to_string(),
            (_, Ok(long)) => std::net::IpAddr::from(long).to_string(),
            _ => return Err(wrong()),
        },
        N::Timestamp => {
            let moment = jiff::Timestamp::from_millisecond(long()?).map_err(|_| wrong())?;
            moment.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
        }
        N::Date => {
            let days = u32::from_be_bytes(value.try_into().map_err(|_| wrong())?);
            let seconds = (i64::from(days) - (1 << 31)) * 86_400;
            let moment = jiff::Timestamp::from_second(seconds).map_err(|_| wrong())?;
            moment.strftime("%Y-%m-%d").to_string()
        }
        N::Time => {
            let nanos = long()?;
            let seconds = nanos / 1_000_000_000;
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            format!("{hours:02}:{minutes:02}:{:02}.{:09}", seconds % 60, nanos % 1_000_000_000)
        }
        N::Float => f32::from_be_bytes(value.try_into().map_err(|_| wrong())?).to_string(),
        _ => Number::read(typ, value)?.to_string(),
    })
}
