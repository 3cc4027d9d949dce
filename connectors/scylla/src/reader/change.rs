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

#[cfg(test)]
mod tests {
    use super::{Changes, Piece};
    use crate::reader::progress::Kept;
    use crate::reader::row::{Place, RowId, StreamId};
    use crate::reader::statement::{Content, Row};
    use crate::reader::time::first_at;
    use bytes::Bytes;
    use proptest::prelude::*;
    use std::sync::Arc;
    use weir_sdk::{Headers, Origin, Record, Timestamp};

    fn row(change: i64, seq: i32, last: bool) -> Row {
        let id = RowId { stream: StreamId([1; 16]), place: Place { time: first_at(change), seq } };
        let (key, columns, elements) = (Bytes::new(), Bytes::new(), Bytes::new());
        let piece = Piece { operation: 1, last, ttl: None, key, partition: 0, columns, elements };
        Row { id, kept: Kept::Yes, rank: 0, size: 0, content: Content::Piece(piece) }
    }

    /// Each row becomes a record that says of how many rows its change was.
    fn counting() -> Changes {
        Changes::new(Arc::new(|rows: &mut [Row]| {
            let many = rows.len().to_string();
            for row in rows {
                let origin = Origin { partition: "log".into(), offset: "".into() };
                let value = Some(many.clone().into());
                let (headers, timestamp) = (Headers::default(), Timestamp(row.id.micros()));
                row.content = Content::Event(Record { key: None, value, headers, timestamp, origin });
            }
        }))
    }

    fn told(rows: &[Row]) -> Vec<(i64, i32, String)> {
        let told = |row: &Row| match &row.content {
            Content::Event(record) => String::from_utf8_lossy(record.value.as_ref().unwrap()).into_owned(),
            Content::Torn(record) => {
                format!("torn after {}", String::from_utf8_lossy(record.value.as_ref().unwrap()))
            }
            Content::Piece(_) | Content::Skipped(_) => "nothing".to_owned(),
        };
        rows.iter().map(|row| (row.id.micros(), row.id.place.seq, told(row))).collect()
    }

    #[test]
    fn a_change_that_ends_early_is_torn_and_the_next_one_is_whole() {
        let mut changes = counting();
        let rows =
            changes.add(7, vec![row(1, 0, false), row(1, 1, false), row(2, 0, true), row(3, 0, false)]);
        let torn = || "torn after 2".to_owned();
        assert_eq!(told(&rows), [(1, 0, torn()), (1, 1, torn()), (2, 0, "1".to_owned())]);
        let ended = changes.end();
        assert_eq!(ended.len(), 1);
        assert_eq!((ended[0].0, told(&ended[0].1)), (7, vec![(3, 0, "torn after 1".to_owned())]));
        assert!(changes.end().is_empty());
    }

    proptest! {
        #[test]
        fn pages_make_no_difference(sizes in prop::collection::vec(1usize..6, 1..12), pages in prop::collection::vec(1usize..5, 1..40)) {
            let all = || -> Vec<Row> {
                let changes = sizes.iter().zip(1i64..);
                changes.flat_map(|(rows, change)| {
                    (0..*rows).map(move |at| row(change, i32::try_from(at).unwrap(), at + 1 == *rows))
                }).collect()
            };
            let mut whole = counting();
            let wanted = told(&whole.add(0, all()));
            prop_assert!(whole.end().is_empty());
            let (mut changes, mut rest, mut seen) = (counting(), all(), Vec::new());
            for page in pages.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let after = rest.split_off((*page).min(rest.len()));
                // The pages of another part come between.
                changes.add(9, vec![row(100, 0, false)]);
                seen.extend(told(&changes.add(4, std::mem::replace(&mut rest, after))));
            }
            prop_assert_eq!(seen, wanted);
        }
    }
}
