//! Which rows of the log are events, and what an event looks like as a record.
//!
//! An insert is an event, and so is an update that sets every required column, since that is how some clients insert.
//! An insert without a required column, a null payload too, is none: a row nobody could do anything with is counted
//! and not guessed at. Deletes, expiries and images are none either.

use std::fmt::{Arguments, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use scylla::response::query_result::QueryRowsResult;
use scylla::value::CqlTimeuuid;
use scylla_cdc::consumer::OperationType;
use weir_sdk::{Error, HeaderName, Origin, Packer, Packing, Partition, Record, Timestamp};

use super::mapping::{Mapping, Role};
use super::text::{Form, whole};
use crate::reader::statement::{Content, Decode, Key, Operations, Row, Skip};
use crate::reader::time::{Micros, ticks_of};
use crate::reader::{SOURCE_POSITION, SOURCE_TIME};
use crate::session::page::{self, Cell};

/// The operations that may bring an event.
pub const COUNTED: Operations =
    Operations::of(&[OperationType::RowInsert as i8, OperationType::RowUpdate as i8]);

/// What the headers of a record take of memory, about.
const HEADERS: usize = 512;
/// Headers of a page share pieces of memory no larger than this, so that one record kept keeps no more.
const PIECE: usize = 32 * 1024;

/// The decoder of the statement that reads whole rows.
pub fn decode(mapping: Mapping) -> Decode<Row> {
    let headers = mapping.headers(&[SOURCE_POSITION, SOURCE_TIME]);
    let records = Records { mapping, headers, partition: Partition::from("log") };
    Arc::new(move |page| records.page(page))
}

struct Records {
    mapping: Mapping,
    headers: Arc<[HeaderName]>,
    partition: Partition,
}

impl Records {
    fn page(&self, page: &QueryRowsResult) -> Result<Vec<Row>, Error> {
        let mut packer = packer(&self.headers, page);
        let mut rows = Vec::with_capacity(page.rows_num());
        let mut cells = page::Rows::of(page)?;
        while let Some(cells) = cells.next()? {
            let key = Key::of(cells)?;
            let (content, rank) = self.content(&key, &cells[Key::COLUMNS..], packer.begin());
            let size = content.size();
            rows.push(Row { id: key.id, kept: COUNTED.has(key.operation), rank, size, content });
        }
        Ok(rows)
    }

    fn content(&self, key: &Key, cells: &[Cell<'_>], headers: Packing<'_>) -> (Content, i64) {
        let missing = match OperationType::try_from(key.operation) {
            Ok(OperationType::RowInsert) => Skip::Incomplete,
            Ok(OperationType::RowUpdate) => Skip::Update,
            Ok(OperationType::PreImage | OperationType::PostImage) => {
                return (Content::Skipped(Skip::Image), 0);
            }
            Ok(
                OperationType::RowDelete
                | OperationType::PartitionDelete
                | OperationType::RowRangeDelInclLeft
                | OperationType::RowRangeDelExclLeft
                | OperationType::RowRangeDelInclRight
                | OperationType::RowRangeDelExclRight,
            ) => return (Content::Skipped(Skip::Delete), 0),
            Err(_) => return (Content::Skipped(Skip::Unknown), 0),
        };
        let Some(draft) = Draft::of(&self.mapping, cells, headers) else {
            return (Content::Skipped(missing), 0);
        };
        let rank = draft.rank;
        (Content::Event(draft.at(key.id.micros(), format_args!("{}", key.id), &self.partition)), rank)
    }
}

/// Packs the headers of the rows of a page.
pub fn packer(headers: &Arc<[HeaderName]>, page: &QueryRowsResult) -> Packer {
    Packer::new(headers.clone(), (page.rows_num() * HEADERS).min(PIECE))
}

/// A record that does not say yet where it was read.
pub struct Draft<'p> {
    headers: Packing<'p>,
    /// The place of its key among the headers.
    key: Option<usize>,
    value: Option<Bytes>,
    rank: i64,
    mark: Option<&'static str>,
}

impl<'p> Draft<'p> {
    /// Reads the columns of a mapping; `None` when a required one is null.
    pub(crate) fn of(mapping: &Mapping, cells: &[Cell<'_>], headers: Packing<'p>) -> Option<Self> {
        let mut draft = Self { headers, key: None, value: None, rank: 0, mark: None };
        for (mapped, cell) in mapping.columns.iter().zip(cells) {
            let is_there = match &mapped.role {
                Role::Rank => {
                    draft.rank = cell.and_then(|cell| rank(cell.as_slice())).unwrap_or(i64::MIN);
                    continue;
                }
                Role::Value => {
                    draft.value = cell.and_then(|cell| mapped.form.bytes(cell));
                    draft.value.is_some()
                }
                Role::Key(_) => {
                    draft.key = Some(draft.headers.place());
                    draft.header(mapped.form, *cell)
                }
                Role::Header(_) => draft.header(mapped.form, *cell),
            };
            if mapped.required && !is_there {
                return None;
            }
        }
        Some(draft)
    }

    /// The value of a header that it has; empty where it has none.
    pub fn get(&self, name: &str) -> &[u8] {
        self.headers.written(name)
    }

    /// Has one more header behind all others, with this value.
    pub fn mark(&mut self, value: &'static str) {
        self.mark = Some(value);
    }

    /// The record of a row that was written at `time` and read at this position.
    pub fn at(mut self, time: Micros, position: Arguments<'_>, partition: &Partition) -> Record {
        let at = self.headers.place();
        // Writing into memory fails only if a value's own formatting does, and these do not.
        self.headers.put(|memory| memory.write_fmt(position).is_ok());
        self.headers.copy(itoa::Buffer::new().format(time).as_bytes());
        self.mark.into_iter().for_each(|mark| self.headers.copy(mark.as_bytes()));
        let headers = self.headers.end();
        let offset = headers.share(at).unwrap_or_default().into();
        Record {
            key: self.key.and_then(|place| headers.share(place)),
            value: self.value,
            headers,
            timestamp: Timestamp(time),
            origin: Origin { partition: partition.clone(), offset },
        }
    }

    /// The next header; `false` where there is none.
    fn header(&mut self, form: Form, cell: Cell<'_>) -> bool {
        self.headers.put(|memory| cell.and_then(|cell| form.put(memory, cell.as_slice())).is_some())
    }
}

/// Orders values as their types do: whole numbers, timestamps and timeuuids.
fn rank(bytes: &[u8]) -> Option<i64> {
    match <[u8; 16]>::try_from(bytes) {
        Ok(id) => Some(ticks_of(&CqlTimeuuid::from_bytes(id))),
        Err(_) => whole(bytes),
    }
}
