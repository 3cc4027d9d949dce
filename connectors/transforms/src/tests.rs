//! What holds for every transform, and how their own tests drive them: through the factory, as the host does.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use weir_sdk::connector::transform;
use weir_sdk::testing::{RecordExt as _, keyless, record, tombstone};
use weir_sdk::{Error, ErrorKind, Record, Transform, TransformConnector};

/// What the record becomes.
pub(crate) fn made(connector: impl TransformConnector, config: Value, record: Record) -> Vec<Record> {
    apply(connector, config, record).expect("it is not refused")
}

/// Why the record is refused: by its own fault, leaving nothing behind.
pub(crate) fn refused(connector: impl TransformConnector, config: Value, record: Record) -> Error {
    let error = apply(connector, config, record).expect_err("it is refused");
    assert_eq!(error.kind(), ErrorKind::Record);
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    assert!(error.operator_advice().is_some(), "{error:?}");
    error
}

fn apply(connector: impl TransformConnector, config: Value, record: Record) -> Result<Vec<Record>, Error> {
    let factory = transform(connector);
    assert_eq!(factory.check(&config), []);
    let mut out = Vec::new();
    let applied = factory.build(&config).expect("a configuration without faults").apply(record, &mut out);
    assert!(applied.is_ok() || out.is_empty());
    applied.map(|()| out)
}

/// Every problem of these configurations as lines; none of them builds.
pub(crate) fn problems(connector: impl TransformConnector, configs: &[Value]) -> String {
    let factory = transform(connector);
    let mut told = String::new();
    for config in configs {
        let problems = factory.check(config);
        let error = factory.build(config).err().expect("what is refused does not build");
        assert_eq!((error.kind(), error.problems()), (ErrorKind::Config, &problems[..]));
        told += &format!("{config}\n");
        for problem in problems {
            let help = problem.help.iter().map(|help| format!(" | {help}")).collect::<String>();
            told += &format!("  {problem}{help}\n");
        }
    }
    told
}

fn configs() -> Vec<(&'static str, Value)> {
    let when = json!({ "json": "$.a.b[0]", "in": [1, "x"] });
    vec![
        ("filter", when.clone()),
        ("filter", json!({ "header": "h", "not_in": ["x"] })),
        ("filter", json!({ "json": "$", "exists": true })),
        (
            "route",
            json!({ "cases": [{ "when": when, "to": "x" }, { "when": { "json": "$.a", "exists": true }, "to": "y" }] }),
        ),
        ("headers", json!({ "drop": ["d"], "rename": { "h": "d" }, "set": { "s": "1" } })),
        (
            "extract",
            json!({ "key": "$.a", "headers": { "h": "$.a.b" }, "timestamp": "$.t", "missing": "keep" }),
        ),
        ("extract", json!({ "key": "$[0]", "timestamp": "$.a", "timestamp_unit": "us" })),
    ]
}

fn built(name: &str, config: &Value) -> Arc<dyn Transform> {
    let factory =
        crate::transforms().into_iter().find(|factory| factory.name() == name).expect("it is built in");
    factory.build(config).expect("a configuration without faults")
}

fn any_payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<Vec<u8>>(),
        "[\\[\\]{}\":,abt01\\\\u.e-]{0,24}".prop_map(String::into_bytes),
        "\\{\"(a|t)\":(1|\"x\"|null|\\{\"b\":\\[1\\]\\}|1e99)\\}".prop_map(String::into_bytes),
    ]
}

fn any_record() -> impl Strategy<Value = Record> {
    let header = ("[hds]", "x|1|.{0,3}");
    let headers = proptest::collection::vec(header, 0..4);
    (any_payload(), headers, 0u8..4).prop_map(|(payload, headers, shape)| {
        let mut made = match shape {
            0 => keyless("v"),
            1 => tombstone("k"),
            _ => record("k", "v"),
        };
        made.value = made.value.map(|_| payload.into());
        for (name, value) in headers {
            made.headers.push(name, value);
        }
        made
    })
}

proptest! {
    /// Whatever the bytes: no panic, a refusal is the record's own fault, and records keep their order and origin.
    #[test]
    fn any_record_passes_in_order_or_is_refused(records in proptest::collection::vec(any_record(), 1..8)) {
        for (name, config) in configs() {
            let transform = built(name, &config);
            let mut out = Vec::new();
            let mut kept = Vec::new();
            for (number, record) in records.iter().enumerate() {
                let record = record.clone().at("p", &number.to_string());
                let before = out.len();
                match transform.apply(record.clone(), &mut out) {
                    Ok(()) => kept.extend((before..out.len()).map(|_| record.clone())),
                    Err(error) => {
                        prop_assert_eq!(error.kind(), ErrorKind::Record);
                        prop_assert_eq!(out.len(), before, "what is refused leaves nothing behind");
                    }
                }
            }
            prop_assert!(out.len() <= records.len());
            for (made, read) in out.iter().zip(&kept) {
                prop_assert_eq!((&made.origin, &made.value), (&read.origin, &read.value));
            }
        }
    }
}

#[test]
fn a_transform_that_changes_nothing_shares_everything() {
    let (payload, header) = (r#"{"a":"text"}"#, "x");
    let before = record("k", payload).header("h", header);
    for (name, config) in [
        ("filter", json!({ "json": "$.a", "equals": "text" })),
        ("headers", json!({ "drop": ["other"] })),
        ("extract", json!({ "key": "$.x", "missing": "keep" })),
    ] {
        let mut out = Vec::new();
        built(name, &config).apply(before.clone(), &mut out).unwrap();
        assert_eq!(out[0].value.as_ref().unwrap().as_ptr(), before.value.as_ref().unwrap().as_ptr());
        assert_eq!(
            out[0].headers.get("h").unwrap().as_ptr(),
            before.headers.get("h").unwrap().as_ptr(),
            "{name}"
        );
    }
}
