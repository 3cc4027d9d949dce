//! The elements of a column that is not frozen, put together to its value.
use bytes::BufMut;
use scylla_cql::frame::response::result::{CollectionType, ColumnType};

use super::Cell;
use crate::schema::Column;

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
    let size = i32::try_from(out.len() - at - 4).unwrap_or(i32::MAX);
    out[at..at + 4].copy_from_slice(&size.to_be_bytes());
}
