//! Which rows of the log are events, and what an event looks like as a record.
//!
//! An insert is an event, and so is an update that sets every required column, since that is how some clients insert.
//! An insert without a required column, a null payload too, is none: a row nobody could do anything with is counted
//! and not guessed at. Deletes, expiries and images are none either.

use std::sync::Arc;

use bytes::Bytes;
use scylla::response::query_result::QueryRowsResult;
use scylla::value::CqlTimeuuid;
use scylla_cdc::consumer::OperationType;
use weir_sdk::{Error, Header, HeaderName, Origin, Partition, Record, Timestamp};

use super::mapping::{Mapping, Role};
use super::text::{Texts, whole};
use crate::reader::statement::{Content, Decode, Key, Operations, Row, Skip};
use crate::reader::time::{Micros, ticks_of};
use crate::reader::{SOURCE_POSITION, SOURCE_TIME};
use crate::session::page::{self, Cell};

/// The operations that may bring an event.
pub const COUNTED: Operations =
    Operations::of(&[OperationType::RowInsert as i8, OperationType::RowUpdate as i8]);

/// Bytes of text that a record has beside its payload, about.
const TEXT: usize = 320;
/// Texts of a page share pieces of memory no larger than this, so that one record kept keeps no more.
const PIECE: usize = 32 * 1024;

/// The decoder of the statement that reads whole rows.
pub fn decode(mapping: Mapping) -> Decode<Row> {
    let records = Records { mapping, partition: Partition::from("log") };
    Arc::new(move |page| records.page(page))
}

struct Records {
    mapping: Mapping,
    partition: Partition,
}

impl Records {
    fn page(&self, page: &QueryRowsResult) -> Result<Vec<Row>, Error> {
        let mut texts = Texts::with_capacity((page.rows_num() * TEXT).min(PIECE));
        let mut rows = Vec::with_capacity(page.rows_num());
        let mut cells = page::Rows::of(page)?;
        while let Some(cells) = cells.next()? {
            let key = Key::of(cells)?;
            let (content, rank) = self.content(&key, &cells[Key::COLUMNS..], &mut texts)?;
            let size = content.size();
            rows.push(Row { id: key.id, kept: COUNTED.has(key.operation), rank, size, content });
        }
        Ok(rows)
    }

    fn content(&self, key: &Key, cells: &[Cell<'_>], texts: &mut Texts) -> Result<(Content, i64), Error> {
        let missing = match OperationType::try_from(key.operation) {
            Ok(OperationType::RowInsert) => Skip::Incomplete,
            Ok(OperationType::RowUpdate) => Skip::Update,
            Ok(OperationType::PreImage | OperationType::PostImage) => {
                return Ok((Content::Skipped(Skip::Image), 0));
            }
            Ok(
                OperationType::RowDelete
                | OperationType::PartitionDelete
                | OperationType::RowRangeDelInclLeft
                | OperationType::RowRangeDelExclLeft
                | OperationType::RowRangeDelInclRight
                | OperationType::RowRangeDelExclRight,
            ) => return Ok((Content::Skipped(Skip::Delete), 0)),
            Err(_) => return Ok((Content::Skipped(Skip::Unknown), 0)),
        };
        let Some(draft) = Draft::of(&self.mapping, cells, texts) else {
            return Ok((Content::Skipped(missing), 0));
        };
        let (rank, position) = (draft.rank, texts.write(format_args!("{}", key.id)));
        Ok((Content::Event(draft.at(key.id.micros(), position, &self.partition, texts)), rank))
    }
}

/// A record that does not say yet where it was read.
pub struct Draft {
    key: Option<Bytes>,
    value: Option<Bytes>,
    headers: Vec<Header>,
    rank: i64,
}

impl Draft {
    /// Reads the columns of a mapping; `None` when a required one is null.
    pub(crate) fn of(mapping: &Mapping, cells: &[Cell<'_>], texts: &mut Texts) -> Option<Self> {
        let headers = Vec::with_capacity(mapping.columns.len() + 2);
        let mut draft = Self { key: None, value: None, headers, rank: 0 };
        for (mapped, cell) in mapping.columns.iter().zip(cells) {
            if matches!(mapped.role, Role::Rank) {
                draft.rank = cell.and_then(|cell| rank(cell.as_slice())).unwrap_or(i64::MIN);
                continue;
            }
            let value = cell.and_then(|cell| texts.value(mapped.form, cell));
            let Some(value) = value else {
                if mapped.required {
                    return None;
                }
                continue;
            };
            match &mapped.role {
                Role::Rank => {}
                Role::Value => draft.value = Some(value),
                Role::Header(name) => draft.header(name.clone(), value),
                Role::Key(name) => {
                    draft.header(name.clone(), value.clone());
                    draft.key = Some(value);
                }
            }
        }
        Some(draft)
    }

    /// The value of a header that it has.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.headers.iter().find(|header| header.name.as_str() == name)?.value.as_ref()
    }

    /// The record of a row that was written at `time` and read at this position.
    pub fn at(mut self, time: Micros, position: Bytes, partition: &Partition, texts: &mut Texts) -> Record {
        self.header(SOURCE_POSITION.into(), position.clone());
        self.header(SOURCE_TIME.into(), texts.whole(time));
        Record {
            key: self.key,
            value: self.value,
            headers: self.headers.into(),
            timestamp: Timestamp(time),
            origin: Origin { partition: partition.clone(), offset: position.into() },
        }
    }

    fn header(&mut self, name: HeaderName, value: Bytes) {
        self.headers.push(Header { name, value: Some(value) });
    }
}

/// Orders values as their types do: whole numbers, timestamps and timeuuids.
fn rank(bytes: &[u8]) -> Option<i64> {
    match <[u8; 16]>::try_from(bytes) {
        Ok(id) => Some(ticks_of(&CqlTimeuuid::from_bytes(id))),
        Err(_) => whole(bytes),
    }
}
