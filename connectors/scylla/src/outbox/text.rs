//! Values of columns as text, many into one allocation.

use std::fmt::{Arguments, Write as _};

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
}

/// Bytes that many short texts share: one allocation for a page, not one for each value.
#[derive(Debug)]
pub struct Texts(BytesMut);

impl Texts {
    /// Room for so many bytes at a time.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(BytesMut::with_capacity(bytes))
    }

    /// One text.
    pub fn write(&mut self, text: Arguments<'_>) -> Bytes {
        // Writing into memory fails only if a value's own formatting does, and these do not.
        self.0.write_fmt(text).ok();
        self.0.split().freeze()
    }

    /// A whole number.
    pub fn whole(&mut self, number: i64) -> Bytes {
        self.copy(itoa::Buffer::new().format(number))
    }

    fn copy(&mut self, text: &str) -> Bytes {
        self.0.extend_from_slice(text.as_bytes());
        self.0.split().freeze()
    }

    /// A column's value in its form; `None` where it is null or, as CQL allows, empty.
    pub fn value(&mut self, form: Form, slice: FrameSlice<'_>) -> Option<Bytes> {
        let bytes = slice.as_slice();
        match form {
            Form::Raw => Some(slice.to_bytes()),
            Form::Uuid => {
                let id = Uuid::from_slice(bytes).ok()?;
                Some(self.copy(id.hyphenated().encode_lower(&mut Uuid::encode_buffer())))
            }
            Form::Whole => Some(self.whole(whole(bytes)?)),
            Form::Decimal => match bytes.len() {
                4 => Some(self.write(format_args!("{}", f32::from_be_bytes(bytes.try_into().ok()?)))),
                _ => Some(self.write(format_args!("{}", f64::from_be_bytes(bytes.try_into().ok()?)))),
            },
            Form::Truth => Some(Bytes::from_static(if *bytes.first()? == 0 { b"false" } else { b"true" })),
            Form::Time => {
                let millis = whole(bytes)?;
                // Times beyond the year 9999 have no such text; their number is still right.
                Some(match jiff::Timestamp::from_millisecond(millis) {
                    Ok(time) => self.write(format_args!("{time:.3}")),
                    Err(_) => self.whole(millis),
                })
            }
        }
    }
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
    use super::{Form, Texts};
    use bytes::Bytes;
    use scylla::deserialize::FrameSlice;

    fn shown(cql: &str, bytes: &[u8]) -> Option<Bytes> {
        let frame = Bytes::copy_from_slice(bytes);
        Texts::with_capacity(64).value(Form::of(cql).unwrap(), FrameSlice::new(&frame))
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
    fn texts_share_memory_and_raw_values_share_the_frame() {
        let mut texts = Texts::with_capacity(64);
        let (a, b) = (texts.write(format_args!("one")), texts.write(format_args!("two")));
        assert_eq!(a.as_ptr() as usize + 3, b.as_ptr() as usize);
        let frame = Bytes::from_static(b"payload");
        let raw = texts.value(Form::Raw, FrameSlice::new(&frame)).unwrap();
        assert_eq!(raw.as_ptr(), frame.as_ptr());
    }
}
