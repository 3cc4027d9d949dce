//! Bytes that sort as the values they stand for, and back.
//!
//! A clustering key is the concatenation of its encoded components, a prefix of it is a prefix of bytes, and a
//! descending component is its ascending bytes inverted. So the clustering B-tree needs no comparator, and each range
//! (`a = 1 AND b > 5`) is one half-open interval of bytes. No component starts with 0xFF: see [`AFTER`].
use scylla_cql::frame::response::result::{CollectionType, ColumnType, NativeType};

use super::CqlType;
use super::collection;

/// Appended to an encoded prefix, it sorts after every key that starts with the prefix.
pub const AFTER: u8 = 0xFF;
const EMPTY: u8 = 1;
const PRESENT: u8 = 2;

/// How a clustering column is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Smallest first.
    #[default]
    Ascending,
    /// Largest first.
    Descending,
}

/// The sortable form of a value, ascending.
pub fn sortable(typ: &CqlType, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 8);
    encode(typ, Direction::Ascending, value, &mut out);
    out
}

/// Appends the sortable form of a value that has passed [`super::check::check`].
pub fn encode(typ: &CqlType, direction: Direction, value: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    encode_ascending(typ, value, out);
    if direction == Direction::Descending {
        for byte in &mut out[start..] {
            *byte = !*byte;
        }
    }
}

/// Reads one component from the front of `sorted` and appends the value to `out`. `None` when bytes are missing.
pub fn decode(typ: &CqlType, direction: Direction, sorted: &mut &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mask = if direction == Direction::Descending { 0xFF } else { 0 };
    let mut reader = Reader { bytes: sorted, mask };
    decode_with(typ, &mut reader, out)?;
    *sorted = reader.bytes;
    Some(())
}

fn encode_ascending(typ: &CqlType, value: &[u8], out: &mut Vec<u8>) {
    if value.is_empty() {
        out.push(EMPTY);
        return;
    }
    out.push(PRESENT);
    match typ {
        ColumnType::Native(native) => encode_native(native, value, out),
        ColumnType::Collection { typ: CollectionType::Map(key, val), .. } => {
            for (k, v) in collection::entries(value) {
                out.push(PRESENT);
                encode_ascending(key, k, out);
                encode_ascending(val, v, out);
            }
            out.push(EMPTY);
        }
        ColumnType::Collection { typ: CollectionType::List(item) | CollectionType::Set(item), .. } => {
            for element in collection::elements(value) {
                out.push(PRESENT);
                encode_ascending(item, element, out);
            }
            out.push(EMPTY);
        }
        ColumnType::Tuple(types) => encode_fields(types.iter(), value, out),
        ColumnType::UserDefinedType { definition, .. } => {
            encode_fields(definition.field_types.iter().map(|(_, typ)| typ), value, out);
        }
        _ => escape(value, out),
    }
}

fn encode_fields<'t>(types: impl Iterator<Item = &'t CqlType>, value: &[u8], out: &mut Vec<u8>) {
    let mut fields = collection::fields(value);
    for typ in types {
        match fields.next() {
            Some(Some(field)) => {
                out.push(PRESENT);
                encode_ascending(typ, field, out);
            }
            Some(None) | None => out.push(EMPTY),
        }
    }
}

fn encode_native(native: &NativeType, value: &[u8], out: &mut Vec<u8>) {
    use NativeType as N;
    let start = out.len();
    match native {
        N::TinyInt | N::SmallInt | N::Int | N::BigInt | N::Counter | N::Timestamp | N::Time => {
            out.extend_from_slice(value);
            out[start] ^= 0x80;
        }
        N::Date | N::Boolean => out.extend_from_slice(value),
        N::Float | N::Double => {
            out.extend_from_slice(value);
            if value[0] & 0x80 == 0 {
                out[start] ^= 0x80;
            } else {
                out[start..].iter_mut().for_each(|byte| *byte = !*byte);
            }
        }
        N::Timeuuid => encode_timeuuid(value, out),
        N::Uuid => {
            let version = value.get(6).map_or(0, |byte| byte >> 4);
            out.push(version);
            if version == 1 {
                encode_timeuuid(value, out);
            } else {
                out.extend_from_slice(value);
            }
        }
        N::Varint => encode_varint(value, out),
        N::Decimal => super::types::decimal::encode(value, out),
        _ => escape(value, out),
    }
}

/// Text of any bytes, ended so that a prefix sorts first: 00 becomes 00 FF, the end is 00 00.
fn escape(value: &[u8], out: &mut Vec<u8>) {
    for &byte in value {
        out.push(byte);
        if byte == 0 {
            out.push(0xFF);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

/// Time first, then the rest as signed bytes, which is how ScyllaDB sorts version-1 ids.
fn encode_timeuuid(value: &[u8], out: &mut Vec<u8>) {
    let mut bytes = [0; 16];
    bytes[..value.len().min(16)].copy_from_slice(&value[..value.len().min(16)]);
    let raw = u128::from_be_bytes(bytes);
    let (high, low) = ((raw >> 64) as u64, raw as u64);
    let time = ((high & 0x0FFF) << 48) | ((high & 0xFFFF_0000) << 16) | (high >> 32);
    out.extend_from_slice(&((time << 4) | ((high >> 12) & 0xF)).to_be_bytes());
    out.extend_from_slice(&(low ^ 0x8080_8080_8080_8080).to_be_bytes());
}

fn decode_timeuuid(reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Option<()> {
    let sorted = u64::from_be_bytes(reader.array()?);
    let low = u64::from_be_bytes(reader.array()?) ^ 0x8080_8080_8080_8080;
    let time = sorted >> 4;
    let high = (time << 32) | ((time >> 16) & 0xFFFF_0000) | ((sorted & 0xF) << 12) | (time >> 48);
    out.extend_from_slice(&high.to_be_bytes());
    out.extend_from_slice(&low.to_be_bytes());
    Some(())
}

/// Sign, then length, then two's complement without needless leading bytes.
fn encode_varint(value: &[u8], out: &mut Vec<u8>) {
    let negative = value[0] & 0x80 != 0;
    let filler = if negative { 0xFF } else { 0 };
    let needless =
        value.windows(2).take_while(|pair| pair[0] == filler && (pair[1] & 0x80 != 0) == negative).count();
    let digits = &value[needless..];
    let length = u32::try_from(digits.len()).unwrap_or(u32::MAX);
    out.push(u8::from(!negative));
    out.extend_from_slice(&if negative { !length } else { length }.to_be_bytes());
    out.extend_from_slice(digits);
}

fn decode_with(typ: &CqlType, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Option<()> {
    if reader.byte()? == EMPTY {
        return Some(());
    }
    match typ {
        ColumnType::Native(native) => decode_native(native, reader, out),
        ColumnType::Collection { typ: CollectionType::Map(key, val), .. } => {
            decode_items(&[key, val], reader, out)
        }
        ColumnType::Collection { typ: CollectionType::List(item) | CollectionType::Set(item), .. } => {
            decode_items(&[item], reader, out)
        }
        ColumnType::Tuple(types) => decode_fields(types.iter(), reader, out),
        ColumnType::UserDefinedType { definition, .. } => {
            decode_fields(definition.field_types.iter().map(|(_, typ)| typ), reader, out)
        }
        _ => unescape(reader, out),
    }
}

fn decode_items(types: &[&CqlType], reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Option<()> {
    let count_at = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut count = 0_i32;
    while reader.byte()? == PRESENT {
        for typ in types {
            decode_sized(typ, reader, out)?;
        }
        count += 1;
    }
    out[count_at..count_at + 4].copy_from_slice(&count.to_be_bytes());
    Some(())
}

fn decode_fields<'t>(
    types: impl Iterator<Item = &'t CqlType>,
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
) -> Option<()> {
    for typ in types {
        if reader.byte()? == PRESENT {
            decode_sized(typ, reader, out)?;
        } else {
            out.extend_from_slice(&(-1_i32).to_be_bytes());
        }
    }
    Some(())
}

fn decode_sized(typ: &CqlType, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Option<()> {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    decode_with(typ, reader, out)?;
    let length = i32::try_from(out.len() - at - 4).ok()?;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Some(())
}

fn decode_native(native: &NativeType, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Option<()> {
    use NativeType as N;
    match native {
        N::TinyInt => reader.signed::<1>(out),
        N::SmallInt => reader.signed::<2>(out),
        N::Int => reader.signed::<4>(out),
        N::BigInt | N::Counter | N::Timestamp | N::Time => reader.signed::<8>(out),
        N::Date => reader.plain::<4>(out),
        N::Boolean => reader.plain::<1>(out),
        N::Float => decode_float::<4>(reader, out),
        N::Double => decode_float::<8>(reader, out),
        N::Timeuuid => decode_timeuuid(reader, out),
        N::Uuid if reader.byte()? == 1 => decode_timeuuid(reader, out),
        N::Uuid => reader.plain::<16>(out),
        N::Varint => decode_varint(reader, out),
        N::Decimal => super::types::decimal::decode(|| reader.byte(), out),
        _ => unescape(reader, out),
    }
}

fn decode_float<const N: usize>(reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Option<()> {
    let mut bytes = reader.array::<N>()?;
    if bytes[0] & 0x80 == 0 {
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
    } else {
        bytes[0] ^= 0x80;
    }
    out.extend_from_slice(&bytes);
    Some(())
}

fn decode_varint(reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Option<()> {
    let positive = reader.byte()? == 1;
    let length = u32::from_be_bytes(reader.array()?);
    for _ in 0..if positive { length } else { !length } {
        out.push(reader.byte()?);
    }
    Some(())
}

fn unescape(reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Option<()> {
    loop {
        match reader.byte()? {
            0 if reader.byte()? == 0 => return Some(()),
            byte => out.push(byte),
        }
    }
}

/// Undoes the inversion of descending components while reading.
struct Reader<'a> {
    bytes: &'a [u8],
    mask: u8,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(first ^ self.mask)
    }

    fn plain<const N: usize>(&mut self, out: &mut Vec<u8>) -> Option<()> {
        out.extend_from_slice(&self.array::<N>()?);
        Some(())
    }

    fn signed<const N: usize>(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let mut bytes = self.array::<N>()?;
        bytes[0] ^= 0x80;
        out.extend_from_slice(&bytes);
        Some(())
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.bytes.split_first_chunk::<N>()?;
        self.bytes = rest;
        Some(head.map(|byte| byte ^ self.mask))
    }
}
