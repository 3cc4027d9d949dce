//! Serialized collections, tuples and user-defined types taken apart and put together.
//!
//! The readers trust their input to have passed [`super::check::check`]; on anything else they end early.
use bytes::BufMut;
use scylla_cql::frame::response::result::{CollectionType, ColumnType};

use crate::mutation::Cell;
use crate::schema::Column;

/// The elements of a serialized list or set.
pub fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (count, mut rest) = counted(value);
    (0..count).map_while(move |_| sized(&mut rest)?)
}

/// The entries of a serialized map.
pub fn entries(value: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let (count, mut rest) = counted(value);
    (0..count).map_while(move |_| Some((sized(&mut rest)??, sized(&mut rest)??)))
}

/// The fields of a serialized tuple or user-defined type; `None` for null. Fields at the end may be missing.
pub fn fields(value: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = value;
    std::iter::from_fn(move || sized(&mut rest))
}

/// Writes a list or set of these elements.
pub fn write_elements<'a>(out: &mut impl BufMut, elements: impl ExactSizeIterator<Item = &'a [u8]>) {
    out.put_i32(length(elements.len()));
    for element in elements {
        write_sized(out, element);
    }
}

/// Writes a map of these entries.
pub fn write_entries<'a>(
    out: &mut impl BufMut,
    entries: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])>,
) {
    out.put_i32(length(entries.len()));
    for (key, value) in entries {
        write_sized(out, key);
        write_sized(out, value);
    }
}

/// Writes the fields of a tuple or user-defined type.
pub fn write_fields<'a>(out: &mut impl BufMut, fields: impl Iterator<Item = Option<&'a [u8]>>) {
    for field in fields {
        match field {
            Some(field) => write_sized(out, field),
            None => out.put_i32(-1),
        }
    }
}

fn write_sized(out: &mut impl BufMut, value: &[u8]) {
    out.put_i32(length(value.len()));
    out.put_slice(value);
}

/// Frames are limited far below 2 GiB, so lengths fit.
fn length(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

fn counted(value: &[u8]) -> (u32, &[u8]) {
    match value.split_first_chunk::<4>() {
        Some((count, rest)) => (u32::try_from(i32::from_be_bytes(*count)).unwrap_or(0), rest),
        None => (0, &[]),
    }
}

/// One `[bytes]`: outer `None` when the input ends, inner for null.
pub(super) fn sized<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
        *rest = after;
        return Some(None);
    };
    let (value, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(Some(value))
}

/// What the value of a list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lists {
    /// The elements in order.
    AsLists,
    /// The elements by the time-uuid that orders them, as CDC logs have them.
    AsMaps,
}

/// Puts the live elements of a column that is not frozen together to its value, appended to `out`; `false` when there
/// are none, which is null.
pub fn assemble<'a>(
    column: &Column,
    lists: Lists,
    elements: impl Iterator<Item = Cell<'a>>,
    out: &mut Vec<u8>,
) -> bool {
    match &column.typ {
        ColumnType::UserDefinedType { definition, .. } => {
            let mut cells = elements.peekable();
            if cells.peek().is_none() {
                return false;
            }
            for index in 0..definition.field_types.len() {
                let path = Column::field_path(u16::try_from(index).unwrap_or(u16::MAX));
                match cells.next_if(|cell| cell.path == path) {
                    Some(cell) => put_sized(out, |out| out.extend_from_slice(cell.value)),
                    None => out.put_i32(-1),
                }
            }
            true
        }
        ColumnType::Collection { typ, .. } => {
            let at = out.len();
            out.put_i32(0);
            let mut count = 0_i32;
            for cell in elements {
                if lists == Lists::AsMaps || !matches!(typ, CollectionType::List(_)) {
                    put_sized(out, |out| column.path_value(cell.path, out));
                }
                if !matches!(typ, CollectionType::Set(_)) {
                    put_sized(out, |out| out.extend_from_slice(cell.value));
                }
                count += 1;
            }
            if count == 0 {
                out.truncate(at);
                return false;
            }
            out[at..at + 4].copy_from_slice(&count.to_be_bytes());
            true
        }
        _ => false,
    }
}

/// Appends what `write` appends, with its length in front.
fn put_sized(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.put_i32(0);
    write(out);
    let size = length(out.len() - at - 4);
    out[at..at + 4].copy_from_slice(&size.to_be_bytes());
}
