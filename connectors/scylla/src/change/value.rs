//! A value of a column as JSON, written straight from the bytes of the answer.
//!
//! It looks as CQL writes it, so that a projection reads it back: a number is one, and what JSON has no word for is text.
//! `decimal` and `varint` are text too, because few readers of JSON keep all their digits.

mod number;

use std::net::IpAddr;

use bytes::{BufMut, BytesMut};
use scylla::deserialize::FrameSlice;
use scylla::deserialize::value::{
    DeserializeValue as _, FrameSliceWithMetadata, ListlikeIterator, MapIterator, UdtIterator, VectorIterator,
};
use scylla::frame::response::result::{CollectionType, ColumnType, NativeType};
use scylla::value::CqlDuration;
use serde::Serialize;
use uuid::Uuid;
use weir_sdk::{Error, ErrorKind};

use crate::session::errors::shape;

/// A value with its type, as it lies in the answer.
type Value<'f, 'm> = FrameSliceWithMetadata<'f, 'm>;

/// Appends a value.
///
/// # Errors
/// `Bug` when the bytes are none of its type.
pub fn put(out: &mut BytesMut, of: &ColumnType<'_>, bytes: FrameSlice<'_>) -> Result<(), Error> {
    // CQL allows values without bytes of types that have no such value.
    if bytes.is_empty()
        && !matches!(of, ColumnType::Native(NativeType::Ascii | NativeType::Text | NativeType::Blob))
    {
        out.put_slice(b"null");
        return Ok(());
    }
    match of {
        ColumnType::Native(native) => put_native(out, native, bytes),
        ColumnType::Collection { typ: CollectionType::Map(..), .. } => {
            let mut entries = Members::begin(out, b'{');
            for entry in
                MapIterator::<Value<'_, '_>, Value<'_, '_>>::deserialize(of, Some(bytes)).map_err(shape)?
            {
                let (key, value) = entry.map_err(shape)?;
                let out = entries.item();
                put_name(out, key)?;
                out.put_u8(b':');
                put_or_null(out, value)?;
            }
            entries.end(b'}');
            Ok(())
        }
        ColumnType::Collection { .. } => {
            let items = ListlikeIterator::<Value<'_, '_>>::deserialize(of, Some(bytes)).map_err(shape)?;
            put_list(out, items.map(|item| item.map_err(shape)))
        }
        ColumnType::Vector { .. } => {
            let items = VectorIterator::<Value<'_, '_>>::deserialize(of, Some(bytes)).map_err(shape)?;
            put_list(out, items.map(|item| item.map_err(shape)))
        }
        ColumnType::Tuple(parts) => put_list(out, tuple(parts, bytes)),
        ColumnType::UserDefinedType { .. } => put_fields(out, of, bytes, Absent::Null),
        _ => Err(unknown(of)),
    }
}

/// Appends a list that the log holds as a map of its cells: the values in their order.
///
/// # Errors
/// As [`put`].
pub fn put_cells(out: &mut BytesMut, of: &ColumnType<'_>, bytes: FrameSlice<'_>) -> Result<(), Error> {
    let cells = MapIterator::<Value<'_, '_>, Value<'_, '_>>::deserialize(of, Some(bytes)).map_err(shape)?;
    put_list(out, cells.map(|cell| cell.map(|(_, value)| value).map_err(shape)))
}

/// Appends a value of a user-defined type with the fields that it has.
///
/// # Errors
/// As [`put`].
pub fn put_present(out: &mut BytesMut, of: &ColumnType<'_>, bytes: FrameSlice<'_>) -> Result<(), Error> {
    put_fields(out, of, bytes, Absent::LeftOut)
}

/// Appends text.
pub fn put_text(out: &mut BytesMut, text: &str) {
    put_plain(out, text);
}

/// What becomes of a field without a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Absent {
    Null,
    LeftOut,
}

fn put_fields(
    out: &mut BytesMut,
    of: &ColumnType<'_>,
    bytes: FrameSlice<'_>,
    absent: Absent,
) -> Result<(), Error> {
    let mut fields = Members::begin(out, b'{');
    for ((name, of), value) in UdtIterator::deserialize(of, Some(bytes)).map_err(shape)? {
        let value = value.map_err(shape)?.flatten();
        if value.is_none() && absent == Absent::LeftOut {
            continue;
        }
        let out = fields.item();
        put_text(out, name);
        out.put_u8(b':');
        put_or_null(out, Value { frame_slice: value, column_type: of })?;
    }
    fields.end(b'}');
    Ok(())
}

fn put_list<'f, 'm>(
    out: &mut BytesMut,
    items: impl Iterator<Item = Result<Value<'f, 'm>, Error>>,
) -> Result<(), Error> {
    let mut list = Members::begin(out, b'[');
    for item in items {
        put_or_null(list.item(), item?)?;
    }
    list.end(b']');
    Ok(())
}

fn put_or_null(out: &mut BytesMut, value: Value<'_, '_>) -> Result<(), Error> {
    match value.frame_slice {
        Some(bytes) => put(out, value.column_type, bytes),
        None => {
            out.put_slice(b"null");
            Ok(())
        }
    }
}

/// The key of a map: what is no text is the text of its JSON.
fn put_name(out: &mut BytesMut, key: Value<'_, '_>) -> Result<(), Error> {
    let begin = out.len();
    put_or_null(out, key)?;
    if out.get(begin) != Some(&b'"') {
        let json = String::from_utf8_lossy(&out[begin..]).into_owned();
        out.truncate(begin);
        put_text(out, &json);
    }
    Ok(())
}

/// A tuple may end early: the parts that were added to its type since are null.
fn tuple<'f, 'm>(
    parts: &'m [ColumnType<'m>],
    mut bytes: FrameSlice<'f>,
) -> impl Iterator<Item = Result<Value<'f, 'm>, Error>> {
    parts.iter().map(move |of| {
        let value = if bytes.is_empty() { None } else { bytes.read_cql_bytes().map_err(shape)? };
        Ok(Value { frame_slice: value, column_type: of })
    })
}

/// What stands between two brackets, with commas.
pub struct Members<'o> {
    out: &'o mut BytesMut,
    first: bool,
}

impl<'o> Members<'o> {
    /// Opens the bracket.
    pub fn begin(out: &'o mut BytesMut, bracket: u8) -> Self {
        out.put_u8(bracket);
        Self { out, first: true }
    }

    /// Where to put the next one.
    pub fn item(&mut self) -> &mut BytesMut {
        if !std::mem::take(&mut self.first) {
            self.out.put_u8(b',');
        }
        self.out
    }

    /// Where to put the value of the next one, whose name is written as JSON.
    pub fn named(&mut self, name: &[u8]) -> &mut BytesMut {
        let out = self.item();
        out.put_slice(name);
        out.put_u8(b':');
        out
    }

    /// The bytes so far, the bracket included, where nothing stands before it.
    pub fn written(&self) -> usize {
        self.out.len()
    }

    /// Closes the bracket.
    pub fn end(self, bracket: u8) {
        self.out.put_u8(bracket);
    }
}

fn put_native(out: &mut BytesMut, of: &NativeType, slice: FrameSlice<'_>) -> Result<(), Error> {
    let bytes = slice.as_slice();
    match of {
        NativeType::Ascii | NativeType::Text => put_text(out, std::str::from_utf8(bytes).map_err(shape)?),
        NativeType::Boolean => out.put_slice(if fixed(bytes)? == [0] { b"false" } else { b"true" }),
        NativeType::TinyInt => put_plain(out, i8::from_be_bytes(fixed(bytes)?)),
        NativeType::SmallInt => put_plain(out, i16::from_be_bytes(fixed(bytes)?)),
        NativeType::Int => put_plain(out, i32::from_be_bytes(fixed(bytes)?)),
        NativeType::BigInt | NativeType::Counter => put_plain(out, i64::from_be_bytes(fixed(bytes)?)),
        NativeType::Float => match f32::from_be_bytes(fixed(bytes)?) {
            finite if finite.is_finite() => put_plain(out, finite),
            other => put_text(out, number::not_finite(other.into())),
        },
        NativeType::Double => match f64::from_be_bytes(fixed(bytes)?) {
            finite if finite.is_finite() => put_plain(out, finite),
            other => put_text(out, number::not_finite(other)),
        },
        NativeType::Varint => put_text(out, &number::varint(bytes)),
        NativeType::Decimal => put_text(out, &number::decimal(fixed_front(bytes)?)),
        NativeType::Uuid | NativeType::Timeuuid => {
            let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
            put_text(out, Uuid::from_bytes(fixed(bytes)?).hyphenated().encode_lower(&mut text));
        }
        NativeType::Timestamp => put_time(out, i64::from_be_bytes(fixed(bytes)?)),
        NativeType::Date => put_date(out, u32::from_be_bytes(fixed(bytes)?)),
        NativeType::Time => {
            let since = jiff::SignedDuration::from_nanos(i64::from_be_bytes(fixed(bytes)?));
            let time = jiff::civil::Time::midnight().checked_add(since).map_err(shape)?;
            put_text(out, &time.to_string());
        }
        NativeType::Inet => put_text(out, &address(bytes)?.to_string()),
        NativeType::Duration => {
            let duration = CqlDuration::deserialize(&ColumnType::Native(NativeType::Duration), Some(slice));
            put_text(out, &number::duration(duration.map_err(shape)?));
        }
        NativeType::Blob => put_hex(out, bytes),
        _ => return Err(unknown(of)),
    }
    Ok(())
}

/// What JSON has a word for.
fn put_plain(out: &mut BytesMut, value: impl Serialize) {
    // Neither text nor a finite number fails to be written into memory.
    serde_json::to_writer(out.writer(), &value).ok();
}

/// Times beyond the year 9999 have no such text; their number is still right.
fn put_time(out: &mut BytesMut, millis: i64) {
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(time) => put_text(out, &format!("{time:.3}")),
        Err(_) => put_plain(out, millis),
    }
}

/// Days, with 1970-01-01 at 2^31; beyond the year 9999 the number of days since then.
fn put_date(out: &mut BytesMut, days: u32) {
    let days = (days ^ (1 << 31)).cast_signed();
    let date =
        jiff::Span::new().try_days(days).and_then(|span| jiff::civil::date(1970, 1, 1).checked_add(span));
    match date {
        Ok(date) => put_text(out, &date.to_string()),
        Err(_) => put_plain(out, days),
    }
}

fn put_hex(out: &mut BytesMut, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(bytes.len() * 2 + 4);
    out.put_slice(b"\"0x");
    for byte in bytes {
        out.put_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    out.put_u8(b'"');
}

fn address(bytes: &[u8]) -> Result<IpAddr, Error> {
    match bytes.len() {
        4 => Ok(IpAddr::from(fixed::<4>(bytes)?)),
        _ => Ok(IpAddr::from(fixed::<16>(bytes)?)),
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Error> {
    bytes.try_into().map_err(shape)
}

fn fixed_front(bytes: &[u8]) -> Result<(i32, &[u8]), Error> {
    let (front, rest) = bytes.split_at_checked(4).unwrap_or((bytes, &[]));
    Ok((i32::from_be_bytes(fixed(front)?), rest))
}

fn unknown(of: impl std::fmt::Debug) -> Error {
    Error::new(ErrorKind::Bug, format!("values of the type {of:?} are not known"))
        .advice("please report it; a table without such a column can be read")
}

#[cfg(test)]
mod tests;
