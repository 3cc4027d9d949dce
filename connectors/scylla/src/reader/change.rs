//! The rows of one change, which come together or not at all.
//!
//! Of one statement or batch the log has several rows with one time: the images before, what was done to each row, and
//! the images after. A record is made of several of them, and a page may end between any two. So they are gathered,
//! part by part, until the last of a change is there, and what the source makes of them is given out in their place.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::row::RowId;
use super::statement::{Content, Row};

/// Makes records of the [pieces](Content::Piece) of one change. The rows stay the same, in the same order.
pub type Join = Arc<dyn Fn(&mut [Row]) + Send + Sync>;

/// What a row tells of its change.
#[derive(Clone, Debug)]
pub struct Piece {
    /// `cdc$operation`.
    pub operation: i8,
    /// It is the last row of its change.
    pub last: bool,
    /// What the statement wrote lives for so many seconds.
    pub ttl: Option<i64>,
    /// The key of the row of the table, as the source writes it.
    pub key: Bytes,
    /// So many bytes of that are the key of the partition.
    pub partition: usize,
    /// The columns.
    pub columns: Bytes,
    /// Elements of columns that were put in or taken out.
    pub elements: Bytes,
}

/// The changes of some parts, as far as they have arrived.
pub struct Changes {
    join: Join,
    /// The begin of a change, by part.
    begun: HashMap<usize, Vec<Row>>,
}

impl Changes {
    /// Joins their rows in this way.
    pub fn new(join: Join) -> Self {
        Self { join, begun: HashMap::new() }
    }

    /// The next page of a part has arrived; the rows that can be given out.
    pub fn add(&mut self, part: usize, rows: Vec<Row>) -> Vec<Row> {
        let mut begun = self.begun.remove(&part).unwrap_or_default();
        let mut whole = Vec::with_capacity(begun.len() + rows.len());
        for row in rows {
            if begun.last().is_some_and(|last| !same(&last.id, &row.id)) {
                self.torn(&mut begun, &mut whole);
            }
            let last = row.is_last();
            begun.push(row);
            if last {
                (self.join)(&mut begun);
                whole.append(&mut begun);
            }
        }
        if !begun.is_empty() {
            self.begun.insert(part, begun);
        }
        whole
    }

    /// No more pages come; the rows of changes that ended early, by part.
    pub fn end(&mut self) -> Vec<(usize, Vec<Row>)> {
        let begun = std::mem::take(&mut self.begun);
        let torn = begun.into_iter().map(|(part, mut begun)| {
            let mut rows = Vec::new();
            self.torn(&mut begun, &mut rows);
            (part, rows)
        });
        torn.collect()
    }

    /// Rows of a change are written at once, but two pages may be answered by replicas of which one has them and the
    /// other does not yet.
    fn torn(&self, begun: &mut Vec<Row>, out: &mut Vec<Row>) {
        (self.join)(begun);
        out.extend(begun.drain(..).map(|row| match row.content {
            Content::Event(record) => Row { content: Content::Torn(record), ..row },
            _ => row,
        }));
    }
}

impl Row {
    fn is_last(&self) -> bool {
        matches!(&self.content, Content::Piece(piece) if piece.last)
    }
}

/// Are they rows of one change?
fn same(a: &RowId, b: &RowId) -> bool {
    (a.stream, a.place.time) == (b.stream, b.place.time)
}
