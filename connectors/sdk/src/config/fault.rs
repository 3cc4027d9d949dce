//! `Fault`: the serde error of the reader; it knows the innermost place it belongs to and never quotes a value.

use std::fmt;
use std::ops::Range;

use serde::de::{self, Expected, Unexpected};
use serde_json::Value;

use super::suggest::name_help;

/// Why reading stopped, and where. One pointer wide, since every reading function may return it.
#[derive(Debug, Default)]
pub(super) struct Fault(Box<Detail>);

#[derive(Debug, Default)]
pub(super) struct Detail {
    pub(super) message: String,
    pub(super) help: Option<String>,
    pub(super) place: Option<Place>,
    pub(super) on_key: bool,
    /// A field that a struct needs and did not get, with all the fields that struct has.
    pub(super) missing: Option<&'static str>,
    pub(super) fields: &'static [&'static str],
}

/// A node, or bytes inside its text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) pointer: String,
    pub(super) within: Option<(usize, usize)>,
}

impl Place {
    pub(super) fn root() -> Self {
        Self { pointer: String::new(), within: None }
    }

    pub(super) fn range(&self) -> Option<Range<usize>> {
        self.within.map(|(start, end)| start..end)
    }
}

impl Fault {
    pub(super) fn new(message: impl Into<String>) -> Self {
        let mut fault = Self::default();
        fault.0.message = message.into();
        fault
    }

    pub(super) fn expected(wanted: impl fmt::Display, found: &Value) -> Self {
        match found {
            Value::Null => Self::new(format!("expected {wanted}, found no value"))
                .help("give it a value, or remove the key"),
            _ => Self::new(format!("expected {wanted}, found {}", kind(found))),
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    pub(super) fn on_key(mut self) -> Self {
        self.0.on_key = true;
        self
    }

    /// Puts it here, unless it already belongs further in.
    pub(super) fn at(mut self, place: impl FnOnce() -> Place) -> Self {
        self.0.place.get_or_insert_with(place);
        self
    }

    /// Names the fields of the struct that lacks one, unless it was a struct further in.
    pub(super) fn of(mut self, fields: &'static [&'static str]) -> Self {
        if self.0.missing.is_some() && self.0.fields.is_empty() {
            self.0.fields = fields;
        }
        self
    }

    pub(super) fn detail(self) -> Detail {
        *self.0
    }
}

/// What a value is, in an operator's words.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "no value",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a decimal number",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

fn unexpected(found: &Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a number",
        Unexpected::Float(_) => "a decimal number",
        Unexpected::Char(_) | Unexpected::Str(_) | Unexpected::Bytes(_) => "text",
        Unexpected::Unit | Unexpected::Option => "no value",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a map",
        Unexpected::UnitVariant => "a name alone",
        _ => "something else",
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(text: T) -> Self {
        let text = text.to_string();
        match text.split_once('\n') {
            Some((message, help)) => Self::new(message).help(help),
            None => Self::new(text),
        }
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(format!("expected {wanted}, found {}", unexpected(&found)))
    }

    fn invalid_value(_: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        match wanted.to_string() {
            nonzero if nonzero.starts_with("a nonzero ") => Self::new("expected a whole number other than 0"),
            wanted => Self::new(format!("expected {wanted}")),
        }
    }

    fn invalid_length(length: usize, wanted: &dyn Expected) -> Self {
        Self::new(format!("expected {wanted}, found {length}"))
    }

    fn missing_field(field: &'static str) -> Self {
        let mut fault = Self::new(format!("`{field}` is missing"));
        fault.0.missing = Some(field);
        fault
    }

    fn unknown_field(given: &str, known: &'static [&'static str]) -> Self {
        Self::new(format!("unknown key `{given}`")).help(name_help(given, known, "known keys")).on_key()
    }

    fn unknown_variant(given: &str, known: &'static [&'static str]) -> Self {
        Self::new("unknown value").help(name_help(given, known, "one of"))
    }
}
