//! The rows of a page as cells, walked once.
//!
//! The driver's own iterator walks every row twice, once to find where the next one begins, and makes a result of each
//! column: a tenth of what it costs to copy a row of the log to a topic.

use scylla::deserialize::FrameSlice;
use scylla::deserialize::row::{ColumnIterator, DeserializeRow};
use scylla::errors::{DeserializationError, TypeCheckError};
use scylla::frame::response::result::ColumnSpec;
use scylla::response::query_result::QueryRowsResult;
use weir_sdk::{Error, ErrorKind};

use super::errors::shape;

/// A value as the server wrote it; `None` is null.
pub(crate) type Cell<'f> = Option<FrameSlice<'f>>;

/// The rows of one page. The first column of none may be null.
#[derive(Debug)]
pub(crate) struct Rows<'f> {
    rest: FrameSlice<'f>,
    left: usize,
    columns: usize,
    cells: Vec<Cell<'f>>,
}

impl<'f> Rows<'f> {
    /// Those of this page.
    ///
    /// # Errors
    /// `Bug` when the page does not hold what it says.
    pub(crate) fn of(page: &'f QueryRowsResult) -> Result<Self, Error> {
        let first = page.maybe_first_row::<Frame<'f>>().map_err(shape)?;
        let (left, columns) = (page.rows_num(), page.column_specs().len());
        let rest = first.map_or_else(FrameSlice::new_empty, |Frame(rows)| rows);
        Ok(Self { rest, left, columns, cells: Vec::with_capacity(columns) })
    }

    /// The cells of the next row, in the order of the columns.
    ///
    /// # Errors
    /// `Bug` when the page ends before.
    pub(crate) fn next(&mut self) -> Result<Option<&[Cell<'f>]>, Error> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        self.cells.clear();
        for _ in 0..self.columns {
            self.cells.push(self.rest.read_cql_bytes().map_err(shape)?);
        }
        Ok(Some(&self.cells))
    }

    /// What is left of them as it came, for one who knows how long each value is: see [`take`].
    pub(crate) fn bytes(&self) -> &'f [u8] {
        self.rest.as_slice()
    }
}

/// All rows of a page, which the first cell of the first row knows.
struct Frame<'f>(FrameSlice<'f>);

impl<'f, 'm> DeserializeRow<'f, 'm> for Frame<'f> {
    fn type_check(_: &[ColumnSpec<'_>]) -> Result<(), TypeCheckError> {
        Ok(())
    }

    fn deserialize(mut row: ColumnIterator<'f, 'm>) -> Result<Self, DeserializationError> {
        let first = row.next().transpose()?.and_then(|column| column.slice);
        let first = first.ok_or_else(|| DeserializationError::new(misshapen("the first column is null")))?;
        let rows = FrameSlice::new(first.as_original_frame_bytes());
        // The length of a cell stands before it, in four bytes.
        if rows.as_slice().as_ptr().wrapping_add(4) != first.as_slice().as_ptr() {
            return Err(DeserializationError::new(misshapen("the rows do not begin with the first one")));
        }
        Ok(Self(rows))
    }
}

/// A cell that every row has, of this length.
///
/// # Errors
/// `Bug` when it is null or longer or shorter.
pub(crate) fn fixed<const N: usize>(cell: Option<&Cell<'_>>) -> Result<[u8; N], Error> {
    let bytes = cell.copied().flatten().map(|cell| cell.as_slice()).unwrap_or_default();
    bytes.try_into().map_err(|_| misshapen(&format!("a value has {} bytes and not {N}", bytes.len())))
}

/// Takes a value of this length off the front of some rows; that is several times as quick as to look for its end.
///
/// # Errors
/// `Bug` when it is null or longer or shorter.
pub(crate) fn take<const N: usize>(rows: &mut &[u8]) -> Result<[u8; N], Error> {
    let (length, rest) = rows.split_first_chunk().ok_or_else(|| misshapen("the rows end too early"))?;
    let length = i32::from_be_bytes(*length);
    let value = rest.split_first_chunk().filter(|_| usize::try_from(length) == Ok(N));
    let (value, rest) = value.ok_or_else(|| misshapen(&format!("a value has {length} bytes and not {N}")))?;
    *rows = rest;
    Ok(*value)
}

/// The database answered something else than was asked.
pub(crate) fn misshapen(what: &str) -> Error {
    Error::new(ErrorKind::Bug, format!("a row of the answer has an unexpected shape: {what}"))
        .advice("please report it with the version of ScyllaDB")
}

#[cfg(test)]
mod tests {
    use super::take;

    #[test]
    fn what_is_not_as_long_as_it_should_be_is_an_error_and_nothing_is_taken() {
        let rows = [&[0, 0, 0, 2, 7, 8][..], &[0, 0, 0, 3, 1, 2, 3], &[255; 4]].concat();
        let mut rest = &rows[..];
        assert_eq!(take(&mut rest).unwrap(), [7, 8]);
        let error = take::<2>(&mut rest).unwrap_err().to_string();
        assert!(error.contains("3 bytes and not 2"), "{error}");
        assert_eq!(take(&mut rest).unwrap(), [1, 2, 3]);
        let error = take::<1>(&mut rest).unwrap_err().to_string();
        assert!(error.contains("-1 bytes and not 1"), "null: {error}");
        for end in [0, 3, 5] {
            assert!(take::<2>(&mut &rows[..end]).is_err(), "{end} bytes");
        }
    }
}
