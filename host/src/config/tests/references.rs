//! References are resolved text by text, and what they stand for is never shown.

use std::io;
use std::path::{Path, PathBuf};

use expect_test::expect;
use serde_json::json;

use super::{GOOD, connectors, good, report};
use crate::config::{Lookup, load_texts};

const SECRET: &str = "hunter2!hunter2";

#[test]
fn references_and_defaults_are_resolved_and_kept_as_they_were_written() {
    let text = GOOD
        .replace("[a:1, b:2]", "\"${env:NODES}\"")
        .replace("order-events", "'${env:PREFIX:orders}.${env:EMPTY:x:y}-$${not}'");
    let pipeline = good(&text);
    let sink = &pipeline.sinks[0].sink;
    assert_eq!(sink.config(), &json!({ "brokers": "a:1,b:2", "topic": "orders.x:y-${not}" }));
    assert_eq!(sink.written()["brokers"], "${env:NODES}");
    assert_eq!(pipeline.mask().apply("no broker at b:2"), "no broker at ${env:NODES}");
}

#[test]
fn a_value_can_never_become_yaml() {
    let lookup = |_: &str| Some("x\nsinks: []\n# \" '".to_owned());
    let text = GOOD.replace("order-events", "${env:ANY}");
    let loaded = load_texts([(PathBuf::from("p.yaml"), text)], &connectors::registry(), &lookup);
    assert_eq!(loaded.expect("good")[0].sinks[0].sink.config()["topic"], "x\nsinks: []\n# \" '");
}

#[test]
fn what_cannot_be_resolved_is_told_once_with_its_place() {
    let text = GOOD
        .replace("[a:1, b:2]", "[\"a:1,${env:NOWHERE}\", '${env:EMPTY}']")
        .replace("order-events", "a-${NAME}-${env:9}-${env:X")
        .replace("rate: 10", "rate: 10, \"${env:KEY}\": 1");
    expect![[r#"
        error: a key cannot hold a reference
         --> p.yaml:4:23
          |
        4 |   config: { rate: 10, "${env:KEY}": 1 }
          |                       ^^^^^^^^^^^^
          |
          = help: references are resolved in values only

        error: the environment variable `NOWHERE` is not set
         --> p.yaml:9:22
          |
        9 |       brokers: ["a:1,${env:NOWHERE}", '${env:EMPTY}']
          |                      ^^^^^^^^^^^^^^
          |
          = help: set it, or give a default: `${env:NOWHERE:default}`

        error: the environment variable `EMPTY` is not set
         --> p.yaml:9:40
          |
        9 |       brokers: ["a:1,${env:NOWHERE}", '${env:EMPTY}']
          |                                        ^^^^^^^^^^^^
          |
          = help: set it, or give a default: `${env:EMPTY:default}`

        error: `${NAME}` is no reference
          --> p.yaml:10:16
           |
        10 |       topic: a-${NAME}-${env:9}-${env:X
           |                ^^^^^^^
           |
           = help: write `${env:NAME}`, `${env:NAME:default}` or `${file:/path}`, or `$${` for a plain `${`

        error: `${env:9}` names no environment variable
          --> p.yaml:10:24
           |
        10 |       topic: a-${NAME}-${env:9}-${env:X
           |                        ^^^^^^^^
           |
           = help: a name has letters, digits and `_`, and does not begin with a digit

        error: this reference does not end
          --> p.yaml:10:33
           |
        10 |       topic: a-${NAME}-${env:9}-${env:X
           |                                 ^^^^^^^
           |
           = help: close it with `}`, or write `$${` for a plain `${`

        6 problems in 1 file"#]]
    .assert_eq(&report(&text).to_string());
}

#[test]
fn a_secret_with_a_fault_shows_as_its_reference_everywhere() {
    let reference = "\"${env:PASSWORD}\"";
    let places = [
        ("name: orders", format!("name: {reference}")),
        ("rate: 10", format!("rate: {reference}")),
        ("rate: 10", format!("rate: 10, window: {reference}")),
        ("connector: broker", format!("connector: {reference}")),
        ("[a:1, b:2]", "[\"x y,${env:PASSWORD}:x\"]".to_owned()),
        // The connector's own check quotes this one.
        ("order-events", "\"{${env:PASSWORD}\"".to_owned()),
        ("topic:", format!("compression: {reference}\n      topic:")),
        ("topic:", format!("buffer: {reference}\n      topic:")),
        ("topic:", format!("tls: {{ verify: {reference} }}\n      topic:")),
        ("topic:", format!("tls: {reference}\n      topic:")),
        ("sinks:", format!("checkpoint: {{ store: {reference}, interval: {reference} }}\nsinks:")),
        ("connector: broker", format!("retry: {{ on_exhausted: {reference} }}\n    connector: broker")),
    ];
    for (part, fault) in places {
        let report = report(&GOOD.replace(part, &fault));
        for shown in [report.to_string(), report.styled(), report.to_json().to_string()] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        assert!(report.to_string().contains("${env:PASSWORD}"), "{report}");
    }
}

#[test]
fn debug_shows_references_as_they_were_written() {
    let pipeline = good(
        &GOOD.replace("topic:", "tls: { ca: x, verify: true, password: \"${env:PASSWORD}\" }\n      topic:"),
    );
    assert_eq!(pipeline.sinks[0].sink.config()["tls"]["password"], SECRET);
    let shown = format!("{pipeline:?}");
    assert!(shown.contains("${env:PASSWORD}") && !shown.contains(SECRET), "{shown}");
}

struct Files;

impl Lookup for Files {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        match path.to_str() {
            Some("/run/secrets/topic") => Ok("from-a-file\r\n".to_owned()),
            Some("conf/topic") => Ok("from-beside".to_owned()),
            Some("/empty") => Ok("\n".to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

#[test]
fn files_are_read_whole_without_their_last_newline_and_relative_to_the_pipeline_file() {
    let load = |topic: &str| {
        let text = GOOD.replace("order-events", topic);
        load_texts([(PathBuf::from("conf/p.yaml"), text)], &connectors::registry(), &Files)
    };
    let topic = |written: &str| load(written).expect("good")[0].sinks[0].sink.config()["topic"].clone();
    assert_eq!(topic("${file:/run/secrets/topic}"), "from-a-file");
    assert_eq!(topic("${file:topic}"), "from-beside");
    let report = load("${file:/gone}${file:/empty}${file:}").expect_err("faults");
    expect![[r#"
        error: `/gone` cannot be used: there is no such file
          --> conf/p.yaml:10:14
           |
        10 |       topic: ${file:/gone}${file:/empty}${file:}
           |              ^^^^^^^^^^^^^
           |
           = help: the file must be there, hold text, and be readable by the user that runs weir

        error: `/empty` cannot be used: it is empty
          --> conf/p.yaml:10:27
           |
        10 |       topic: ${file:/gone}${file:/empty}${file:}
           |                           ^^^^^^^^^^^^^^
           |
           = help: the file must be there, hold text, and be readable by the user that runs weir

        error: this reference names no file
          --> conf/p.yaml:10:41
           |
        10 |       topic: ${file:/gone}${file:/empty}${file:}
           |                                         ^^^^^^^^
           |
           = help: write `${file:/path}`

        3 problems in 1 file"#]]
    .assert_eq(&report.to_string());
}
