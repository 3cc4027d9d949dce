//! What is taken out of a payload, and what is refused.

use expect_test::expect;
use serde_json::{Value, json};
use weir_sdk::testing::{RecordExt as _, record, tombstone};
use weir_sdk::{Record, Timestamp};

use super::Extract;
use crate::tests::{made, problems, refused};

const ORDER: &str =
    r#"{"order":{"id":"o-1","total":10.50},"customer":{"name":"J\u00f6rg"},"at":1700000000123}"#;

fn one(config: Value, record: Record) -> Record {
    let mut made = made(Extract, config, record);
    assert_eq!(made.len(), 1);
    made.remove(0)
}

#[test]
fn fields_become_key_headers_and_time() {
    let config = json!({
        "key": "$.order.id",
        "headers": { "total": "$.order.total", "customer": "$.customer.name", "whole": "$.order" },
        "timestamp": "$.at",
    });
    let before = record("before", ORDER).header("total", "0").header("kept", "1");
    let after = one(config, before.clone());
    assert_eq!(after.key.as_deref(), Some(&b"o-1"[..]));
    assert_eq!(after.timestamp, Timestamp(1_700_000_000_123_000));
    assert_eq!((&after.value, &after.origin), (&before.value, &before.origin));
    let header = |name: &str| String::from_utf8(after.headers.get(name).expect(name).to_vec()).unwrap();
    assert_eq!(["kept", "total", "customer"].map(header), ["1", "10.50", "Jörg"]);
    assert_eq!(header("whole"), r#"{"id":"o-1","total":10.50}"#);
    assert_eq!(after.headers.len(), 4);
}

#[test]
fn what_is_taken_is_a_slice_of_the_payload() {
    let after = one(json!({ "key": "$.order.id" }), record("before", ORDER));
    let (value, key) = (after.value.unwrap(), after.key.unwrap());
    assert!(value.as_ptr_range().contains(&key.as_ptr()));
}

#[test]
fn times_are_text_or_numbers_of_a_unit() {
    let time = |unit: &str, at: &str| {
        let config = json!({ "timestamp": "$.at", "timestamp_unit": unit });
        one(config, record("k", &format!("{{\"at\":{at}}}"))).timestamp.0
    };
    assert_eq!(time("ms", r#""2023-11-14T22:13:20.123Z""#), 1_700_000_000_123_000);
    assert_eq!(time("s", r#""2023-11-15T00:13:20+02:00""#), 1_700_000_000_000_000);
    assert_eq!(time("s", "1700000000"), 1_700_000_000_000_000);
    assert_eq!(time("s", "1700000000.123456"), 1_700_000_000_123_456);
    assert_eq!(time("ms", "1.7e12"), 1_700_000_000_000_000);
    assert_eq!(time("us", "-1"), -1);
    for at in [r#""yesterday""#, r#""2023-11-14 22:13""#, "true", "{}", "1e300", "1700000000123456789"] {
        let payload = format!("{{\"at\":{at}}}");
        let error = refused(Extract, json!({ "timestamp": "$.at" }), record("k", &payload));
        assert_eq!(error.to_string(), "`$.at` of the payload is no time", "{at}");
    }
}

#[test]
fn a_record_that_lacks_a_field_is_refused_or_keeps_what_it_has() {
    let strict = json!({ "key": "$.order.id", "headers": { "x": "$.x" } });
    for lacking in [record("k", ORDER), record("k", r#"{"order":{"id":"1"},"x":null}"#)] {
        let error = refused(Extract, strict.clone(), lacking);
        assert_eq!(error.to_string(), "`$.x` is missing in the payload");
    }
    assert!(refused(Extract, strict, tombstone("k")).to_string().contains("`$.order.id` is missing"));
    let lenient =
        json!({ "key": "$.order.id", "headers": { "x": "$.x" }, "timestamp": "$.y", "missing": "keep" });
    let before = tombstone("k").header("x", "1").micros(7);
    assert_eq!(one(lenient.clone(), before.clone()), before);
    assert_eq!(one(lenient.clone(), record("k", ORDER)).key.as_deref(), Some(&b"o-1"[..]));
    let error = refused(Extract, lenient, record("k", "hunter2"));
    assert_eq!(error.to_string(), "the payload is not JSON, as line 1 column 1 shows");
}

#[test]
fn mistakes_are_told_with_their_places() {
    let told = problems(
        Extract,
        &[
            json!({}),
            json!({ "headers": { "": "$.a" } }),
            json!({ "key": "order.id", "timestamp": "$.at[x]", "timestamp_unit": "m", "missing": "drop" }),
            json!({ "headers": ["$.a"] }),
        ],
    );
    expect![[r#"
        {}
          nothing to take | write `key`, `headers` or `timestamp`, each with a path such as `$.order_id`
        {"headers":{"":"$.a"}}
          /headers/: a header has a name
        {"key":"order.id","missing":"drop","timestamp":"$.at[x]","timestamp_unit":"m"}
          /key: a path begins with `$` | for example `$.status`
          /missing: unknown value | one of: refuse, keep
          /timestamp: this is no path into the payload | write keys after dots and indexes in brackets, for example `$.order.items[0]`
          /timestamp_unit: unknown value | one of: s, ms, us
        {"headers":["$.a"]}
          /headers: expected a map, found a list
    "#]].assert_eq(&told);
}
