//! `Lookup`: several places of a payload, found in one pass over it.

use std::fmt;
use std::str::Utf8Error;

use crate::{Error, ErrorKind};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Written;
use super::path::{JsonPath, Step};

/// Paths merged into a tree of steps, so that a payload is read once however many there are.
#[derive(Debug, Default)]
pub struct Lookup {
    root: Node,
    paths: usize,
}

/// Where some paths pass, and which end here.
#[derive(Debug, Default)]
struct Node {
    ends: Vec<usize>,
    keys: Vec<(String, Node)>,
    items: Vec<(usize, Node)>,
}

impl Lookup {
    /// Adds a path; the number under which its value is found.
    pub fn add(&mut self, path: &JsonPath) -> usize {
        let number = self.paths;
        self.paths += 1;
        let end = path.steps().iter().fold(&mut self.root, |node, step| match step {
            Step::Key(key) => entry(&mut node.keys, key.clone()),
            Step::Index(index) => entry(&mut node.items, *index),
        });
        end.ends.push(number);
        number
    }

    /// What stands at each path, by number; nothing of a record without a payload. Without paths nothing is read.
    ///
    /// # Errors
    /// [`ErrorKind::Record`] when the payload is not JSON; the message quotes none of it.
    pub fn find<'p>(&self, payload: Option<&'p [u8]>) -> Result<Vec<Option<Written<'p>>>, Error> {
        let mut found = vec![None; self.paths];
        let Some(payload) = payload.filter(|_| self.paths > 0) else {
            return Ok(found);
        };
        // Here all at once, and then not key by key.
        let text = std::str::from_utf8(payload).map_err(|error| not_text(&error))?;
        let mut reader = serde_json::Deserializer::from_str(text);
        let read = Walk { node: &self.root, found: &mut found }.deserialize(&mut reader);
        match read.and_then(|()| reader.end()) {
            Ok(()) => Ok(found),
            Err(error) => Err(not_json(&error)),
        }
    }
}

fn entry<K: PartialEq>(nodes: &mut Vec<(K, Node)>, key: K) -> &mut Node {
    let place = nodes.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
        nodes.push((key, Node::default()));
        nodes.len() - 1
    });
    &mut nodes[place].1
}

/// The place alone: the reader's own words may quote what it read.
fn not_json(error: &serde_json::Error) -> Error {
    refused(format_args!("line {} column {}", error.line(), error.column()))
}

fn not_text(error: &Utf8Error) -> Error {
    refused(format_args!("byte {}, which is not UTF-8,", error.valid_up_to() + 1))
}

fn refused(place: fmt::Arguments<'_>) -> Error {
    Error::new(ErrorKind::Record, format!("the payload is not JSON, as {place} shows"))
        .advice("have the source write JSON, or filter such records out by a header on the way here")
}

/// Reads one value, noting what lies on the paths.
struct Walk<'a, 'p> {
    node: &'a Node,
    found: &'a mut [Option<Written<'p>>],
}

impl Node {
    /// A key written once more means what is written now: what the earlier value held is no longer there.
    fn forget(&self, found: &mut [Option<Written<'_>>]) {
        self.ends.iter().for_each(|end| found[*end] = None);
        let below = self.keys.iter().map(|(_, node)| node).chain(self.items.iter().map(|(_, node)| node));
        below.for_each(|node| node.forget(found));
    }

    fn is_end(&self) -> bool {
        self.keys.is_empty() && self.items.is_empty()
    }
}

impl<'p> DeserializeSeed<'p> for Walk<'_, 'p> {
    type Value = ();

    fn deserialize<D: Deserializer<'p>>(self, reader: D) -> Result<(), D::Error> {
        if self.node.ends.is_empty() {
            return reader.deserialize_any(self);
        }
        let written = <&RawValue as serde::Deserialize>::deserialize(reader)?.get();
        for end in &self.node.ends {
            self.found[*end] = (written != "null").then_some(Written(written));
        }
        if self.node.is_end() {
            return Ok(());
        }
        // Another path leads on from here.
        let mut inner = serde_json::Deserializer::from_str(written);
        inner.deserialize_any(self).map_err(D::Error::custom)
    }
}

impl<'p> Visitor<'p> for Walk<'_, 'p> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'p>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(known) = entries.next_key_seed(Among(&self.node.keys))? {
            match known {
                Some(node) => {
                    node.forget(self.found);
                    entries.next_value_seed(Walk { node, found: self.found })?;
                }
                None => drop(entries.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'p>>(self, mut items: A) -> Result<(), A::Error> {
        for index in 0.. {
            let known = self.node.items.iter().find(|(wanted, _)| *wanted == index);
            let more = match known {
                Some((_, node)) => items.next_element_seed(Walk { node, found: self.found })?,
                None => items.next_element::<IgnoredAny>()?.map(drop),
            };
            if more.is_none() {
                break;
            }
        }
        Ok(())
    }

    // The paths lead on, and this is neither an object nor a list: nothing is there.

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

/// Which of these keys a key is, if any; it is not kept.
struct Among<'a>(&'a [(String, Node)]);

impl<'a, 'de> DeserializeSeed<'de> for Among<'a> {
    type Value = Option<&'a Node>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Among<'a> {
    type Value = Option<&'a Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|(known, _)| known == key).map(|(_, node)| node))
    }
}
