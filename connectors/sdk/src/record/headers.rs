//! `Headers`: an ordered list of names and values, packed into memory that records share.
//!
//! A source emits many records with the same names. So the names stand in one list for all of them, and the values of one
//! record in one piece of memory, behind a table of their ends: what a record costs is two counted pointers, not an
//! allocation, and one pointer for each value. Changing headers makes new ones, which transforms and dead letters pay for.

mod name;
mod packer;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

pub use name::HeaderName;
pub use packer::{Packer, Packing};

/// The headers of a record, in order; a name may occur more than once, as in Kafka. Cloning copies two pointers.
#[derive(Clone, Default)]
pub struct Headers {
    /// What the record may carry.
    names: Option<Arc<[HeaderName]>>,
    /// An [`Entry`] for each name, then the values, one behind the other.
    packed: Bytes,
    /// Bytes of all names and values, summed up once: every bound on the way asks for it.
    size: usize,
}

/// One header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name.
    pub name: &'a HeaderName,
    /// Its value; `None` is Kafka's null header.
    pub value: Option<&'a [u8]>,
}

impl Headers {
    /// One record's, a value for each of these names; [`Packer`] is for many.
    pub fn of(names: &Arc<[HeaderName]>, values: &[&[u8]]) -> Self {
        let bytes = values.iter().map(|value| Entry::BYTES + value.len()).sum();
        let mut packer = Packer::new(names.clone(), bytes);
        let mut packing = packer.begin();
        values.iter().for_each(|value| packing.copy(value));
        packing.end()
    }

    /// The headers in their order, from either end.
    #[inline]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Header<'_>> + Clone {
        let names = self.names().iter().enumerate();
        names.filter_map(|(place, name)| Some(Header { name, value: self.at(place)? }))
    }

    /// The value of the last header of this name, as Kafka's `lastHeader`; a null header counts as absent.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().rev().find(|header| header.name.as_str() == name)?.value
    }

    /// The value of the name at this place of a [`Packer`]'s list, sharing the memory of these headers.
    pub fn share(&self, place: usize) -> Option<Bytes> {
        self.at(place)?.map(|value| self.packed.slice_ref(value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Adds a header at the end.
    pub fn push(&mut self, name: impl Into<HeaderName>, value: impl AsRef<[u8]>) {
        let name = name.into();
        let last = Header { name: &name, value: Some(value.as_ref()) };
        *self = self.iter().chain([last]).collect();
    }

    /// Replaces every header of this name by one at the end.
    pub fn set(&mut self, name: impl Into<HeaderName>, value: impl AsRef<[u8]>) {
        let name = name.into();
        let last = Header { name: &name, value: Some(value.as_ref()) };
        *self = self.iter().filter(|header| *header.name != name).chain([last]).collect();
    }

    /// Removes every header of this name.
    pub fn remove(&mut self, name: &str) {
        if self.iter().any(|header| header.name.as_str() == name) {
            *self = self.iter().filter(|header| header.name.as_str() != name).collect();
        }
    }

    /// Bytes of all names and values.
    pub fn size(&self) -> usize {
        self.size
    }

    #[inline]
    fn names(&self) -> &[HeaderName] {
        self.names.as_deref().unwrap_or_default()
    }

    /// The value of a name; `None` where the record has no such header. Inlined, as sinks go over all of them.
    #[inline]
    fn at(&self, place: usize) -> Option<Option<&[u8]>> {
        let (table, values) = self.packed.split_at(self.names().len() * Entry::BYTES);
        match Entry::read(table, place).kind {
            Kind::Value => Some(Some(&values[Entry::value(table, place)])),
            Kind::Null => Some(None),
            Kind::Absent => None,
        }
    }
}

/// What the table says of a name.
#[derive(Clone, Copy)]
struct Entry {
    /// Where its value ends, in bytes behind the table; it begins where the one before ends.
    end: usize,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Value,
    Null,
    Absent,
}

impl Entry {
    const BYTES: usize = size_of::<u64>();

    #[inline]
    fn read(table: &[u8], place: usize) -> Self {
        let word = table[place * Self::BYTES..].first_chunk().copied().map_or(0, u64::from_ne_bytes);
        let kind = match word & 3 {
            0 => Kind::Value,
            1 => Kind::Null,
            _ => Kind::Absent,
        };
        Self { end: (word >> 2) as usize, kind }
    }

    /// Where the value of a place lies behind the table.
    #[inline]
    fn value(table: &[u8], place: usize) -> Range<usize> {
        let begin = place.checked_sub(1).map_or(0, |before| Self::read(table, before).end);
        begin..Self::read(table, place).end
    }

    fn write(self, packed: &mut [u8], place: usize) {
        let word = (self.end as u64) << 2 | self.kind as u64;
        packed[place * Self::BYTES..][..Self::BYTES].copy_from_slice(&word.to_ne_bytes());
    }
}

/// By content: headers of which all were removed are those that never were.
impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

impl<'a> FromIterator<Header<'a>> for Headers {
    fn from_iter<I: IntoIterator<Item = Header<'a>>>(headers: I) -> Self {
        let headers: Vec<_> = headers.into_iter().collect();
        let names = headers.iter().map(|header| header.name.clone()).collect();
        let bytes = headers.iter().map(|header| Entry::BYTES + header.value.map_or(0, <[u8]>::len)).sum();
        let mut packer = Packer::new(names, bytes);
        let mut packing = packer.begin();
        for header in headers {
            match header.value {
                Some(value) => packing.copy(value),
                None => packing.null(),
            }
        }
        packing.end()
    }
}

impl<V: AsRef<[u8]>> FromIterator<(HeaderName, Option<V>)> for Headers {
    fn from_iter<I: IntoIterator<Item = (HeaderName, Option<V>)>>(headers: I) -> Self {
        let headers: Vec<_> = headers.into_iter().collect();
        headers
            .iter()
            .map(|(name, value)| Header { name, value: value.as_ref().map(AsRef::as_ref) })
            .collect()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |header: Header<'_>| (header.name.clone(), header.value.map(Bytes::copy_from_slice));
        f.debug_map().entries(self.iter().map(shown)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Header, HeaderName, Headers, Packer};
    use proptest::prelude::*;

    #[test]
    fn changing_a_clone_leaves_the_original() {
        let mut headers = Headers::default();
        headers.push("type", "OrderCreated");
        let mut copy = headers.clone();
        copy.set("type", "OrderShipped");
        copy.push("late", "true");
        assert_eq!(headers.get("type").unwrap(), b"OrderCreated");
        assert_eq!(format!("{copy:?}"), r#"{"type": Some(b"OrderShipped"), "late": Some(b"true")}"#);
        assert_eq!((headers.size(), copy.size()), (16, 24));
    }

    #[test]
    fn the_last_of_a_repeated_name_counts() {
        let mut headers = Headers::default();
        headers.push("a", "1");
        headers.push("a", "2");
        assert_eq!(headers.get("a").unwrap(), b"2");
        assert_eq!(headers.iter().collect::<Headers>().size(), headers.size());
        headers.remove("a");
        assert_eq!((headers.size(), headers.len()), (0, 0));
        assert!(headers.is_empty());
        assert_eq!(headers, Headers::default());
    }

    #[test]
    fn records_of_a_packer_share_their_names_and_lack_what_they_lack() {
        let mut packer = Packer::new(["a", "b", "c", "d"].map(HeaderName::from).into(), 64);
        let mut packing = packer.begin();
        packing.copy(b"given up");
        let mut pack = |b: Option<&str>| {
            let mut packing = packer.begin();
            packing.copy(b"one");
            packing.put(|memory| {
                memory.extend_from_slice(b.unwrap_or("half").as_bytes());
                b.is_some()
            });
            packing.null();
            assert_eq!(
                (packing.place(), packing.written("a"), packing.written("d")),
                (3, &b"one"[..], &b""[..])
            );
            packing.end()
        };
        let (full, less) = (pack(Some("two")), pack(None));
        assert_eq!(format!("{full:?}"), r#"{"a": Some(b"one"), "b": Some(b"two"), "c": None}"#);
        assert_eq!(format!("{less:?}"), r#"{"a": Some(b"one"), "c": None}"#);
        assert_eq!((full.size(), less.size(), less.len()), (9, 5, 2));
        let names = packer.names().iter().cloned().collect();
        assert_eq!(
            Headers::of(&names, &[b"one", b"two"]).iter().collect::<Vec<_>>(),
            full.iter().take(2).collect::<Vec<_>>()
        );
        assert_eq!((full.share(1).unwrap(), less.share(1), less.share(2)), ("two".into(), None, None));
    }

    proptest! {
        #[test]
        fn they_are_what_a_list_would_be(list in prop::collection::vec(("[a-c]", prop::option::of("[x-z]{0,9}")), 0..9), name in "[a-c]") {
            let names: Vec<HeaderName> = list.iter().map(|(name, _)| HeaderName::from(name.clone())).collect();
            let pairs = || names.iter().zip(&list).map(|(name, (_, value))| Header {
                name,
                value: value.as_deref().map(str::as_bytes),
            });
            let size = |header: Header<'_>| header.name.as_str().len() + header.value.map_or(0, <[u8]>::len);
            let headers: Headers = pairs().collect();
            prop_assert!(headers.iter().eq(pairs()) && headers.iter().rev().eq(pairs().rev()));
            prop_assert_eq!(headers.size(), pairs().map(size).sum::<usize>());
            let last = pairs().rev().find(|header| header.name.as_str() == name);
            prop_assert_eq!(headers.get(&name), last.and_then(|header| header.value));
            let mut less = headers.clone();
            less.remove(&name);
            prop_assert!(less.iter().eq(pairs().filter(|header| header.name.as_str() != name)));
        }
    }
}
