//! What else a struct lacks: serde stops at the first missing field, the schema of the type names them all.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde_json::Value;

use super::fault::{Detail, Place};
use super::problem::{Problem, child};
use super::sentence::first_sentence;
use super::suggest::did_you_mean;

/// The schema of the type that is being read, beside the value it is read from.
pub(super) struct Schema<'a> {
    root: Value,
    value: &'a Value,
}

impl<'a> Schema<'a> {
    pub(super) fn of<T: JsonSchema>(value: &'a Value) -> Self {
        Self { root: schemars::schema_for!(T).to_value(), value }
    }

    /// A problem for each field that the struct at `pointer` needs and that was not written. A field that was written
    /// and cut for its faults is not among them, nor one that was reported as misspelt.
    pub(super) fn missing(&self, pointer: &str, fault: &Detail, cut: &BTreeSet<Place>) -> Vec<Problem> {
        let structs = self.at(pointer);
        let required =
            |field: &str| (structs.iter()).any(|schema| list(schema, "required").any(|name| name == field));
        let entries = self.value.pointer(pointer).and_then(Value::as_object);
        let written = |field: &str| {
            let meant = |key: &str| {
                let cut = cut.iter().any(|place| place.pointer == child(pointer, key));
                cut && !fault.fields.contains(&key)
                    && did_you_mean(key, fault.fields.iter().copied()) == Some(field)
            };
            entries.is_some_and(|entries| entries.keys().any(|key| key == field || meant(key)))
        };
        let mut lacking = Vec::new();
        for field in fault.missing.iter().chain(fault.fields) {
            let lacks = fault.missing == Some(field) || required(field);
            if lacks && !written(field) && !lacking.contains(field) {
                lacking.push(*field);
            }
        }
        let problem = |field: &str| {
            let problem = Problem::at_key(pointer, format!("`{field}` is missing"));
            match self.described(&structs, field) {
                Some(text) => problem.help(format!("{field}: {text}")),
                None => problem,
            }
        };
        lacking.into_iter().map(problem).collect()
    }

    fn described(&self, structs: &[&Value], field: &str) -> Option<String> {
        let property = structs.iter().find_map(|schema| schema.get("properties")?.get(field))?;
        let text = property.get("description").or_else(|| self.resolve(property).get("description"))?;
        Some(first_sentence(text.as_str()?))
    }

    /// Every schema that may describe the node at `pointer`.
    fn at(&self, pointer: &str) -> Vec<&Value> {
        let mut here = self.choices(&self.root);
        for step in pointer.split('/').skip(1) {
            let key = step.replace("~1", "/").replace("~0", "~");
            let below = here.iter().filter_map(|schema| below(schema, &key));
            here = below.flat_map(|schema| self.choices(schema)).collect();
        }
        here
    }

    /// A schema with its references followed and its alternatives laid side by side.
    fn choices<'s>(&'s self, schema: &'s Value) -> Vec<&'s Value> {
        let schema = self.resolve(schema);
        let alternatives = ["anyOf", "oneOf", "allOf"]
            .into_iter()
            .flat_map(|word| list(schema, word))
            .flat_map(|schema| self.choices(schema));
        std::iter::once(schema).chain(alternatives).collect()
    }

    fn resolve<'s>(&'s self, schema: &'s Value) -> &'s Value {
        let reference = schema.get("$ref").and_then(Value::as_str);
        reference.and_then(|reference| self.root.pointer(reference.strip_prefix('#')?)).unwrap_or(schema)
    }
}

fn below<'s>(schema: &'s Value, key: &str) -> Option<&'s Value> {
    let property = schema.get("properties").and_then(|properties| properties.get(key));
    property.or_else(|| {
        let shared = if key.bytes().all(|byte| byte.is_ascii_digit()) {
            schema.get("items").or_else(|| schema.get("additionalProperties"))
        } else {
            schema.get("additionalProperties")
        };
        shared.filter(|schema| schema.is_object())
    })
}

fn list<'s>(schema: &'s Value, word: &str) -> impl Iterator<Item = &'s Value> {
    schema.get(word).and_then(Value::as_array).into_iter().flatten()
}
