//! The keys of a configuration as flat lines, out of its JSON Schema.

use serde_json::Value;

/// A key with all that a reader needs to write it.
pub(crate) struct Key {
    /// The keys it lies under, and itself: `session.page_size`.
    pub(crate) name: String,
    /// What its value is, and whether it must be there: `(duration, default 10s)`.
    pub(crate) kind: String,
    /// What it is for.
    pub(crate) about: String,
}

/// Every key, the ones that must be there first, each followed by those below it.
pub(crate) fn of(schema: &Value) -> Vec<Key> {
    let mut keys = Vec::new();
    collect(schema, schema, "", &mut keys);
    keys
}

fn collect(root: &Value, block: &Value, prefix: &str, keys: &mut Vec<Key>) {
    let Some(properties) = block.get("properties").and_then(Value::as_object) else {
        return;
    };
    let required = |name: &str| {
        let list = block.get("required").and_then(Value::as_array);
        list.is_some_and(|list| list.iter().any(|required| required == name))
    };
    let mut properties: Vec<_> = properties.iter().collect();
    properties.sort_by_key(|(name, _)| !required(name));
    for (name, property) in properties {
        let value = meant(root, property);
        let mut kind = kind(root, value);
        match property.get("default") {
            Some(default) if !default.is_null() => kind += &format!(", default {}", plain(default)),
            _ if required(name) => kind += ", required",
            _ => {}
        }
        let about = property.get("description").or_else(|| value.get("description"));
        let about = about.and_then(Value::as_str).unwrap_or_default().replace('\n', " ");
        let name = format!("{prefix}{name}");
        let below = format!("{name}.");
        keys.push(Key { name, kind: format!("({kind})"), about });
        collect(root, value, &below, keys);
    }
}

/// What a property stands for, behind references and "or nothing".
fn meant<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let is_null = |schema: &Value| schema.get("type").is_some_and(|kind| kind == "null");
    let choices = ["anyOf", "allOf"].iter().find_map(|word| schema.get(word)?.as_array());
    if let Some(choice) = choices.and_then(|choices| choices.iter().find(|choice| !is_null(choice))) {
        return meant(root, choice);
    }
    let reference = schema.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'));
    match reference.and_then(|pointer| root.pointer(pointer)) {
        Some(target) => meant(root, target),
        None => schema,
    }
}

fn kind(root: &Value, schema: &Value) -> String {
    if let Some(names) = names(schema) {
        return names.join("|");
    }
    let first = match schema.get("type") {
        Some(Value::Array(several)) => several.first().and_then(Value::as_str),
        Some(one) => one.as_str(),
        None => None,
    };
    let title = schema.get("title").map_or_else(|| "text".to_owned(), plain);
    match first {
        Some("string") => title,
        Some("integer" | "number") => "number".to_owned(),
        Some("boolean") => "true|false".to_owned(),
        Some("array") => match schema.get("items") {
            Some(items) => format!("list of {}", kind(root, meant(root, items))),
            None => "list".to_owned(),
        },
        Some("object") => "map".to_owned(),
        _ => "any".to_owned(),
    }
}

/// The names of a choice.
fn names(schema: &Value) -> Option<Vec<String>> {
    if let Some(names) = schema.get("enum").and_then(Value::as_array) {
        return Some(names.iter().map(plain).collect());
    }
    let choices = schema.get("oneOf")?.as_array()?;
    let name = |choice: &Value| {
        if let Some(names) = names(choice) {
            return Some(names);
        }
        let keys = choice.get("properties").and_then(Value::as_object);
        let shaped = keys.map(|keys| keys.keys().map(|key| format!("{key}: …")).collect());
        choice.get("const").map(|name| vec![plain(name)]).or(shaped)
    };
    Some(choices.iter().filter_map(name).flatten().collect())
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn keys_are_flat_and_say_what_they_take() {
        let schema = json!({
            "properties": {
                "pages": { "type": "integer", "default": 0 },
                "session": { "$ref": "#/$defs/Session", "description": "How to reach it." },
                "start": { "anyOf": [{ "$ref": "#/$defs/Start" }, { "type": "null" }], "default": null }
            },
            "required": ["session"],
            "$defs": {
                "Endpoint": { "type": "string", "title": "address" },
                "Session": {
                    "type": "object",
                    "description": "A connection.",
                    "properties": {
                        "contact_points": { "type": "array", "items": { "$ref": "#/$defs/Endpoint" } },
                        "user": { "type": ["string", "null"] }
                    },
                    "required": ["contact_points"]
                },
                "Start": {
                    "description": "Where to begin.",
                    "oneOf": [
                        { "type": "string", "enum": ["earliest"] },
                        { "type": "string", "const": "latest", "description": "From now on." },
                        { "type": "object", "properties": { "at": { "type": "string" } } }
                    ]
                }
            }
        });
        let lines = super::of(&schema).into_iter();
        let lines = lines.map(|key| format!("{} {} {}", key.name, key.kind, key.about).trim_end().to_owned());
        assert_eq!(
            lines.collect::<Vec<String>>(),
            [
                "session (map, required) How to reach it.",
                "session.contact_points (list of address, required)",
                "session.user (text)",
                "pages (number, default 0)",
                "start (earliest|latest|at: …) Where to begin.",
            ]
        );
    }
}
