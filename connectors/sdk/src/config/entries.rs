//! The entries of a map or struct, without those that were cut.

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, MapAccess};
use serde_json::{Map, Value, map};

use super::fault::{Fault, Place};
use super::here::Here;

/// The entries not read yet.
pub(super) struct Entries<'de, 'a> {
    map: Here<'de, 'a>,
    rest: Option<map::Iter<'de>>,
    value: Option<Here<'de, 'a>>,
}

impl<'de, 'a> Entries<'de, 'a> {
    pub(super) fn of(map: Here<'de, 'a>, entries: Option<&'de Map<String, Value>>) -> Self {
        Self { map, rest: entries.map(Map::iter), value: None }
    }
}

impl<'de> MapAccess<'de> for Entries<'de, '_> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let map = &self.map;
        let next = (self.rest.iter_mut().flatten())
            .find_map(|(key, value)| map.child(key, value).map(|value| (key, value)));
        let Some((key, value)) = next else {
            return Ok(None);
        };
        let place = value.place();
        self.value = Some(value);
        let read = seed.deserialize(StrDeserializer::<Fault>::new(key));
        read.map(Some).map_err(|fault| fault.on_key().at(|| place))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let Some(value) = self.value.take() else {
            return Err(Fault::new("a value was asked for before its key"));
        };
        let place: Place = value.place();
        seed.deserialize(value).map_err(|fault| fault.at(|| place))
    }
}
