//! Serialized collections, tuples and user-defined types taken apart and put together.
//!
//! The readers trust their input to have passed [`super::check::check`]; on anything else they end early.
use bytes::BufMut;

/// The elements of a serialized list or set.
pub fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (count, mut rest) = counted(value);
    (0..count).map_while(move |_| sized(&mut rest)?)
}

/// The elements of a list after IN, in which nulls may stand.
pub fn optional_elements(value: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let (count, mut rest) = counted(value);
    (0..count).map_while(move |_| sized(&mut rest))
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
