//! `Headers`: an ordered list of names and values, copied only when changed.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

/// The headers of a record, in order; a name may occur more than once, as in Kafka. Cloning copies a pointer.
#[derive(Clone, Default)]
pub struct Headers {
    list: Option<Arc<Vec<Header>>>,
    /// Bytes of all names and values, summed up once: every bound on the way asks for it.
    size: usize,
}

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
        let header = Header { name: name.into(), value: Some(value.into()) };
        self.size += header.size();
        self.make_mut().push(header);
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
            self.size = self.iter().map(Header::size).sum();
        }
    }

    /// Bytes of all names and values.
    pub fn size(&self) -> usize {
        self.size
    }

    fn make_mut(&mut self) -> &mut Vec<Header> {
        Arc::make_mut(self.list.get_or_insert_default())
    }
}

impl Header {
    fn size(&self) -> usize {
        self.name.as_str().len() + self.value.as_ref().map_or(0, Bytes::len)
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
        self.list.as_deref().map_or(&[], Vec::as_slice)
    }
}

impl From<Vec<Header>> for Headers {
    fn from(headers: Vec<Header>) -> Self {
        let size = headers.iter().map(Header::size).sum();
        Self { list: (!headers.is_empty()).then(|| Arc::new(headers)), size }
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
        assert_eq!(headers.iter().cloned().collect::<Headers>().size(), headers.size());
        headers.remove("a");
        assert_eq!(headers.size(), 0);
        assert!(headers.is_empty());
        assert_eq!(headers, Headers::default());
    }
}
