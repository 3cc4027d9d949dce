//! The look-up against the plain way: a tree of the whole payload.

use crate::ErrorKind;
use proptest::prelude::*;
use serde_json::Value;

use super::{JsonPath, Lookup};

fn find(paths: &[&str], payload: &[u8]) -> Result<Vec<Option<String>>, String> {
    let mut lookup = Lookup::default();
    for path in paths {
        lookup.add(&JsonPath::try_from((*path).to_owned()).expect(path));
    }
    let found = lookup.find(Some(payload)).map_err(|error| {
        assert_eq!(error.kind(), ErrorKind::Record);
        error.to_string()
    })?;
    let text = |written: super::Written<'_>| written.text().map(|text| text.into_owned());
    found
        .into_iter()
        .map(|one| one.map(text).transpose())
        .collect::<Result<_, _>>()
        .map_err(|e| e.to_string())
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn values_are_found_as_they_are_written() {
    let payload =
        br#" { "a": {"b": [1.10, "x\u00e4", {"c": true}]}, "n": null, "big": 123456789012345678901 } "#;
    let paths =
        ["$.a.b[0]", "$.a.b[1]", "$.a.b[2].c", "$.a.b[2]", "$.big", "$.n", "$.n.x", "$.a.b[3]", "$.a.b.c"];
    let found = find(&paths, payload).unwrap();
    let big = some("123456789012345678901");
    assert_eq!(
        found,
        [some("1.10"), some("xä"), some("true"), some(r#"{"c": true}"#), big, None, None, None, None]
    );
    assert_eq!(find(&["$", "$[0]"], b" [\"x\" ] ").unwrap(), [some("[\"x\" ]"), some("x")]);
    assert_eq!(find(&["$", "$.a"], b"5").unwrap(), [some("5"), None]);
}

#[test]
fn the_last_of_a_repeated_key_counts_with_all_that_lies_below() {
    let payload = br#"{"a":{"b":1,"c":2},"a":{"c":3}}"#;
    assert_eq!(find(&["$.a.b", "$.a.c", "$.a"], payload).unwrap(), [None, some("3"), some(r#"{"c":3}"#)]);
    assert_eq!(find(&["$.a"], br#"{"a":1,"a":null}"#).unwrap(), [None]);
    assert_eq!(find(&["$.a.b"], br#"{"a":{"b":1},"a":7}"#).unwrap(), [None]);
}

#[test]
fn a_text_without_escapes_is_not_copied() {
    let payload = br#"{"a":"plain","b":"wi\th"}"#;
    let mut lookup = Lookup::default();
    let numbers = ["$.a", "$.b"].map(|path| lookup.add(&JsonPath::try_from(path.to_owned()).unwrap()));
    let found = lookup.find(Some(payload)).unwrap();
    let texts = numbers.map(|number| found[number].unwrap().text().unwrap());
    assert!(matches!(texts, [std::borrow::Cow::Borrowed("plain"), std::borrow::Cow::Owned(_)]));
    assert_eq!(texts[1], "wi\th");
}

#[test]
fn what_is_no_json_is_refused_without_being_quoted() {
    for payload in [
        &b""[..],
        b"hunter2",
        br#"{"a":"hunter2"#,
        br#"{"a":"hunter2"} hunter2"#,
        br#"{"a":1,"hunter2"}"#,
        b"{\"a\":\"hunter2\xff\"}",
        b"{\"hunter2\xff\":1}",
        b"{\"b\":\"hunter2\xff\",\"a\":1}",
        br#"{"a":"hunter2\ud800"}"#,
    ] {
        let error = find(&["$.a"], payload).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert_eq!(
        find(&["$.a"], b"{\"b\":\n  x}").unwrap_err(),
        "the payload is not JSON, as line 2 column 3 shows"
    );
    // Also where the fault lies behind a value that was already found, and below one that another path needs.
    assert!(find(&["$.a"], br#"{"a":1,"b":}"#).is_err());
    assert!(find(&["$.a", "$.a.b"], br#"{"a":{"b":x}}"#).is_err());
}

#[test]
fn depth_is_no_danger() {
    for depth in [100, 100_000] {
        let lists = [b"[".repeat(depth), b"]".repeat(depth)].concat();
        let payload = [br#"{"x":"#, &lists[..], br#","a":"found"}"#].concat();
        assert_eq!(find(&["$.a"], &payload).unwrap(), [some("found")]);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-c\"\\\\\u{e4}\n]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-c]", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A path as it is written, and the same as a JSON pointer.
fn any_path() -> impl Strategy<Value = (String, String)> {
    let step = prop_oneof![
        "[a-c]".prop_map(|key| (format!(".{key}"), format!("/{key}"))),
        "[a-c]".prop_map(|key| (format!("['{key}']"), format!("/{key}"))),
        (0usize..3).prop_map(|index| (format!("[{index}]"), format!("/{index}"))),
    ];
    proptest::collection::vec(step, 0..5).prop_map(|steps| {
        let (path, pointer): (Vec<String>, Vec<String>) = steps.into_iter().unzip();
        (format!("${}", path.concat()), pointer.concat())
    })
}

proptest! {
    #[test]
    fn it_finds_what_a_tree_would(value in any_json(), paths in proptest::collection::vec(any_path(), 1..6)) {
        let written: Vec<&str> = paths.iter().map(|(path, _)| path.as_str()).collect();
        let payload = if paths.len() % 2 == 0 { format!("{value:#}") } else { value.to_string() };
        let found = find(&written, payload.as_bytes()).expect("it is JSON");
        for ((_, pointer), found) in paths.iter().zip(found) {
            let wanted = value.pointer(pointer).filter(|value| !value.is_null());
            let found = found.map(|text| match wanted {
                Some(Value::String(_)) => Value::from(text),
                _ => serde_json::from_str(&text).expect("written as JSON"),
            });
            prop_assert_eq!(found.as_ref(), wanted);
        }
    }

    #[test]
    fn any_bytes_are_found_in_or_refused(bytes: Vec<u8>, text in "[\\[\\]{}\":,a0\\\\.eE+-]{0,24}") {
        for payload in [&bytes[..], text.as_bytes()] {
            let tree = serde_json::from_slice::<Value>(payload);
            let found = find(&["$.a", "$.a.b", "$[0]", "$"], payload);
            prop_assert!(found.is_ok() || tree.is_err(), "refused what is JSON");
        }
    }

    #[test]
    fn any_text_is_a_path_or_not(text in ".{0,20}|\\$[\\[\\].'\"a0*]{0,12}") {
        if let Ok(path) = JsonPath::try_from(text.clone()) {
            prop_assert_eq!(path.to_string(), text);
        }
    }
}

#[test]
fn a_record_without_a_payload_has_nothing() {
    let mut lookup = Lookup::default();
    lookup.add(&JsonPath::try_from("$.a".to_owned()).unwrap());
    assert_eq!(lookup.find(None).unwrap(), [None]);
}
