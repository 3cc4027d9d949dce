//! Lists, sets, maps, tuples and user-defined types from JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;

use scylla::frame::response::result::{CollectionType, ColumnType};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Given, Wanted};

/// The types inside a collection.
pub(super) fn parts<'a, 't>(of: &'a CollectionType<'t>) -> impl Iterator<Item = &'a ColumnType<'t>> {
    let (first, second) = match of {
        CollectionType::Map(key, value) => (Some(key), Some(value)),
        CollectionType::List(item) | CollectionType::Set(item) => (Some(item), None),
        _ => (None, None),
    };
    first.into_iter().chain(second).map(Box::as_ref)
}

/// Appends the serialized value of what is written as JSON. What is inside is taken as it is written, so that a number
/// keeps all its digits.
pub(super) fn append(out: &mut Vec<u8>, json: &str, of: &ColumnType<'_>) -> Result<(), Wanted> {
    match of {
        ColumnType::Collection { typ: CollectionType::List(of) | CollectionType::Set(of), .. } => {
            let items: Vec<&RawValue> = read(json, "a JSON list")?;
            count(out, items.len())?;
            items.iter().try_for_each(|item| sized(out, Some(item), of))
        }
        ColumnType::Collection { typ: CollectionType::Map(key, of), .. } => {
            let entries: BTreeMap<String, &RawValue> = read(json, "a JSON object")?;
            count(out, entries.len())?;
            entries.iter().try_for_each(|(name, value)| {
                behind_length(out, |out| super::append(out, Given::Text(name), key))?;
                sized(out, Some(value), of)
            })
        }
        ColumnType::Tuple(parts) => {
            let items: Vec<&RawValue> = read(json, "a JSON list as long as the tuple")?;
            if items.len() != parts.len() {
                return Err("a JSON list as long as the tuple");
            }
            items.iter().zip(parts).try_for_each(|(item, of)| sized(out, present(item), of))
        }
        ColumnType::UserDefinedType { definition, .. } => {
            let fields: BTreeMap<String, &RawValue> = read(json, "a JSON object")?;
            let mut known = definition.field_types.iter();
            let value = |name: &str| fields.get(name).copied().and_then(present);
            known.try_for_each(|(name, of)| sized(out, value(name), of))
        }
        _ => Err("supported type"),
    }
}

fn read<'j, T: Deserialize<'j>>(json: &'j str, wanted: Wanted) -> Result<T, Wanted> {
    serde_json::from_str(json).map_err(|error| if error.is_data() { wanted } else { "JSON" })
}

/// Appends a value behind its length; nothing is a length of -1.
fn sized(out: &mut Vec<u8>, value: Option<&RawValue>, of: &ColumnType<'_>) -> Result<(), Wanted> {
    let Some(json) = value.map(RawValue::get) else {
        out.extend_from_slice(&(-1_i32).to_be_bytes());
        return Ok(());
    };
    if json == "null" {
        return Err("a value, not null, inside a collection");
    }
    behind_length(out, |out| {
        if json.starts_with('"') {
            super::append(out, Given::Text(&read::<Cow<'_, str>>(json, "text")?), of)
        } else {
            super::append(out, Given::Text(json), of)
        }
    })
}

fn behind_length(
    out: &mut Vec<u8>,
    append: impl FnOnce(&mut Vec<u8>) -> Result<(), Wanted>,
) -> Result<(), Wanted> {
    let at = out.len();
    count(out, 0)?;
    append(out)?;
    let length = i32::try_from(out.len() - at - 4).map_err(|_| "less than 2 GiB")?;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn present(value: &RawValue) -> Option<&RawValue> {
    (value.get() != "null").then_some(value)
}

fn count(out: &mut Vec<u8>, count: usize) -> Result<(), Wanted> {
    let count = i32::try_from(count).map_err(|_| "fewer than 2^31 items")?;
    out.extend_from_slice(&count.to_be_bytes());
    Ok(())
}
