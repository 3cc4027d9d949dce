//! A window of the log in the order of its writing, whichever stream a row lies in.
//!
//! The log keeps the order of one partition of the table. Where the events of one key lie in many partitions, their
//! order is only in their times. So the rows of a whole window are gathered and sorted before the first is given out,
//! and a window that does not fit the memory is halved.

use super::row::RowId;
use super::statement::Row;
use super::time::Micros;

/// What a row takes beside its record, about.
const ROW: usize = 300;

/// The rows of a window, as far as they have arrived.
#[derive(Debug)]
pub struct Slice {
    rows: Vec<Row>,
    bytes: usize,
    most: usize,
}

impl Slice {
    /// An empty one that should not take more than so many bytes.
    pub fn new(most: usize) -> Self {
        Self { rows: Vec::new(), bytes: 0, most }
    }

    /// More rows have arrived.
    pub fn add(&mut self, rows: Vec<Row>) {
        self.bytes += rows.iter().map(|row| row.size + ROW).sum::<usize>();
        self.rows.extend(rows);
    }

    /// It takes more memory than it should.
    pub fn is_over(&self) -> bool {
        self.bytes > self.most
    }

    /// The rows by time, those of one time by their rank, and those of one rank as the log has them.
    pub fn sorted(mut self) -> Vec<Row> {
        self.rows.sort_by_key(|row| order(&row.id, row.rank));
        self.rows
    }
}

fn order(row: &RowId, rank: i64) -> (Micros, i64, super::row::Place, super::row::StreamId) {
    (row.micros(), rank, row.place, row.stream)
}

#[cfg(test)]
mod tests {
    use super::{ROW, Slice};
    use crate::reader::progress::Kept;
    use crate::reader::row::{Place, RowId, StreamId};
    use crate::reader::statement::{Content, Row, Skip};
    use crate::reader::time::first_at;

    fn row(stream: u8, micros: i64, rank: i64, seq: i32) -> Row {
        let id = RowId { stream: StreamId([stream; 16]), place: Place { time: first_at(micros), seq } };
        Row { id, kept: Kept::Yes, rank, size: 10, content: Content::Skipped(Skip::Delete) }
    }

    #[test]
    fn time_decides_then_rank_then_the_log() {
        let mut slice = Slice::new(4 * (ROW + 10));
        slice.add(vec![row(1, 5, 9, 0), row(1, 7, 1, 0), row(1, 7, 3, 1)]);
        assert!(!slice.is_over());
        slice.add(vec![row(2, 4, 0, 0), row(2, 7, 2, 0), row(2, 7, 3, 0)]);
        assert!(slice.is_over());
        let sorted: Vec<_> =
            slice.sorted().iter().map(|row| (row.id.stream.0[0], row.id.micros(), row.rank)).collect();
        assert_eq!(sorted, [(2, 4, 0), (1, 5, 9), (1, 7, 1), (2, 7, 2), (2, 7, 3), (1, 7, 3)]);
    }
}
