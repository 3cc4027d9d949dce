//! A row of the log as pieces of JSON: its key, its columns, and the elements that were put in or taken out.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use scylla::deserialize::FrameSlice;
use scylla::deserialize::value::{DeserializeValue as _, ListlikeIterator};
use scylla::frame::response::result::{ColumnSpec, ColumnType};
use scylla::response::query_result::QueryRowsResult;
use scylla::value::CqlTimeuuid;
use scylla_cdc::consumer::OperationType;
use weir_sdk::Error;

use super::columns::{Column, Columns, Plan, Valued, fields};
use super::value::{Members, put, put_cells, put_present, put_text};
use crate::reader::change::Piece;
use crate::reader::row::{Place, RowId, StreamId};
use crate::reader::statement::{Content, Decode, Operations, Row};
use crate::session::errors::shape;
use crate::session::page::{self, Cell, fixed};

/// What a row takes as JSON, about.
const TEXT: usize = 320;
/// Pieces of one page share memory no larger than this.
const CHUNK: usize = 32 * 1024;
/// Nothing.
const EMPTY: &[u8] = b"{}";

/// The decoder of the statement that reads whole rows.
pub fn decode(columns: Columns, counted: Operations) -> Decode<Row> {
    Arc::new(move |page| {
        if page.rows_num() == 0 {
            return Ok(Vec::new());
        }
        rows(page, &columns, counted)
    })
}

fn rows(page: &QueryRowsResult, columns: &Columns, counted: Operations) -> Result<Vec<Row>, Error> {
    let specs = page.column_specs();
    let plan = columns.plan(specs.as_slice())?;
    let mut text = BytesMut::with_capacity((page.rows_num() * TEXT).min(CHUNK));
    let mut rows = Vec::with_capacity(page.rows_num());
    let mut cells = page::Rows::of(page)?;
    while let Some(slices) = cells.next()? {
        let cells = Cells { plan: &plan, specs: specs.as_slice(), slices };
        let (id, piece) = (cells.id()?, cells.piece(&mut text)?);
        let kept = counted.has(piece.operation);
        rows.push(Row { id, kept, rank: 0, size: 0, content: Content::Piece(piece) });
    }
    Ok(rows)
}

/// The columns of one row.
struct Cells<'f> {
    plan: &'f Plan,
    specs: &'f [ColumnSpec<'f>],
    slices: &'f [Cell<'f>],
}

/// Tells of a column, if there is something to tell.
type Tell<'f> = fn(&Cells<'f>, &mut Members<'_>, &Valued) -> Result<(), Error>;

impl<'f> Cells<'f> {
    fn id(&self) -> Result<RowId, Error> {
        let [stream, time, seq, _] = self.plan.id;
        let (stream, time) = (StreamId(self.fixed(stream)?), CqlTimeuuid::from_bytes(self.fixed(time)?));
        Ok(RowId { stream, place: Place { time, seq: i32::from_be_bytes(self.fixed(seq)?) } })
    }

    fn piece(&self, text: &mut BytesMut) -> Result<Piece, Error> {
        let operation = i8::from_be_bytes(self.fixed(self.plan.id[3])?);
        let empty = || Bytes::from_static(EMPTY);
        let mut is_range = false;
        let (columns, elements) = match OperationType::try_from(operation) {
            Ok(OperationType::PreImage) => (self.columns(text, Self::told)?, empty()),
            Ok(OperationType::PostImage) => (self.columns(text, Self::all)?, empty()),
            Ok(OperationType::RowInsert | OperationType::RowUpdate) => {
                (self.columns(text, Self::changed)?, self.columns(text, Self::elements)?)
            }
            Ok(OperationType::RowDelete | OperationType::PartitionDelete) | Err(_) => (empty(), empty()),
            Ok(
                OperationType::RowRangeDelInclLeft
                | OperationType::RowRangeDelExclLeft
                | OperationType::RowRangeDelInclRight
                | OperationType::RowRangeDelExclRight,
            ) => {
                is_range = true;
                (object(text, |bound| self.key(bound, &self.plan.clustering_key))?, empty())
            }
        };
        let mut partition = 0;
        let key = object(text, |key| {
            self.key(key, &self.plan.partition_key)?;
            partition = key.written();
            if is_range { Ok(()) } else { self.key(key, &self.plan.clustering_key) }
        })?;
        let last = self.slices[self.plan.last].is_some_and(|last| last.as_slice() == [1]);
        let ttl = self.slices[self.plan.ttl].map(|_| self.fixed(self.plan.ttl)).transpose()?;
        Ok(Piece { operation, last, ttl: ttl.map(i64::from_be_bytes), key, partition, columns, elements })
    }

    /// The columns of a key that have a value; a prefix of it has fewer.
    fn key(&self, members: &mut Members<'_>, columns: &[Column]) -> Result<(), Error> {
        columns.iter().try_for_each(|column| match self.slices[column.value] {
            Some(bytes) => put(members.named(&column.name), self.of(column.value), bytes),
            None => Ok(()),
        })
    }

    /// What is told of each column: of a row those that it has for itself, of the rest of its partition the others.
    fn columns(&self, text: &mut BytesMut, tell: Tell<'f>) -> Result<Bytes, Error> {
        let clustering_key = &self.plan.clustering_key;
        let is_rest = clustering_key.iter().all(|column| self.slices[column.value].is_none());
        let is_static = !clustering_key.is_empty() && is_rest;
        object(text, |members| {
            let mut columns = self.plan.values.iter().filter(|valued| valued.is_static == is_static);
            columns.try_for_each(|valued| tell(self, members, valued))
        })
    }

    /// The value if there is one, and null if it is marked so.
    fn told(&self, members: &mut Members<'_>, valued: &Valued) -> Result<(), Error> {
        match self.slices[valued.column.value] {
            None if !self.is_marked(valued) => Ok(()),
            _ => self.all(members, valued),
        }
    }

    /// The value or null.
    fn all(&self, members: &mut Members<'_>, valued: &Valued) -> Result<(), Error> {
        let (at, out) = (valued.column.value, members.named(&valued.column.name));
        match self.slices[at] {
            Some(cells) if valued.is_list => put_cells(out, self.of(at), cells),
            Some(bytes) => put(out, self.of(at), bytes),
            None => {
                out.put_slice(b"null");
                Ok(())
            }
        }
    }

    /// What was written as a whole.
    fn changed(&self, members: &mut Members<'_>, valued: &Valued) -> Result<(), Error> {
        if self.is_by_element(valued) { Ok(()) } else { self.told(members, valued) }
    }

    /// What was put in and what was taken out.
    fn elements(&self, members: &mut Members<'_>, valued: &Valued) -> Result<(), Error> {
        let Some(at) = valued.removed.filter(|_| self.is_by_element(valued)) else { return Ok(()) };
        let (added, removed) = (self.slices[valued.column.value], self.slices[at]);
        if added.is_none() && removed.is_none() {
            return Ok(());
        }
        let of = self.of(valued.column.value);
        let mut elements = Members::begin(members.named(&valued.column.name), b'{');
        if let Some(added) = added {
            let out = elements.named(br#""added""#);
            match of {
                ColumnType::UserDefinedType { .. } => put_present(out, of, added)?,
                _ => put(out, of, added)?,
            }
        }
        if let Some(removed) = removed {
            let out = elements.named(br#""removed""#);
            match fields(of) {
                Some(fields) => put_fields(out, &fields, self.of(at), removed)?,
                None => put(out, self.of(at), removed)?,
            }
        }
        elements.end(b'}');
        Ok(())
    }

    /// Were elements of it written one by one?
    fn is_by_element(&self, valued: &Valued) -> bool {
        valued.removed.is_some() && !self.is_marked(valued)
    }

    fn is_marked(&self, valued: &Valued) -> bool {
        self.slices[valued.deleted].is_some_and(|mark| mark.as_slice() == [1])
    }

    fn of(&self, at: usize) -> &'f ColumnType<'f> {
        self.specs[at].typ()
    }

    fn fixed<const N: usize>(&self, at: usize) -> Result<[u8; N], Error> {
        fixed(self.slices.get(at))
    }
}

/// Names of fields by their numbers, which are 16 bits each.
fn put_fields(
    out: &mut BytesMut,
    fields: &[&str],
    of: &ColumnType<'_>,
    numbers: FrameSlice<'_>,
) -> Result<(), Error> {
    let mut names = Members::begin(out, b'[');
    for number in ListlikeIterator::<'_, '_, i16>::deserialize(of, Some(numbers)).map_err(shape)? {
        let number = number.map_err(shape)?;
        let name = usize::try_from(number).ok().and_then(|number| fields.get(number));
        put_text(names.item(), name.copied().unwrap_or("?"));
    }
    names.end(b']');
    Ok(())
}

fn object(
    text: &mut BytesMut,
    members: impl FnOnce(&mut Members<'_>) -> Result<(), Error>,
) -> Result<Bytes, Error> {
    let mut object = Members::begin(text, b'{');
    members(&mut object)?;
    object.end(b'}');
    Ok(text.split().freeze())
}
