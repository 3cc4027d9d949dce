//! Lists, sets, maps, tuples and user-defined types from JSON.

use scylla::frame::response::result::{CollectionType, ColumnType};
use serde_json::Value;

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

/// Appends the serialized value of what is written as JSON.
pub(super) fn append(out: &mut Vec<u8>, json: &str, of: &ColumnType<'_>) -> Result<(), Wanted> {
    let value: Value = serde_json::from_str(json).map_err(|_| "JSON")?;
    inside(out, &value, of)
}

fn inside(out: &mut Vec<u8>, value: &Value, of: &ColumnType<'_>) -> Result<(), Wanted> {
    match (of, value) {
        (ColumnType::Collection { typ: CollectionType::List(of) | CollectionType::Set(of), .. }, value) => {
            let items = value.as_array().ok_or("a JSON list")?;
            count(out, items.len())?;
            items.iter().try_for_each(|item| sized(out, Some(item), of))
        }
        (ColumnType::Collection { typ: CollectionType::Map(key, of), .. }, value) => {
            let entries = value.as_object().ok_or("a JSON object")?;
            count(out, entries.len())?;
            entries.iter().try_for_each(|(name, value)| {
                sized(out, Some(&Value::String(name.clone())), key)?;
                sized(out, Some(value), of)
            })
        }
        (ColumnType::Tuple(parts), value) => {
            let items = value.as_array().filter(|items| items.len() == parts.len());
            let items = items.ok_or("a JSON list as long as the tuple")?;
            items.iter().zip(parts).try_for_each(|(item, of)| sized(out, present(item), of))
        }
        (ColumnType::UserDefinedType { definition, .. }, value) => {
            let fields = value.as_object().ok_or("a JSON object")?;
            let mut known = definition.field_types.iter();
            known.try_for_each(|(name, of)| sized(out, fields.get(name.as_ref()).and_then(present), of))
        }
        (of, Value::String(text)) => super::append(out, Given::Text(text), of),
        (of, value) => super::append(out, Given::Text(&value.to_string()), of),
    }
}

/// Appends a value behind its length; nothing is a length of -1.
fn sized(out: &mut Vec<u8>, value: Option<&Value>, of: &ColumnType<'_>) -> Result<(), Wanted> {
    let Some(value) = value else {
        out.extend_from_slice(&(-1_i32).to_be_bytes());
        return Ok(());
    };
    if value.is_null() {
        return Err("a value, not null, inside a collection");
    }
    let at = out.len();
    count(out, 0)?;
    inside(out, value, of)?;
    let length = i32::try_from(out.len() - at - 4).map_err(|_| "less than 2 GiB")?;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn present(value: &Value) -> Option<&Value> {
    (!value.is_null()).then_some(value)
}

fn count(out: &mut Vec<u8>, count: usize) -> Result<(), Wanted> {
    let count = i32::try_from(count).map_err(|_| "fewer than 2^31 items")?;
    out.extend_from_slice(&count.to_be_bytes());
    Ok(())
}
