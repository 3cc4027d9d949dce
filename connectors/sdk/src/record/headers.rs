//! `Headers`: an ordered list of names and values, copied only when changed.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

/// The headers of a record, in order; a name may occur more than once, as in Kafka. Cloning copies a pointer.
#[derive(Clone, Default)]
pub struct Headers(Option<Arc<Vec<Header>>>);

/// One header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: HeaderName,
    /// Its value; `None` is Kafka's null header.
    pub value: Option<Bytes>,
}

impl Headers {
    /// The value of the last header of this name, as Kafka's `lastHeader`; a null header counts as absent.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.iter().rev().find(|header| header.name.as_str() == name)?.value.as_ref()
    }

    /// Adds a header at the end.
    pub fn push(&mut self, name: impl Into<HeaderName>, value: impl Into<Bytes>) {
        self.make_mut().push(Header { name: name.into(), value: Some(value.into()) });
    }

    /// Replaces every header of this name by one at the end.
    pub fn set(&mut self, name: impl Into<HeaderName>, value: impl Into<Bytes>) {
        let name = name.into();
        self.remove(name.as_str());
        self.push(name, value);
    }

    /// Removes every header of this name.
    pub fn remove(&mut self, name: &str) {
        if self.iter().any(|header| header.name.as_str() == name) {
            self.make_mut().retain(|header| header.name.as_str() != name);
        }
    }

    /// Bytes of all names and values.
    pub fn size(&self) -> usize {
        let size = |header: &Header| header.name.as_str().len() + header.value.as_ref().map_or(0, Bytes::len);
        self.iter().map(size).sum()
    }

    fn make_mut(&mut self) -> &mut Vec<Header> {
        Arc::make_mut(self.0.get_or_insert_default())
    }
}

/// By content: headers of which all were removed are those that never were.
impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Headers {}

impl Deref for Headers {
    type Target = [Header];

    fn deref(&self) -> &[Header] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

impl From<Vec<Header>> for Headers {
    fn from(headers: Vec<Header>) -> Self {
        Self((!headers.is_empty()).then(|| Arc::new(headers)))
    }
}

impl FromIterator<Header> for Headers {
    fn from_iter<I: IntoIterator<Item = Header>>(headers: I) -> Self {
        headers.into_iter().collect::<Vec<_>>().into()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|header| (header.name.as_str(), &header.value))).finish()
    }
}

/// A header's name: one of the program's own, or shared by all records that carry it. Cloning allocates nothing.
#[derive(Clone)]
pub struct HeaderName(Name);

#[derive(Clone)]
enum Name {
    Static(&'static str),
    Shared(Arc<str>),
}

impl HeaderName {
    /// A name known when the program was written.
    pub const fn from_static(name: &'static str) -> Self {
        Self(Name::Static(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Name::Static(name) => name,
            Name::Shared(name) => name,
        }
    }
}

impl From<&'static str> for HeaderName {
    fn from(name: &'static str) -> Self {
        Self::from_static(name)
    }
}

impl From<Arc<str>> for HeaderName {
    fn from(name: Arc<str>) -> Self {
        Self(Name::Shared(name))
    }
}

impl From<String> for HeaderName {
    fn from(name: String) -> Self {
        Self(Name::Shared(name.into()))
    }
}

impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for HeaderName {}

impl fmt::Debug for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::Headers;

    #[test]
    fn changing_a_clone_leaves_the_original() {
        let mut headers = Headers::default();
        headers.push("type", "OrderCreated");
        let mut copy = headers.clone();
        copy.set("type", "OrderShipped");
        copy.push("late", "true");
        assert_eq!(headers.get("type").unwrap(), "OrderCreated");
        assert_eq!(format!("{copy:?}"), r#"{"type": Some(b"OrderShipped"), "late": Some(b"true")}"#);
        assert_eq!((headers.size(), copy.size()), (16, 24));
    }

    #[test]
    fn the_last_of_a_repeated_name_counts() {
        let mut headers = Headers::default();
        headers.push("a", "1");
        headers.push("a", "2");
        assert_eq!(headers.get("a").unwrap(), "2");
        headers.remove("a");
        assert!(headers.is_empty());
        assert_eq!(headers, Headers::default());
    }
}
