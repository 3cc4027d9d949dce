//! Values of columns as text, written to where their record wants them.

use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};
use scylla::deserialize::FrameSlice;
use uuid::Uuid;

/// How a column's value becomes the bytes of a key, a value or a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is, without a copy: text and blobs.
    Raw,
    /// `c0ffee00-…`
    Uuid,
    /// `42`; 1, 2, 4 or 8 bytes.
    Whole,
    /// `1.5`; 4 or 8 bytes.
    Decimal,
    /// `true` or `false`
    Truth,
    /// `2026-01-31T12:00:00.123Z`
    Time,
}

impl Form {
    /// The form of a column of this CQL type; `None` for types that have no short text.
    pub fn of(cql: &str) -> Option<Self> {
        Some(match cql {
            "text" | "varchar" | "ascii" | "blob" => Self::Raw,
            "uuid" | "timeuuid" => Self::Uuid,
            "tinyint" | "smallint" | "int" | "bigint" => Self::Whole,
            "float" | "double" => Self::Decimal,
            "boolean" => Self::Truth,
            "timestamp" => Self::Time,
            _ => return None,
        })
    }

    /// A column's value as bytes of their own, or of the page where they can stay as they are; `None` where it is empty.
    pub fn bytes(self, cell: FrameSlice<'_>) -> Option<Bytes> {
        if self == Self::Raw {
            return Some(cell.to_bytes());
        }
        let mut memory = BytesMut::new();
        self.put(&mut memory, cell.as_slice()).map(|()| memory.freeze())
    }

    /// Appends a column's value; `None` where it is, as CQL allows, empty.
    pub fn put(self, memory: &mut BytesMut, bytes: &[u8]) -> Option<()> {
        match self {
            Self::Raw => memory.extend_from_slice(bytes),
            Self::Uuid => {
                let id = Uuid::from_slice(bytes).ok()?;
                memory.extend_from_slice(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes());
            }
            Self::Whole => put_whole(memory, whole(bytes)?),
            // Writing into memory fails only if a value's own formatting does, and these do not.
            Self::Decimal => match bytes.len() {
                4 => write!(memory, "{}", f32::from_be_bytes(bytes.try_into().ok()?)).ok()?,
                _ => write!(memory, "{}", f64::from_be_bytes(bytes.try_into().ok()?)).ok()?,
            },
            Self::Truth => memory.extend_from_slice(if *bytes.first()? == 0 { b"false" } else { b"true" }),
            Self::Time => {
                let millis = whole(bytes)?;
                // Times beyond the year 9999 have no such text; their number is still right.
                match jiff::Timestamp::from_millisecond(millis) {
                    Ok(time) => write!(memory, "{time:.3}").ok()?,
                    Err(_) => put_whole(memory, millis),
                }
            }
        }
        Some(())
    }
}

/// Appends a whole number.
fn put_whole(memory: &mut BytesMut, number: i64) {
    memory.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// A whole number of 1, 2, 4 or 8 bytes, as CQL writes it.
pub fn whole(bytes: &[u8]) -> Option<i64> {
    Some(match bytes.len() {
        1 => i64::from(i8::from_be_bytes(bytes.try_into().ok()?)),
        2 => i64::from(i16::from_be_bytes(bytes.try_into().ok()?)),
        4 => i64::from(i32::from_be_bytes(bytes.try_into().ok()?)),
        _ => i64::from_be_bytes(bytes.try_into().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::Form;
    use bytes::Bytes;
    use scylla::deserialize::FrameSlice;

    fn shown(cql: &str, bytes: &[u8]) -> Option<Bytes> {
        let frame = Bytes::copy_from_slice(bytes);
        Form::of(cql).unwrap().bytes(FrameSlice::new(&frame))
    }

    #[test]
    fn every_form_has_its_text() {
        assert_eq!(shown("uuid", &[0xab; 16]).unwrap(), "abababab-abab-abab-abab-abababababab");
        assert_eq!(shown("bigint", &(-7i64).to_be_bytes()).unwrap(), "-7");
        assert_eq!(shown("tinyint", &[0xff]).unwrap(), "-1");
        assert_eq!(shown("double", &1.5f64.to_be_bytes()).unwrap(), "1.5");
        assert_eq!(shown("boolean", &[1]).unwrap(), "true");
        assert_eq!(shown("timestamp", &1_500i64.to_be_bytes()).unwrap(), "1970-01-01T00:00:01.500Z");
        assert_eq!(shown("timestamp", &i64::MAX.to_be_bytes()).unwrap(), "9223372036854775807");
        assert_eq!(shown("text", b"").unwrap(), "");
        assert_eq!(shown("int", b""), None, "an empty number is none");
        assert_eq!(Form::of("frozen<list<int>>"), None);
    }

    #[test]
    fn raw_values_share_the_page() {
        let frame = Bytes::from_static(b"payload");
        let raw = Form::Raw.bytes(FrameSlice::new(&frame)).unwrap();
        assert_eq!(raw.as_ptr(), frame.as_ptr());
    }
}
