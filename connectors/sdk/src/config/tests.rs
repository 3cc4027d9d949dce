//! What a config author may rely on, read through types like theirs.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use expect_test::{Expect, expect};
use proptest::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{ByteSize, Endpoint, HumanDuration, Problem, Secret, read};

#[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Compression {
    #[default]
    None,
    Gzip,
    Lz4,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Start {
    Earliest,
    At(HumanDuration),
    Range { from: u32, to: u32 },
}

/// How to meet the broker.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read")]
struct Tls {
    /// File with the certificate of the authority.
    ca: String,
    verify: bool,
    password: Secret,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "some are only read")]
struct Config {
    /// Where the brokers are.
    brokers: Vec<Endpoint>,
    /// Where records go.
    topic: String,
    #[serde(default)]
    compression: Compression,
    linger: Option<HumanDuration>,
    batch: Option<ByteSize>,
    tls: Option<Tls>,
    port: Option<NonZeroU16>,
    ratio: Option<f64>,
    start: Option<Start>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    ports: Vec<u16>,
    pair: Option<(u8, u8)>,
    #[serde(default)]
    rest: Value,
}

fn minimal() -> Value {
    json!({ "brokers": ["a:1"], "topic": "t" })
}

fn with(more: Value) -> Value {
    let mut config = minimal();
    for (key, value) in more.as_object().expect("an object") {
        config[key] = value.clone();
    }
    config
}

fn problems<T: DeserializeOwned + JsonSchema>(value: &Value) -> Vec<Problem> {
    read::<T>(value).err().expect("problems")
}

fn check(value: &Value, expected: &Expect) {
    let lines = problems::<Config>(value).into_iter().map(|problem| {
        let mark = if problem.on_key { " (key)" } else { "" };
        let within = problem.within.as_ref().map(|bytes| format!(" {bytes:?}")).unwrap_or_default();
        let help = problem.help.as_ref().map(|help| format!(" | {help}")).unwrap_or_default();
        format!("{problem}{mark}{within}{help}\n")
    });
    expected.assert_eq(&lines.collect::<String>());
}

#[test]
fn every_problem_is_reported_in_one_run() {
    let value = json!({
        "brokers": ["a:1", "b:x,c:2,d e", 7],
        "topc": "orders",
        "compression": "gzpi",
        "linger": "10",
        "batch": "1 parsec",
        "tls": { "verify": "yes", "cert": "x" },
        "port": 70000,
        "ratio": "much",
        "labels": { "a/b": 1, "fine": "x" },
        "ports": ["1,2", "x"],
        "pair": [1, 300],
        "start": { "range": { "from": -1 } },
    });
    check(
        &value,
        &expect![[r#"
            /batch: expected a size in bytes | write a whole number with its unit, for example `64KiB` or `1MiB`
            /brokers/1: this address has no usable port 0..3 | write a whole number from 1 to 65535 behind the colon
            /brokers/1: expected an address 8..11 | write host:port, for example `127.0.0.1:9042` or `[::1]:9042`
            /brokers/2: expected text, found a number | put it in quotes
            /compression: unknown value | did you mean `gzip`?
            /labels/a~1b: expected text, found a number | put it in quotes
            /linger: expected a duration | write a number with its unit, for example `100ms`, `10s` or `5m`
            /pair/1: expected a whole number, 255 or less
            /port: expected a whole number, 65535 or less
            /ports/1: expected a whole number, found text
            /ratio: expected a number, found text
            /start/range/from: expected a whole number, 0 or more
            /start/range: `to` is missing (key)
            /tls/cert: unknown key `cert` (key) | known keys: ca, verify, password
            /tls/verify: expected `true` or `false`, found text | yes, no, on and off are text in YAML 1.2
            /tls: `ca` is missing (key) | ca: File with the certificate of the authority.
            /tls: `password` is missing (key) | password: A secret; best given as a reference, ${env:NAME} or ${file:/path}.
            /topc: unknown key `topc` (key) | did you mean `topic`?
        "#]],
    );
}

#[test]
fn fields_missing_in_structs_at_every_depth_are_all_named() {
    check(
        &json!({ "tls": {}, "start": { "range": {} } }),
        &expect![[r#"
            /start/range: `from` is missing (key)
            /start/range: `to` is missing (key)
            /tls: `ca` is missing (key) | ca: File with the certificate of the authority.
            /tls: `verify` is missing (key)
            /tls: `password` is missing (key) | password: A secret; best given as a reference, ${env:NAME} or ${file:/path}.
            `brokers` is missing (key) | brokers: Where the brokers are.
            `topic` is missing (key) | topic: Where records go.
        "#]],
    );
    check(
        &json!({ "tls": { "verify": 3 } }),
        &expect![[r#"
            /tls/verify: expected `true` or `false`, found a number
            /tls: `ca` is missing (key) | ca: File with the certificate of the authority.
            /tls: `password` is missing (key) | password: A secret; best given as a reference, ${env:NAME} or ${file:/path}.
            `brokers` is missing (key) | brokers: Where the brokers are.
            `topic` is missing (key) | topic: Where records go.
        "#]],
    );
}

#[test]
fn text_is_accepted_where_numbers_and_truths_are_wanted() {
    let config: Config = read(&with(json!({
        "port": " 9092 ", "ratio": "0.5", "ports": ["1, 2", "3"], "batch": "64KiB",
        "tls": { "ca": "x", "verify": "true", "password": "1234" },
    })))
    .expect("good");
    assert_eq!(config.port.map(NonZeroU16::get), Some(9092));
    assert_eq!(config.ratio, Some(0.5));
    assert_eq!(config.ports, [1, 2, 3]);
    assert_eq!(config.batch, Some(ByteSize::kib(64)));
    assert!(config.tls.is_some_and(|tls| tls.verify));
}

#[test]
fn an_item_with_commas_is_several_and_a_single_text_is_a_list() {
    let hosts = |value| {
        let config: Config = read(&with(json!({ "brokers": value }))).expect("good");
        config.brokers.iter().map(Endpoint::to_string).collect::<Vec<_>>()
    };
    assert_eq!(hosts(json!(["a:1, b:2", "c:3,"])), ["a:1", "b:2", "c:3"]);
    assert_eq!(hosts(json!("a:1,b:2")), ["a:1", "b:2"]);
    assert_eq!(hosts(json!("a:1")), ["a:1"]);
    assert_eq!(hosts(json!("")), [""; 0]);
}

#[test]
fn a_text_that_is_no_list_keeps_its_commas() {
    let config: Config = read(&with(json!({ "topic": "a,b", "rest": ["a,b", 1.5, null] }))).expect("good");
    assert_eq!(config.topic, "a,b");
    assert_eq!(config.rest, json!(["a,b", 1.5, null]));
}

#[test]
fn variants_are_read_by_name_and_by_shape() {
    let start = |value| read::<Config>(&with(json!({ "start": value }))).expect("good").start;
    assert!(matches!(start(json!("earliest")), Some(Start::Earliest)));
    assert!(
        matches!(start(json!({ "at": "10s" })), Some(Start::At(at)) if at == HumanDuration::from_secs(10))
    );
    assert!(matches!(
        start(json!({ "range": { "from": "1", "to": 2 } })),
        Some(Start::Range { from: 1, to: 2 })
    ));
    check(
        &with(json!({ "start": "latst" })),
        &expect![[r#"
            /start: unknown value | one of: earliest, at, range
        "#]],
    );
    check(
        &with(json!({ "start": { "erliest": 1 }, "compression": ["gzip"] })),
        &expect![[r#"
            /compression: expected a name, found a list | one of: none, gzip, lz4
            /start/erliest: unknown value (key) | did you mean `earliest`?
        "#]],
    );
}

#[test]
fn nothing_below_a_key_is_an_empty_map_or_an_absent_option() {
    let config: Config = read(&with(json!({ "labels": null, "tls": null, "linger": null }))).expect("good");
    assert!(config.labels.is_empty() && config.tls.is_none() && config.linger.is_none());
    check(
        &Value::Null,
        &expect![[r#"
            `brokers` is missing (key) | brokers: Where the brokers are.
            `topic` is missing (key) | topic: Where records go.
        "#]],
    );
}

#[test]
fn numbers_and_lists_where_text_is_wanted_say_what_to_do() {
    check(
        &with(json!({ "topic": 1.1, "linger": 10, "brokers": 9092, "tls": "x", "labels": [] })),
        &expect![[r#"
            /brokers: expected a list, found a number
            /labels: expected a map, found a list
            /linger: the unit is missing | write it behind the number: `ms`, `s`, `m` or `h`
            /tls: expected a map, found text | known keys: ca, verify, password
            /topic: expected text, found a decimal number | put it in quotes
        "#]],
    );
    check(
        &json!([1]),
        &expect![[r#"
            expected a map, found a list | known keys: brokers, topic, compression, linger, batch, tls, port, ratio, start, labels, ports, pair, rest
        "#]],
    );
}

#[test]
fn no_problem_quotes_a_value() {
    let planted = "hunter2";
    for key in [
        "compression",
        "linger",
        "batch",
        "port",
        "ratio",
        "start",
        "labels",
        "ports",
        "pair",
        "tls",
        "brokers",
    ] {
        let value =
            if key == "brokers" { json!([format!("{planted} {planted},ok")]) } else { json!(planted) };
        for problem in problems::<Config>(&with(json!({ key: value }))) {
            assert!(!format!("{problem:?}").contains(planted), "{problem:?}");
        }
    }
    let secret = Secret::from(planted);
    assert!(!format!("{secret:?} {secret}").contains(planted));
    assert_eq!(secret.expose(), planted);
}

#[test]
fn the_number_of_problems_is_bounded() {
    let many: Vec<Value> = (0..500).map(|_| json!("x")).collect();
    assert_eq!(problems::<Config>(&with(json!({ "ports": many }))).len(), 100);
}

fn any_json() -> impl Strategy<Value = Value> {
    const KEYS: [&str; 12] = [
        "brokers", "topic", "linger", "batch", "tls", "ca", "port", "start", "range", "labels", "pair", "x/~",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}|,+|(a:1,? ?)*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let key = proptest::sample::select(&KEYS[..]).prop_map(str::to_owned);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(key, inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_read_every_problem_has_a_place_in_it(value in any_json()) {
        for problem in read::<Config>(&value).err().into_iter().flatten() {
            let place = value.pointer(&problem.pointer);
            prop_assert!(place.is_some(), "{problem}");
            let text = place.and_then(Value::as_str).unwrap_or_default();
            prop_assert!(problem.within.clone().is_none_or(|bytes| text.get(bytes).is_some()), "{problem:?}");
        }
    }
}
