//! Every problem of every file in one report, each with its place and what to do.

use std::path::PathBuf;
use std::time::Duration;

use expect_test::{expect, expect_file};
use weir_sdk::config::Problem;

use crate::task::dead_letters::OnRecordError;

use super::{GOOD, connectors, env, good, load, report};
use crate::config;

#[test]
fn a_file_without_faults_becomes_a_pipeline_with_the_defaults() {
    let pipeline = good(GOOD);
    assert_eq!((pipeline.name.as_str(), pipeline.sinks.len()), ("orders", 1));
    assert_eq!(pipeline.source.connector, "clock");
    let settings = &pipeline.sinks[0].settings;
    assert_eq!((settings.lanes, settings.batch_records, settings.batch_bytes), (8, 2000, 2 << 20));
    assert_eq!(settings.in_flight_bytes, 64 << 20);
    assert_eq!(settings.checkpoint_interval, Duration::from_millis(200));
    assert_eq!(settings.middleware.timeout, Duration::from_secs(10));
    assert_eq!(settings.retry_failed, Duration::from_secs(300));
    let retry = &settings.middleware.retry;
    assert_eq!((retry.initial, retry.max), (Duration::from_millis(100), Duration::from_secs(30)));
    assert_eq!((retry.attempts, retry.factor), (5, 2.0));
    assert!(pipeline.dead_letter.is_none());
}

#[test]
fn a_place_for_dead_letters_is_the_default_of_every_sink() {
    let block = "dead_letter:\n  connector: broker\n  config: { brokers: [a:1], topic: dead }\n";
    let pipeline = good(&(GOOD.to_owned() + block));
    let place = pipeline.dead_letter.expect("a place");
    assert_eq!((place.sink.connector.as_str(), place.limit.failures), ("broker", 100));
    assert_eq!(place.limit.window, Duration::from_secs(60));
    assert_eq!(
        place.middleware, pipeline.sinks[0].settings.middleware,
        "the same stack with the same defaults"
    );
    assert_eq!(pipeline.sinks[0].on_record_error, OnRecordError::DeadLetter);
    let pipeline = good(&(GOOD.to_owned() + "    on_record_error: stop\n" + block));
    assert_eq!(pipeline.sinks[0].on_record_error, OnRecordError::Stop);
}

#[test]
fn every_planted_problem_of_a_file_is_reported_in_one_run() {
    let report = report(include_str!("planted.yaml"));
    assert_eq!(report.len(), 23);
    expect_file!["planted.stderr"].assert_eq(&report.to_string());
}

#[test]
fn the_problems_of_all_files_come_in_one_report_in_the_order_of_the_files() {
    let second = GOOD.replace("rate: 10", "rate: -1");
    let third = GOOD.replace("name: orders", "name: Orders").replace("topic: order-events", "");
    let report = load(&[("a.yaml", GOOD), ("b.yaml", &second), ("c.yaml", &third), ("d.yaml", "a: [")]);
    expect![[r#"
        error: another pipeline has this name
         --> b.yaml:1:7
          |
        1 | name: orders
          |       ^^^^^^
          |
          = help: the other one is a.yaml

        error: expected a whole number, 0 or more
         --> b.yaml:4:19
          |
        4 |   config: { rate: -1 }
          |                   ^^

        error: another pipeline has this name
         --> c.yaml:1:7
          |
        1 | name: Orders
          |       ^^^^^^
          |
          = help: the other one is a.yaml

        error: `topic` is missing
         --> c.yaml:8:5
          |
        8 |     config:
          |     ^^^^^^
          |
          = help: topic: Where records go.

        error: unclosed bracket '['
         --> d.yaml:1:4
          |
        1 | a: [
          |    ^

        5 problems in 3 files"#]]
    .assert_eq(&report.expect_err("faults").to_string());
}

#[test]
fn dead_letters_need_a_place_and_have_none_of_their_own() {
    let text = GOOD.to_owned()
        + "    retry: { on_exhausted: dead_letter }\n    on_record_error: dead_letter\n  - name: other\n    connector: broker\n    config: { brokers: [a:1], topic: t }\n    on_record_error: stop\n";
    expect![[r#"
        error: this pipeline has no place for dead letters
          --> p.yaml:11:28
           |
        11 |     retry: { on_exhausted: dead_letter }
           |                            ^^^^^^^^^^^
           |
           = help: add a `dead_letter` block with a `connector` at the top of the file

        error: this pipeline has no place for dead letters
          --> p.yaml:12:22
           |
        12 |     on_record_error: dead_letter
           |                      ^^^^^^^^^^^
           |
           = help: add a `dead_letter` block with a `connector` at the top of the file

        2 problems in 1 file"#]]
    .assert_eq(&report(&text).to_string());
    let block = "dead_letter:\n  connector: clock\n  limit: { failures: 0, window: 0s }\n  retry: { on_exhausted: dead_letter, max: 1ms }\n  lanes: 3\n";
    expect![[r#"
        error: this connector is a source, not a sink
          --> p.yaml:18:14
           |
        18 |   connector: clock
           |              ^^^^^
           |
           = help: sink connectors: broker

        error: expected a whole number other than 0
          --> p.yaml:19:22
           |
        19 |   limit: { failures: 0, window: 0s }
           |                      ^

        error: expected a duration longer than `0s`
          --> p.yaml:19:33
           |
        19 |   limit: { failures: 0, window: 0s }
           |                                 ^^

        error: dead letters have no dead letters of their own
          --> p.yaml:20:26
           |
        20 |   retry: { on_exhausted: dead_letter, max: 1ms }
           |                          ^^^^^^^^^^^
           |
           = help: write `park` to wait, or `stop` to stop the task

        error: `max` is less than `initial`
          --> p.yaml:20:44
           |
        20 |   retry: { on_exhausted: dead_letter, max: 1ms }
           |                                            ^^^
           |
           = help: it is 30s where it is not written

        error: unknown key `lanes`
          --> p.yaml:21:3
           |
        21 |   lanes: 3
           |   ^^^^^
           |
           = help: known keys: connector, config, limit, retry, circuit_breaker, timeout

        6 problems in 1 file"#]]
    .assert_eq(&report(&(text + block)).to_string());
}

#[test]
fn a_connector_of_the_wrong_kind_or_of_no_name_says_what_there_is() {
    let text = GOOD
        .replace("connector: broker", "connector: clock")
        .replace("connector: clock\n  c", "connector:\n  c");
    expect![[r#"
        error: expected text, found no value
         --> p.yaml:3:3
          |
        3 |   connector:
          |   ^^^^^^^^^
          |
          = help: give it a value, or remove the key

        error: this connector is a source, not a sink
         --> p.yaml:7:16
          |
        7 |     connector: clock
          |                ^^^^^
          |
          = help: sink connectors: broker

        2 problems in 1 file"#]]
    .assert_eq(&report(&text).to_string());
}

#[test]
fn transforms_keep_their_order_and_each_checks_its_own_block() {
    let text = GOOD.to_owned()
        + "transforms:
  - transform: pick
    config: { header: b, words: 'x,y' }
  - { transform: pick, config: { header: a } }
";
    let pipeline = good(&text);
    let headers: Vec<_> = pipeline.transforms.iter().map(|block| block.config()["header"].clone()).collect();
    assert_eq!(headers, ["b", "a"]);
    assert!(good(GOOD).transforms.is_empty());

    let text = text.replace("header: a", "headr: a").replace("header: b", "header: b b")
        + "  - transform: pikc
  - filter: { header: a }
  - pick
";
    expect![[r#"
        error: a header has no blanks
          --> p.yaml:13:23
           |
        13 |     config: { header: b b, words: 'x,y' }
           |                       ^^^

        error: unknown key `headr`
          --> p.yaml:14:34
           |
        14 |   - { transform: pick, config: { headr: a } }
           |                                  ^^^^^
           |
           = help: did you mean `header`?

        error: there is no such transform
          --> p.yaml:15:16
           |
        15 |   - transform: pikc
           |                ^^^^
           |
           = help: did you mean `pick`?

        error: unknown key `filter`
          --> p.yaml:16:5
           |
        16 |   - filter: { header: a }
           |     ^^^^^^
           |
           = help: known keys: transform, config

        error: `transform` is missing
          --> p.yaml:16:5
           |
        16 |   - filter: { header: a }
           |     ^^^^^^
           |
           = help: transform: The transform.

        error: expected a map, found text
          --> p.yaml:17:5
           |
        17 |   - pick
           |     ^^^^
           |
           = help: known keys: transform, config

        6 problems in 1 file"#]]
    .assert_eq(&report(&text).to_string());
}

#[test]
fn a_connector_s_own_check_points_into_the_text() {
    let text = GOOD.replace("topic: order-events", "topic: \"orders.{event_type\"");
    expect![[r#"
        error: the field in `orders.{event_type` does not end
          --> p.yaml:10:22
           |
        10 |       topic: "orders.{event_type"
           |                      ^^^^^^^^^^^
           |
           = help: close it with `}`

        1 problem in 1 file"#]]
    .assert_eq(&report(&text).to_string());
}

#[test]
fn problems_found_when_a_connector_opens_are_shown_in_the_file_too() {
    let pipeline = good(GOOD);
    let problem = Problem::new("/topic", "there is no such topic").help("create it");
    let report = pipeline.report(&pipeline.sinks[0].sink, &[problem]);
    expect![[r#"
        error: there is no such topic
          --> p.yaml:10:14
           |
        10 |       topic: order-events
           |              ^^^^^^^^^^^^
           |
           = help: create it

        1 problem in 1 file"#]]
    .assert_eq(&report.to_string());
}

#[test]
fn programs_get_lines_columns_and_pointers() {
    let json = report(&GOOD.replace("rate: 10", "rate: -1")).to_json();
    expect![[r#"
        {
          "problems": [
            {
              "column": 19,
              "file": "p.yaml",
              "help": null,
              "line": 4,
              "message": "expected a whole number, 0 or more",
              "pointer": "/source/config/rate"
            }
          ]
        }"#]]
    .assert_eq(&format!("{json:#}"));
}

#[test]
fn files_and_folders_are_found_and_what_is_none_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let registry = connectors::registry();
    let load = |paths: &[PathBuf]| config::load(paths, &registry, &env);
    std::fs::create_dir(at("empty")).expect("a folder");
    std::fs::write(at("b.yml"), GOOD.replace("orders", "two")).expect("written");
    std::fs::write(at("a.yaml"), GOOD).expect("written");
    std::fs::write(at(".hidden.yaml"), "no pipeline").expect("written");
    std::fs::write(at("notes.txt"), "no pipeline").expect("written");

    let pipelines =
        load(&[folder.path().to_owned(), at("a.yaml")]).expect("two files, one of them named twice");
    let names: Vec<&str> = pipelines.iter().map(|pipeline| pipeline.name.as_str()).collect();
    assert_eq!(names, ["orders", "two"]);
    assert_eq!(pipelines[1].path(), at("b.yml"));

    std::fs::write(at("c.yaml"), b"name: \xff").expect("written");
    let report = load(&[at("empty"), at("missing.yaml"), at("c.yaml")]).expect_err("faults");
    let shown = report.to_string().replace(&*folder.path().to_string_lossy(), "DIR");
    expect![[r#"
        error: this folder has no pipeline files
        --> DIR/empty
         = help: its own *.yaml and *.yml files are read, not those of folders in it

        error: this file cannot be read: there is no such file
        --> DIR/missing.yaml

        error: this is not text (UTF-8)
         --> DIR/c.yaml:1:7
          |
        1 | name: �
          |       ^
          |
          = help: save the file as UTF-8

        3 problems in 3 files"#]]
    .assert_eq(&shown);
}
