//! The elements of a list, where an item with commas is several and a single text is a list.

use std::cell::Cell;
use std::ops::Range;

use serde::de::{DeserializeSeed, SeqAccess};
use serde_json::Value;

use super::fault::{Fault, Place};
use super::here::Here;

/// The elements not read yet.
pub(super) struct Elements<'de, 'a> {
    list: Here<'de, 'a>,
    items: std::iter::Enumerate<std::slice::Iter<'de, Value>>,
    /// A text that is being read piece by piece: its place, and where the next piece begins.
    split: Option<(Here<'de, 'a>, usize)>,
}

impl<'de, 'a> Elements<'de, 'a> {
    pub(super) fn list(list: Here<'de, 'a>, items: &'de [Value]) -> Self {
        Self { list, items: items.iter().enumerate(), split: None }
    }

    /// A text that stands where a list is wanted. An empty one is an empty list.
    pub(super) fn single(text: Here<'de, 'a>) -> Self {
        let item = Here::root(text.value, text.cut).moved(text.pointer.clone());
        let some = text.value.as_str().is_some_and(|text| !text.trim().is_empty());
        Self { list: text, items: [].iter().enumerate(), split: some.then_some((item, 0)) }
    }

    fn next(&mut self) -> Option<(Here<'de, 'a>, usize)> {
        self.split.take().or_else(|| {
            let (list, items) = (&self.list, &mut self.items);
            let item = items.find_map(|(index, item)| list.child(index, item))?;
            Some((item, 0))
        })
    }
}

impl<'de> SeqAccess<'de> for Elements<'de, '_> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        while let Some((item, from)) = self.next() {
            let text = item.value.as_str().filter(|text| text.contains(','));
            let part = text.and_then(|text| next_part(text, from));
            if text.is_some() && from > 0 && part.is_none() {
                continue;
            }
            let (pointer, cut) = (item.pointer.clone(), item.cut);
            let place =
                Place { pointer: pointer.clone(), within: part.as_ref().map(|part| (part.start, part.end)) };
            let behind = part.as_ref().map(|part| part.end + 1);
            let again = Here::root(item.value, cut).moved(pointer);
            if cut.contains(&place) {
                self.split = behind.map(|behind| (again, behind));
                continue;
            }
            let taken = Cell::new(false);
            let read = seed.deserialize(Here {
                value: item.value,
                pointer: item.pointer,
                cut,
                part: part.map(|part| (part, &taken)),
            });
            if taken.get() {
                self.split = behind.map(|behind| (again, behind));
            }
            let within = place.within.filter(|_| taken.get());
            return read.map(Some).map_err(|fault| fault.at(|| Place { within, ..place }));
        }
        Ok(None)
    }
}

impl Here<'_, '_> {
    fn moved(self, pointer: String) -> Self {
        Self { pointer, ..self }
    }
}

/// The next piece between commas that has something in it, without the blanks around it.
fn next_part(text: &str, from: usize) -> Option<Range<usize>> {
    let mut start = from;
    for piece in text.get(from..)?.split(',') {
        let trimmed = piece.trim();
        if !trimmed.is_empty() {
            let start = start + (piece.len() - piece.trim_start().len());
            return Some(start..start + trimmed.len());
        }
        start += piece.len() + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::next_part;

    #[test]
    fn pieces_are_trimmed_and_empty_ones_skipped() {
        let text = " a, ,bc ,";
        assert_eq!(next_part(text, 0), Some(1..2));
        assert_eq!(next_part(text, 3), Some(5..7));
        assert_eq!(next_part(text, 8), None);
        assert_eq!(next_part("a", 2), None);
    }
}
