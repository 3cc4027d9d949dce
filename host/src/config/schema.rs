//! The JSON Schema of a pipeline file, with the schema of each connector's and transform's own block inside.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::written::Pipeline;
use crate::registry::{FILE_STORE, Registry};

/// The JSON Schema of a pipeline file for the connectors of this registry.
pub fn schema(registry: &Registry) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut root = Pipeline::json_schema(&mut generator);
    let mut definitions: Map<String, Value> = generator.take_definitions(true);
    let sources: Vec<_> =
        registry.sources().map(|factory| (factory.name().to_owned(), factory.config_schema())).collect();
    let sinks: Vec<_> =
        registry.sinks().map(|factory| (factory.name().to_owned(), factory.config_schema())).collect();
    let transforms: Vec<_> =
        registry.transforms().map(|factory| (factory.name().to_owned(), factory.config_schema())).collect();
    let stores: Vec<_> =
        registry.stores().map(|factory| (factory.name().to_owned(), factory.config_schema())).collect();
    let stores =
        std::iter::once((FILE_STORE.to_owned(), json!({ "maxProperties": 0 }))).chain(stores).collect();
    let roles = [
        ("source", "Source", "connector", sources),
        ("transform", "Transform", "transform", transforms),
        ("sink", "Sink", "connector", sinks.clone()),
        ("sink", "DeadLetter", "connector", sinks),
        ("store", "Checkpoint", "store", stores),
    ];
    for (role, block, key, known) in roles {
        let mut choices = Vec::new();
        for (name, schema) in &known {
            let definition = format!("{role}.{name}");
            choices.push(choice(key, name, &definition, schema));
            adopt(&mut definitions, &definition, schema.clone());
        }
        if let Some(block) = definitions.get_mut(block) {
            let names: Vec<&String> = known.iter().map(|(name, _)| name).collect();
            block["properties"][key]["enum"] = json!(names);
            block["allOf"] = json!(choices);
        }
    }
    let mut accept_references = AcceptReferences { definitions: definitions.clone() };
    root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    root.insert("title".to_owned(), json!("Weir pipeline"));
    root.insert("$defs".to_owned(), Value::Object(definitions));
    accept_references.transform(&mut root);
    root.to_value()
}

/// If the block has this name at `key`, its `config` has that shape, and is there if any key of it must be.
fn choice(key: &str, name: &str, definition: &str, schema: &Value) -> Value {
    let mut choice = json!({
        "if": { "properties": { key: { "const": name } }, "required": [key] },
        "then": { "properties": { "config": { "$ref": format!("#/$defs/{definition}") } } }
    });
    if schema.get("required").is_some() {
        choice["then"]["required"] = json!(["config"]);
    }
    choice
}

/// Takes a connector's schema in under its own name; what it defines itself moves under that name too.
fn adopt(definitions: &mut Map<String, Value>, name: &str, mut schema: Value) {
    let own = schema.as_object_mut().and_then(|schema| {
        schema.remove("$schema");
        schema.remove("$defs")
    });
    rename(&mut schema, name);
    definitions.insert(name.to_owned(), schema);
    for (key, mut definition) in
        own.iter().filter_map(Value::as_object).flatten().map(|(k, v)| (k, v.clone()))
    {
        rename(&mut definition, name);
        definitions.insert(format!("{name}.{key}"), definition);
    }
}

fn rename(schema: &mut Value, name: &str) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                match (key.as_str(), value.as_str().and_then(|reference| reference.strip_prefix("#/$defs/")))
                {
                    ("$ref", Some(own)) => *value = json!(format!("#/$defs/{name}.{own}")),
                    _ => rename(value, name),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, name)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A reference is text, and text stands for a list of texts: what the reader accepts, editors must not mark.
#[derive(Clone)]
struct AcceptReferences {
    definitions: Map<String, Value>,
}

impl Transform for AcceptReferences {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        // That a key may be left out is said by its absence from `required`.
        if schema.get("default") == Some(&Value::Null) {
            schema.remove("default");
        }
        let alternative = self.alternative(schema.as_value());
        if let (Some(alternative), Some(object)) = (alternative, schema.as_object_mut()) {
            let mut kept = Map::new();
            for word in ["description", "default", "title"] {
                kept.extend(object.remove_entry(word));
            }
            let original = Value::Object(std::mem::replace(object, kept));
            object.insert("anyOf".to_owned(), json!([original, alternative]));
        }
    }
}

impl AcceptReferences {
    fn alternative(&self, schema: &Value) -> Option<Value> {
        let restricted = ["enum", "const", "pattern"].iter().any(|word| schema.get(word).is_some());
        if wants(schema, &["array"]) && schema.get("items").is_some_and(|items| self.is_scalar(items)) {
            return Some(json!({ "type": "string", "description": "Several, separated by commas." }));
        }
        (wants(schema, &NUMBERS) || (wants(schema, &["string"]) && restricted)).then(|| {
            json!({ "type": "string", "pattern": r"\$\{(env|file):[^}]+\}", "description": "A reference." })
        })
    }

    /// By now it may have become a choice between itself and a reference.
    fn is_scalar(&self, schema: &Value) -> bool {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let name = reference.and_then(|reference| reference.strip_prefix("#/$defs/"));
        let schema = name.and_then(|name| self.definitions.get(name)).unwrap_or(schema);
        let choices = schema.get("anyOf").and_then(Value::as_array);
        let scalar = |schema: &Value| wants(schema, &["string"]) || wants(schema, &NUMBERS);
        scalar(schema) || choices.is_some_and(|choices| choices.iter().any(scalar))
    }
}

const NUMBERS: [&str; 3] = ["integer", "number", "boolean"];

fn wants(schema: &Value, kinds: &[&str]) -> bool {
    match schema.get("type") {
        Some(Value::String(one)) => kinds.contains(&one.as_str()),
        Some(Value::Array(several)) => several.iter().any(|one| kinds.iter().any(|kind| one == kind)),
        _ => false,
    }
}

/// The schema as the file in the documentation holds it.
pub fn schema_text(registry: &Registry) -> String {
    format!("{:#}\n", schema(registry))
}
