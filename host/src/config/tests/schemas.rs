//! The schema knows every key of a file and every connector's block.

use serde_json::{Value, json};

use super::connectors;
use crate::config::schema;

fn at<'a>(schema: &'a Value, pointer: &str) -> &'a Value {
    schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer} in {schema:#}"))
}

#[test]
fn each_connector_s_block_hangs_on_its_name() {
    let schema = schema(&connectors::registry());
    assert_eq!(at(&schema, "/$defs/Sink/properties/connector/anyOf/0/enum"), &json!(["broker"]));
    assert_eq!(at(&schema, "/$defs/Sink/allOf/0/if/properties/connector/const"), "broker");
    let block = at(&schema, "/$defs/Sink/allOf/0/then/properties/config/$ref");
    assert_eq!(block, "#/$defs/sink.broker");
    assert_eq!(at(&schema, "/$defs/sink.broker/required"), &json!(["brokers", "topic"]));
    assert_eq!(at(&schema, "/$defs/sink.broker/additionalProperties"), false);
    assert_eq!(at(&schema, "/$defs/sink.broker.Tls/required"), &json!(["ca", "password", "verify"]));
    assert_eq!(at(&schema, "/$defs/Transform/properties/transform/anyOf/0/enum"), &json!(["pick"]));
    assert_eq!(at(&schema, "/$defs/Transform/allOf/0/if/properties/transform/const"), "pick");
    assert_eq!(at(&schema, "/$defs/transform.pick/required"), &json!(["header"]));
}

#[test]
fn every_reference_of_the_schema_leads_somewhere() {
    fn walk(root: &Value, here: &Value, seen: &mut usize) {
        if let Some(reference) = here.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').expect("a local reference");
            assert!(root.pointer(pointer).is_some(), "{reference}");
            *seen += 1;
        }
        match here {
            Value::Object(map) => map.values().for_each(|value| walk(root, value, seen)),
            Value::Array(items) => items.iter().for_each(|value| walk(root, value, seen)),
            _ => {}
        }
    }
    let schema = schema(&connectors::registry());
    let mut seen = 0;
    walk(&schema, &schema, &mut seen);
    assert!(seen > 10, "{seen}");
}

#[test]
fn references_and_lists_in_one_text_are_no_mistakes_to_an_editor() {
    let schema = schema(&connectors::registry());
    assert_eq!(at(&schema, "/$defs/sink.broker/properties/brokers/anyOf/1/type"), "string");
    assert_eq!(at(&schema, "/$defs/source.clock/properties/rate/anyOf/1/type"), "string");
    assert_eq!(at(&schema, "/properties/sinks/type"), "array");
    assert_eq!(at(&schema, "/$defs/Sink/properties/lanes/default"), 8);
}
