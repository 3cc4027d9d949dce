//! The rows of one change as records: what was done to each row of the table, with its images.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use scylla_cdc::consumer::OperationType as Op;
use weir_sdk::{HeaderName, Headers, Origin, Partition, Record, Timestamp};

use super::config::{ChangeConfig, Deletes, KeyOf};
use super::envelope::{Bound, Change, Envelope, Kind};
use crate::reader::change::Piece;
use crate::reader::progress::Kept;
use crate::reader::statement::{Content, Operations, Row, Skip};
use crate::reader::{SOURCE_POSITION, SOURCE_TIME};

/// The headers of each record, in this order.
const HEADERS: [&str; 6] = ["op", "keyspace", "table", SOURCE_TIME, "sequence", SOURCE_POSITION];

/// Makes records of the rows of a change.
pub struct Joiner {
    envelope: Envelope,
    key: KeyOf,
    deletes: Deletes,
    counted: Operations,
    /// The table has rows within its partitions; where it has not, a partition is a row.
    has_rows: bool,
    keyspace: String,
    table: String,
    headers: Arc<[HeaderName]>,
    partition: Partition,
}

/// The images of a row, by its key.
type Images = HashMap<Bytes, [Option<Bytes>; 2]>;

impl Joiner {
    /// Makes records as the configuration says; `envelope` makes their values.
    pub fn new(config: &ChangeConfig, envelope: Envelope, has_rows: bool) -> Self {
        Self {
            envelope,
            key: config.key,
            deletes: config.deletes,
            counted: config.counted(),
            has_rows,
            keyspace: config.keyspace.clone(),
            table: config.table.clone(),
            headers: HEADERS.map(HeaderName::from).into(),
            partition: "log".into(),
        }
    }

    /// Puts the records of a change into those of its rows that say what was done.
    pub fn join(&self, rows: &mut [Row]) {
        let images = images(rows);
        for at in 0..rows.len() {
            if let Some(content) = self.content(rows, at, &images) {
                rows[at].size = content.size();
                rows[at].content = content;
            }
        }
    }

    /// What a row becomes; `None` if it only tells of others.
    fn content(&self, rows: &[Row], at: usize, images: &Images) -> Option<Content> {
        let (id, piece) = (rows[at].id, piece(&rows[at])?);
        let (kind, range) = match Op::try_from(piece.operation) {
            Ok(Op::RowInsert) => (Kind::Insert, None),
            Ok(Op::RowUpdate) => (Kind::Update, None),
            Ok(Op::RowDelete) => (Kind::Delete, None),
            Ok(Op::PartitionDelete) if !self.has_rows => (Kind::Delete, None),
            Ok(Op::PartitionDelete) => (Kind::DeletePartition, None),
            Ok(end @ (Op::RowRangeDelInclRight | Op::RowRangeDelExclRight)) => {
                let begin = self::piece(rows.get(at.checked_sub(1)?)?)?;
                let inclusive = begin.operation == Op::RowRangeDelInclLeft as i8;
                let begun = Bound { columns: &begin.columns, inclusive };
                let inclusive = end == Op::RowRangeDelInclRight;
                let ended = Bound { columns: &piece.columns, inclusive };
                (Kind::DeleteRange, Some([begun, ended]))
            }
            Ok(Op::PreImage | Op::PostImage | Op::RowRangeDelInclLeft | Op::RowRangeDelExclLeft) => {
                return None;
            }
            Err(_) => return Some(Content::Skipped(Skip::Unknown)),
        };
        if self.counted.has(piece.operation) == Kept::No {
            return Some(Content::Skipped(Skip::Unwanted));
        }
        let [before, after] =
            images.get(&piece.key).map_or([None, None], |images| images.each_ref().map(Option::as_deref));
        let after = after.filter(|_| matches!(kind, Kind::Insert | Kind::Update));
        let change = Change {
            kind,
            id,
            key: &piece.key,
            before,
            after,
            changed: &piece.columns,
            elements: &piece.elements,
            range,
            ttl: piece.ttl,
        };
        Some(Content::Event(self.record(&change, piece)))
    }

    /// The texts of a record lie in one piece of memory, its headers in another.
    fn record(&self, change: &Change<'_>, piece: &Piece) -> Record {
        let Change { kind, id, .. } = *change;
        let mut text = Vec::with_capacity(self.envelope.size(change));
        self.envelope.put(&mut text, change);
        let value = 0..text.len();
        match self.key {
            KeyOf::Row => text.extend_from_slice(&piece.key),
            KeyOf::Partition => {
                text.extend_from_slice(&piece.key[..piece.partition]);
                text.push(b'}');
            }
        }
        let key = value.end..text.len();
        let mut write = |told: std::fmt::Arguments<'_>| {
            let begin = text.len();
            // Writing into memory fails only if a value's own formatting does, and these do not.
            text.write_fmt(told).ok();
            begin..text.len()
        };
        let position = write(format_args!("{id}"));
        let (time, sequence) =
            (write(format_args!("{}", id.micros())), write(format_args!("{}", id.place.seq)));
        let text = Bytes::from(text);
        let is_tombstone = kind == Kind::Delete && self.deletes == Deletes::Tombstone;
        let [op, keyspace, table] = [kind.name(), &self.keyspace, &self.table].map(str::as_bytes);
        let own = [op, keyspace, table, &text[time], &text[sequence], &text[position.clone()]];
        Record {
            key: Some(text.slice(key)),
            value: (!is_tombstone).then(|| text.slice(value)),
            headers: Headers::of(&self.headers, &own),
            timestamp: Timestamp(id.micros()),
            origin: Origin { partition: self.partition.clone(), offset: text.slice(position).into() },
        }
    }
}

fn images(rows: &[Row]) -> Images {
    let mut images = Images::new();
    for piece in rows.iter().filter_map(piece) {
        let at = match Op::try_from(piece.operation) {
            Ok(Op::PreImage) => 0,
            Ok(Op::PostImage) => 1,
            _ => continue,
        };
        images.entry(piece.key.clone()).or_default()[at] = Some(piece.columns.clone());
    }
    images
}

fn piece(row: &Row) -> Option<&Piece> {
    match &row.content {
        Content::Piece(piece) => Some(piece),
        Content::Event(_) | Content::Torn(_) | Content::Skipped(_) => None,
    }
}
