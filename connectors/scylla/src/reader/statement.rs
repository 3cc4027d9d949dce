//! A prepared statement that reads the log page by page, and the shape of the rows it answers.

use std::sync::Arc;

use scylla::client::session::Session;
use scylla::response::query_result::{QueryResult, QueryRowsResult};
use scylla::response::{PagingState, PagingStateResponse};
use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlTimeuuid;
use weir_sdk::{Error, Record};

use super::change::Piece;
use super::fetch::Paged;
use super::progress::Kept;
use super::row::{Place, RowId, StreamId};
use super::tally::Tally;
use super::time::Bucket;
use super::unsettled::Sum;
use crate::session::errors::{Classify, shape};
use crate::session::page::{Cell, Rows, fixed, take};

/// The columns that name a row, and what happened.
pub const KEY_COLUMNS: &str = r#""cdc$stream_id", "cdc$time", "cdc$batch_seq_no", "cdc$operation""#;

/// Turns a page into rows; it runs beside the reader.
pub type Decode<R> = Arc<dyn Fn(&QueryRowsResult) -> Result<Vec<R>, Error> + Send + Sync>;

/// A stretch of some streams: what one query asks for.
#[derive(Clone, Debug)]
pub struct Part {
    /// At most 100, which is the server's limit.
    pub streams: Arc<[StreamId]>,
    /// The first time.
    pub from: CqlTimeuuid,
    /// The time after the last.
    pub to: CqlTimeuuid,
}

/// A prepared statement on the log with the decoder of its rows.
pub struct Statement<R> {
    session: Arc<Session>,
    prepared: PreparedStatement,
    decode: Decode<R>,
}

/// One page, and where the next one begins.
pub struct Page<R> {
    /// Its rows, stream by stream, each by place.
    pub rows: Vec<R>,
    /// Bytes of the answer.
    pub bytes: usize,
    /// `None` after the last page.
    pub next: Option<PagingState>,
}

impl<R> Statement<R> {
    /// Prepares a statement over `table` (the log, quoted) that answers what is `selected`.
    pub async fn prepare(
        session: Arc<Session>,
        table: &str,
        selected: &str,
        page_size: u32,
        decode: Decode<R>,
    ) -> Result<Self, Error> {
        let text = format!(
            r#"SELECT {selected} FROM {table} WHERE "cdc$stream_id" IN ? AND "cdc$time" >= ? AND "cdc$time" < ? BYPASS CACHE"#
        );
        let mut prepared = session
            .prepare(text)
            .await
            .map_err(|error| error.classify().context("prepare the query of the log"))?;
        prepared.set_page_size(i32::try_from(page_size).unwrap_or(i32::MAX));
        prepared.set_is_idempotent(true);
        Ok(Self { session, prepared, decode })
    }

    /// The same statement, whose rows are decoded into something else.
    pub fn decoding<S>(&self, decode: Decode<S>) -> Statement<S> {
        Statement { session: self.session.clone(), prepared: self.prepared.clone(), decode }
    }
}

impl<R: Send + 'static> Paged for Statement<R> {
    type Part = Part;
    type Row = R;

    async fn ask(&self, part: &Part, from: PagingState) -> Result<Answer, Error> {
        let streams: Vec<&[u8]> = part.streams.iter().map(|stream| stream.0.as_slice()).collect();
        let values = (streams, part.from, part.to);
        let answer = self.session.execute_single_page(&self.prepared, values, from).await;
        let (answer, next) = answer.map_err(|error| error.classify().context("read the log"))?;
        Answer::of(answer, next)
    }

    fn decode(&self, answer: Answer) -> Result<Page<R>, Error> {
        answer.page(&*self.decode)
    }
}

/// One page as it came.
pub struct Answer {
    rows: QueryRowsResult,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<PagingState>,
}

impl Answer {
    /// Of what the driver has got.
    ///
    /// # Errors
    /// `Bug` when it is no page of rows.
    pub fn of(answer: QueryResult, next: PagingStateResponse) -> Result<Self, Error> {
        let rows = answer.into_rows_result().map_err(shape)?;
        Ok(Self { rows, next: next.into_paging_control_flow().continue_value() })
    }

    /// The page that holds these rows, decoded.
    pub fn page<R>(
        self,
        decode: impl FnOnce(&QueryRowsResult) -> Result<Vec<R>, Error>,
    ) -> Result<Page<R>, Error> {
        Ok(Page { rows: decode(&self.rows)?, bytes: self.rows.rows_bytes_size(), next: self.next })
    }
}

/// A row of the log with its content. Cloning copies no bytes.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub id: RowId,
    /// Whether visits look for it.
    pub kept: Kept,
    /// Its place among rows of the same time, where the order is not the log's; 0 elsewhere.
    pub rank: i64,
    /// What it takes of a batch's room; 0 where it is no event.
    pub size: usize,
    /// What it is to us.
    pub content: Content,
}

/// What a row is to us.
#[derive(Clone, Debug)]
pub enum Content {
    /// An event.
    Event(Record),
    /// An event of which some rows could not be read, because not every replica had them yet.
    Torn(Record),
    /// Part of a change, whose records are made of several rows.
    Piece(Piece),
    /// Not an event.
    Skipped(Skip),
}

impl Content {
    /// What it takes of a batch's room.
    pub fn size(&self) -> usize {
        match self {
            Self::Event(record) | Self::Torn(record) => record.size(),
            Self::Piece(_) | Self::Skipped(_) => 0,
        }
    }
}

/// Why a row is not an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// A delete or an expiry: housekeeping.
    Delete,
    /// An update that does not set every required column.
    Update,
    /// A pre- or postimage.
    Image,
    /// An insert without a required column.
    Incomplete,
    /// An operation that the configuration leaves out.
    Unwanted,
    /// An operation that this version does not know.
    Unknown,
}

/// A row as a later visit reads it.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub id: RowId,
    /// `cdc$operation`.
    pub operation: i8,
}

impl Key {
    /// How many columns it takes.
    pub const COLUMNS: usize = 4;

    /// Reads it off the front of a row.
    ///
    /// # Errors
    /// `Bug` when they are not the [`KEY_COLUMNS`].
    pub(crate) fn of(cells: &[Cell<'_>]) -> Result<Self, Error> {
        let (stream, time) = (fixed(cells.first())?, fixed(cells.get(1))?);
        Ok(Self::new(stream, time, fixed(cells.get(2))?, fixed(cells.get(3))?))
    }

    fn new(stream: [u8; 16], time: [u8; 16], seq: [u8; 4], operation: [u8; 1]) -> Self {
        let place = Place { time: CqlTimeuuid::from_bytes(time), seq: i32::from_be_bytes(seq) };
        let id = RowId { stream: StreamId(stream), place };
        Self { id, operation: i8::from_be_bytes(operation) }
    }

    /// The decoder of the statement that later visits use: the rows of these operations, and no others.
    pub fn decode(counted: Operations) -> Decode<Self> {
        Arc::new(move |page| {
            let mut keys = Vec::with_capacity(page.rows_num());
            Self::each(page, counted, |key| keys.push(key))?;
            Ok(keys)
        })
    }

    /// Decodes the same rows into no more than how many each second has, and the sum of their hashes.
    pub fn add_up(counted: Operations) -> Decode<(Bucket, Sum)> {
        Arc::new(move |page| {
            let mut sums = Tally::default();
            Self::each(page, counted, |key| sums.add(key.id.bucket(), key.id.hash()))?;
            Ok(sums.iter().collect())
        })
    }

    /// Goes through a page whose rows are nothing but names.
    fn each(page: &QueryRowsResult, counted: Operations, mut what: impl FnMut(Self)) -> Result<(), Error> {
        let mut rows = Rows::of(page)?.bytes();
        for _ in 0..page.rows_num() {
            let key = Self::new(take(&mut rows)?, take(&mut rows)?, take(&mut rows)?, take(&mut rows)?);
            if counted.has(key.operation) == Kept::Yes {
                what(key);
            }
        }
        Ok(())
    }
}

/// Some of the operations that a log tells of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations(u16);

impl Operations {
    /// Those of these numbers.
    pub const fn of(numbers: &[i8]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < numbers.len() {
            bits |= 1 << numbers[at].unsigned_abs();
            at += 1;
        }
        Self(bits)
    }

    /// Whether visits look for rows of this `cdc$operation`, so that they are remembered. Of a delete that an expiry
    /// made the number is negative.
    pub fn has(self, operation: i8) -> Kept {
        let bit = 1_u16.checked_shl(operation.unsigned_abs().into()).unwrap_or(0);
        if self.0 & bit == 0 { Kept::No } else { Kept::Yes }
    }
}
