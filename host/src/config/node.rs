//! A YAML file as a tree in which each node knows the bytes it stands on. Nothing else reads YAML.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_yaml::options::NonFiniteFloatPolicy;
use serde_yaml::{Location, Options, Spanned};

/// A value as written, references unresolved, and its bytes in the file.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) at: Range<usize>,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and what stands below it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_at: Range<usize>,
    pub(super) value: Node,
}

/// Why a file is no YAML, and the bytes at which that shows.
pub(super) struct SyntaxError {
    pub(super) at: Range<usize>,
    pub(super) message: String,
}

/// A pipeline file is small; whatever passes these limits is a mistake or an attack (alias bombs).
const MOST_NODES: usize = 50_000;
const MOST_DEPTH: usize = 64;

impl Node {
    pub(super) fn parse(text: &str) -> Result<Self, SyntaxError> {
        serde_yaml::from_str_with_options(text, options()).map_err(|error| SyntaxError {
            at: error.location().map_or(0..0, |location| shown_at(text, location)),
            message: message(&error),
        })
    }

    /// The node that a pointer leads to and the entry it was reached by; the nearest ancestor if it leads nowhere.
    pub(super) fn locate(&self, pointer: &str) -> Found<'_> {
        let mut found = Found { node: self, entry: None, exact: true };
        for step in pointer.split('/').skip(1) {
            let key = step.replace("~1", "/").replace("~0", "~");
            match found.node.below(&key) {
                Some((node, entry)) => found = Found { node, entry, exact: true },
                None => return Found { exact: false, ..found },
            }
        }
        found
    }

    fn below(&self, key: &str) -> Option<(&Node, Option<&Entry>)> {
        match &self.kind {
            Kind::Map(entries) => {
                let entry = entries.iter().find(|entry| entry.key == key)?;
                Some((&entry.value, Some(entry)))
            }
            Kind::List(items) => Some((items.get(key.parse::<usize>().ok()?)?, None)),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) => None,
        }
    }
}

/// Where a pointer led.
pub(super) struct Found<'a> {
    pub(super) node: &'a Node,
    pub(super) entry: Option<&'a Entry>,
    pub(super) exact: bool,
}

fn options() -> Options {
    serde_yaml::options! {
        strict_booleans: true,
        reject_unsupported_tags: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
        budget: serde_yaml::budget! {
            max_depth: MOST_DEPTH,
            max_nodes: MOST_NODES,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: MOST_NODES,
        },
    }
}

/// The first line of what the parser says, without the place, which the report shows.
fn message(error: &serde_yaml::Error) -> String {
    let formatter = serde_yaml::UserMessageFormatter;
    let text = error.render_with_formatter(&formatter);
    let line = text.lines().next().unwrap_or_default();
    match line.rsplit_once(" at line ").map_or(line, |(message, _)| message) {
        "expected string scalar" => "a key must be text".to_owned(),
        message => message.to_owned(),
    }
}

/// The scanner's own errors know line and column only.
fn shown_at(text: &str, location: Location) -> Range<usize> {
    if location.span().byte_offset().is_some() {
        return bytes(location);
    }
    let number = |number: u64| usize::try_from(number).unwrap_or(1).max(1) - 1;
    let lines = text.split_inclusive('\n');
    let start: usize = lines.clone().take(number(location.line())).map(str::len).sum();
    let line = lines.clone().nth(number(location.line())).unwrap_or_default();
    let before: usize = line.chars().take(number(location.column())).map(char::len_utf8).sum();
    start + before..start + before
}

fn bytes(location: Location) -> Range<usize> {
    let number = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok()).unwrap_or(0);
    let start = number(location.span().byte_offset());
    start..start + number(location.span().byte_len())
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self { kind: value, at: bytes(referenced) })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_none<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Kind, E> {
        Ok(Kind::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Kind, E> {
        Ok(Kind::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Kind, E> {
        Ok(Number::from_f64(number).map_or_else(|| Kind::Text(number.to_string()), Kind::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
        Ok(Kind::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Kind, E> {
        Ok(Kind::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Kind, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Kind::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Kind, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let (key, key_at) = (key.value, bytes(key.referenced));
            map.push(Entry { key, key_at, value: entries.next_value()? });
        }
        Ok(Kind::Map(map))
    }
}
