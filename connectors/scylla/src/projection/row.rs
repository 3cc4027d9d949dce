//! An event as the values of its statements.

use scylla::frame::response::result::ColumnType;
use scylla::serialize::SerializationError;
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;
use weir_sdk::json::Written;
use weir_sdk::{Error, ErrorKind, Record};

use super::config::Version;
use super::expression::Expression;
use super::plan::Cell;
use super::value::{self, Given};
use crate::reader::SOURCE_TIME;

/// A marker with what is bound to it, typed.
#[derive(Debug)]
pub enum Slot {
    /// The time of the write: that of the event, less so many microseconds.
    Time(i64),
    /// A value that is the same for every event, serialized.
    Fixed(Vec<u8>),
    /// A value of the event.
    Cell(Cell, ColumnType<'static>),
}

/// The values of one statement, serialized.
#[derive(Debug, Default)]
pub struct Values {
    bytes: Vec<u8>,
    /// Where each value ends, and whether it is there.
    ends: Vec<(usize, bool)>,
}

impl Values {
    /// The values of the slots.
    ///
    /// # Errors
    /// `Record`, for a value that is missing or of another type; the message quotes none.
    pub fn of(
        slots: &[Slot],
        record: &Record,
        found: &[Option<Written<'_>>],
        time: i64,
    ) -> Result<Self, Error> {
        let mut values = Self { bytes: Vec::with_capacity(256), ends: Vec::with_capacity(slots.len()) };
        for slot in slots {
            let is_there = match slot {
                Slot::Time(less) => {
                    let time =
                        time.checked_sub(*less).ok_or_else(|| refused("its time is out of range".into()))?;
                    values.bytes.extend_from_slice(&time.to_be_bytes());
                    true
                }
                Slot::Fixed(bytes) => {
                    values.bytes.extend_from_slice(bytes);
                    true
                }
                Slot::Cell(cell, of) => values.put(cell, of, record, found)?,
            };
            values.ends.push((values.bytes.len(), is_there));
        }
        Ok(values)
    }

    /// Whether there is a value.
    fn put(
        &mut self,
        cell: &Cell,
        of: &ColumnType<'_>,
        record: &Record,
        found: &[Option<Written<'_>>],
    ) -> Result<bool, Error> {
        let (text, number);
        let given = match &cell.expression {
            Expression::Path(_) => match found[cell.number] {
                Some(written) => {
                    text = written.text()?;
                    Some(Given::Text(&text))
                }
                None => None,
            },
            Expression::Header(name) => record.headers.get(name).map(Given::Bytes),
            Expression::Key => record.key.as_ref().map(|bytes| Given::Bytes(bytes)),
            Expression::Payload => record.value.as_ref().map(|bytes| Given::Bytes(bytes)),
            Expression::Time => {
                number = record.timestamp.0.to_string();
                Some(Given::Text(&number))
            }
            Expression::Literal(text) => Some(Given::Text(text)),
        };
        let Some(given) = given else {
            if cell.is_key {
                let Cell { column, expression, .. } = cell;
                return Err(refused(format!(
                    "`{expression}` is missing, and `{column}` is a part of the primary key"
                )));
            }
            return Ok(false);
        };
        value::append(&mut self.bytes, given, of).map_err(|wanted| {
            refused(format!("`{}` is not {wanted}, as the column `{}` wants", cell.expression, cell.column))
        })?;
        Ok(true)
    }
}

impl SerializeRow for Values {
    fn serialize(
        &self,
        _: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        let mut begin = 0;
        for (end, is_there) in &self.ends {
            let cell = writer.make_cell_writer();
            if *is_there {
                cell.set_value(&self.bytes[begin..*end]).map_err(SerializationError::new)?;
            } else {
                cell.set_null();
            }
            begin = *end;
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

/// What the writes of this event are ordered by.
///
/// # Errors
/// `Record`, when the record does not say.
pub fn time(record: &Record, version: Version) -> Result<i64, Error> {
    let header = match version {
        Version::Time => SOURCE_TIME,
        Version::Sequence => "sequence_number",
    };
    match (record.headers.get(header), version) {
        (Some(value), _) => std::str::from_utf8(value)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| refused(format!("the header `{header}` is no whole number"))),
        (None, Version::Time) => Ok(record.timestamp.0),
        (None, Version::Sequence) => Err(refused(format!("the header `{header}` is missing"))),
    }
}

pub(super) fn refused(message: String) -> Error {
    Error::new(ErrorKind::Record, message)
        .advice("repair the mapping of this type of event, or what writes such events, and replay it")
}
