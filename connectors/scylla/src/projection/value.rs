//! Text and JSON as serialized values of a column.

mod collection;
mod number;

use std::net::IpAddr;

use jiff::civil;
use scylla::frame::response::result::{ColumnType, NativeType};
use uuid::Uuid;

/// What an expression found.
#[derive(Clone, Copy, Debug)]
pub enum Given<'a> {
    /// Text, or JSON as it is written.
    Text(&'a str),
    /// Bytes of a header, a key or a payload.
    Bytes(&'a [u8]),
}

/// What was wanted instead, as in "a whole number of 32 bits".
pub type Wanted = &'static str;

/// Why no column of this type can be projected into; `None` where one can.
pub fn unsupported(of: &ColumnType<'_>) -> Option<&'static str> {
    match of {
        ColumnType::Native(NativeType::Counter) => {
            Some("a counter adds up, so a repeated event would count twice")
        }
        ColumnType::Native(native) => {
            known(native).is_none().then_some("values of this type are not supported")
        }
        ColumnType::Collection { typ, .. } => collection::parts(typ).find_map(unsupported),
        ColumnType::Tuple(parts) => parts.iter().find_map(unsupported),
        ColumnType::UserDefinedType { definition, .. } => {
            definition.field_types.iter().find_map(|(_, of)| unsupported(of))
        }
        _ => Some("values of this type are not supported"),
    }
}

/// Appends the serialized value, without its length.
///
/// # Errors
/// What a value of this type looks like.
pub fn append(out: &mut Vec<u8>, given: Given<'_>, of: &ColumnType<'_>) -> Result<(), Wanted> {
    match (of, given) {
        (ColumnType::Native(NativeType::Blob), Given::Bytes(bytes)) => out.extend_from_slice(bytes),
        (ColumnType::Native(native), given) => {
            known(native).ok_or("supported type")?(out, given.text()?)?;
        }
        (of, given) => collection::append(out, given.text()?, of)?,
    }
    Ok(())
}

impl<'a> Given<'a> {
    fn text(self) -> Result<&'a str, Wanted> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Bytes(bytes) => std::str::from_utf8(bytes).map_err(|_| "text in UTF-8"),
        }
    }
}

type Append = fn(&mut Vec<u8>, &str) -> Result<(), Wanted>;

/// How text becomes a value of a simple type; `None` for a type that has no such way.
fn known(native: &NativeType) -> Option<Append> {
    Some(match native {
        NativeType::Ascii => |out, text| put(out, text.is_ascii().then_some(text), "text of ASCII letters"),
        NativeType::Text => |out, text| put(out, Some(text), "text"),
        NativeType::Boolean => |out, text| {
            let byte = match text {
                "true" => Some([1]),
                "false" => Some([0]),
                _ => None,
            };
            put(out, byte, "`true` or `false`")
        },
        NativeType::TinyInt => {
            |out, text| put(out, text.parse().ok().map(i8::to_be_bytes), "a whole number of 8 bits")
        }
        NativeType::SmallInt => {
            |out, text| put(out, text.parse().ok().map(i16::to_be_bytes), "a whole number of 16 bits")
        }
        NativeType::Int => {
            |out, text| put(out, text.parse().ok().map(i32::to_be_bytes), "a whole number of 32 bits")
        }
        NativeType::BigInt => {
            |out, text| put(out, text.parse().ok().map(i64::to_be_bytes), "a whole number of 64 bits")
        }
        NativeType::Float => |out, text| put(out, text.parse().ok().map(f32::to_be_bytes), "a number"),
        NativeType::Double => |out, text| put(out, text.parse().ok().map(f64::to_be_bytes), "a number"),
        NativeType::Varint => {
            |out, text| put(out, number::varint(text), "a whole number of at most 128 bits")
        }
        NativeType::Decimal => |out, text| put(out, number::decimal(text), "a number of at most 38 digits"),
        NativeType::Uuid => |out, text| put(out, Uuid::parse_str(text).ok().map(Uuid::into_bytes), "a UUID"),
        NativeType::Timeuuid => |out, text| {
            let uuid = Uuid::parse_str(text).ok().filter(|uuid| uuid.get_version_num() == 1);
            put(out, uuid.map(Uuid::into_bytes), "a UUID of version 1")
        },
        NativeType::Timestamp => |out, text| {
            let time = || text.parse::<jiff::Timestamp>().ok().map(|time| time.as_millisecond());
            let millis = text.parse().ok().or_else(time);
            put(
                out,
                millis.map(i64::to_be_bytes),
                "a time such as `2026-01-31T12:00:00Z`, or milliseconds since 1970",
            )
        },
        NativeType::Date => {
            |out, text| put(out, text.parse().ok().and_then(days), "a date such as `2026-01-31`")
        }
        NativeType::Time => {
            |out, text| put(out, text.parse().ok().map(nanos), "a time of day such as `12:00:00`")
        }
        NativeType::Inet => |out, text| put(out, text.parse().ok().map(octets), "an IP address"),
        NativeType::Blob => |out, text| put(out, number::hex(text), "bytes in hex such as `0xcafe`"),
        _ => return None,
    })
}

fn put(out: &mut Vec<u8>, bytes: Option<impl AsRef<[u8]>>, wanted: Wanted) -> Result<(), Wanted> {
    out.extend_from_slice(bytes.ok_or(wanted)?.as_ref());
    Ok(())
}

/// Days since 1970, with the middle of the range at 2^31.
fn days(date: civil::Date) -> Option<[u8; 4]> {
    let days = date.since(civil::Date::constant(1970, 1, 1)).ok()?.get_days();
    Some((days.cast_unsigned() ^ (1 << 31)).to_be_bytes())
}

/// Nanoseconds since midnight.
fn nanos(time: civil::Time) -> [u8; 8] {
    let seconds = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    (seconds * 1_000_000_000 + i64::from(time.subsec_nanosecond())).to_be_bytes()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests;
