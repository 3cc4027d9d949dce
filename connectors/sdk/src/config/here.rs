//! `Here`: a deserializer that knows where in the configuration it stands.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::Range;

use serde::Deserializer;
use serde::de::Visitor;
use serde::de::value::StrDeserializer;
use serde_json::Value;

use super::elements::Elements;
use super::entries::Entries;
use super::fault::{Fault, Place};
use super::problem::child;
use super::variant::Tagged;

/// One node, its pointer, and the places that are already reported and must not be read again.
pub(super) struct Here<'de, 'a> {
    pub(super) value: &'de Value,
    pub(super) pointer: String,
    pub(super) cut: &'a BTreeSet<Place>,
    /// In a list, the bytes between two commas; set once a text was taken, so that the list goes on behind them.
    pub(super) part: Option<(Range<usize>, &'a Cell<bool>)>,
}

impl<'de, 'a> Here<'de, 'a> {
    pub(super) fn root(value: &'de Value, cut: &'a BTreeSet<Place>) -> Self {
        Self { value, pointer: String::new(), cut, part: None }
    }

    /// The node below, unless it was cut.
    pub(super) fn child(&self, key: impl std::fmt::Display, value: &'de Value) -> Option<Self> {
        let place = Place { pointer: child(&self.pointer, key), within: None };
        if self.cut.contains(&place) {
            return None;
        }
        Some(Self { value, pointer: place.pointer, cut: self.cut, part: None })
    }

    pub(super) fn place(&self) -> Place {
        let taken = self.part.as_ref().filter(|(_, taken)| taken.get());
        Place { pointer: self.pointer.clone(), within: taken.map(|(part, _)| (part.start, part.end)) }
    }
}

/// One method for each kind of number: check it first, so that the message is ours, then let the visitor have it.
macro_rules! numbers {
    ($($method:ident $visit:ident $number:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            let number = self
                .whole_number(i128::from(<$number>::MIN), i128::from(<$number>::MAX))
                .and_then(|number| <$number>::try_from(number).map_err(|error| Fault::new(error.to_string())))
                .and_then(|number| visitor.$visit(number));
            number.map_err(|fault| fault.at(|| self.place()))
        }
    )*};
}

macro_rules! texts {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            let text = self.words().and_then(|text| visitor.visit_borrowed_str(text));
            text.map_err(|fault| fault.at(|| self.place()))
        }
    )*};
}

impl<'de> Deserializer<'de> for Here<'de, '_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let place = self.place();
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(truth) => visitor.visit_bool(*truth),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (_, Some(number)) => visitor.visit_i64(number),
                _ => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::Array(items) => visitor.visit_seq(Elements::list(self, items)),
            Value::Object(entries) => visitor.visit_map(Entries::of(self, Some(entries))),
        }
        .map_err(|fault| fault.at(|| place))
    }

    numbers! {
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64, deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64
    }
    texts! {
        deserialize_str deserialize_string deserialize_char deserialize_bytes deserialize_byte_buf
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let truth = self.truth().and_then(|truth| visitor.visit_bool(truth));
        truth.map_err(|fault| fault.at(|| self.place()))
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let number = self.decimal_number().and_then(|number| visitor.visit_f64(number));
        number.map_err(|fault| fault.at(|| self.place()))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let place = self.place();
        match self.value {
            Value::Array(items) => visitor.visit_seq(Elements::list(self, items)),
            Value::String(_) => visitor.visit_seq(Elements::single(self)),
            other => Err(Fault::expected("a list", other)),
        }
        .map_err(|fault| fault.at(|| place))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let place = self.place();
        match self.value {
            Value::Object(entries) => visitor.visit_map(Entries::of(self, Some(entries))),
            // A key with nothing below it, or only comments, is a map without entries.
            Value::Null => visitor.visit_map(Entries::of(self, None)),
            other => Err(Fault::expected("a map", other)),
        }
        .map_err(|fault| fault.at(|| place))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let is_map = matches!(self.value, Value::Object(_) | Value::Null);
        let read = self.deserialize_map(visitor).map_err(|fault| fault.of(fields));
        match read {
            Err(fault) if !is_map => Err(fault.help(format!("known keys: {}", fields.join(", ")))),
            read => read,
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let number = self.value.as_i64().map(|number| number.to_string());
        let text = self.text();
        let single = self.value.as_object().filter(|entries| entries.len() == 1);
        let one_of = |fault: Fault| fault.help(format!("one of: {}", known.join(", ")));
        match (text.or(number.as_deref()), single.and_then(|entries| entries.iter().next())) {
            (Some(name), _) => visitor.visit_enum(StrDeserializer::<Fault>::new(name)),
            (_, Some((name, content))) => match self.child(name, content) {
                Some(content) => visitor.visit_enum(Tagged { name, content }),
                None => Err(Fault::default()),
            },
            _ => Err(one_of(Fault::expected("a name", self.value))),
        }
        .map_err(|fault| fault.at(|| self.place()))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { i128 u128 unit unit_struct identifier }
}
