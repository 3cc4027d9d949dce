//! YAML that surprises: what is no text, no UTF-8, no YAML, or too much of it.

use std::fmt::Write;

use expect_test::expect;

use super::{GOOD, good, load, report};

fn topic(written: &str) -> String {
    GOOD.replace("order-events", written)
}

#[test]
fn text_is_taken_as_it_was_written_or_asked_to_be_quoted() {
    for (written, read) in [
        ("0755", "0755"),
        ("1_000", "1_000"),
        ("yes", "yes"),
        ("no", "no"),
        ("off", "off"),
        ("2024-01-01", "2024-01-01"),
        ("12:30:45", "12:30:45"),
        (".inf", ".inf"),
        ("\"1.10\"", "1.10"),
        ("'true'", "true"),
        ("!!str 12", "12"),
        ("|-\n        two\n        lines", "two\nlines"),
        (">-\n        one\n        line", "one line"),
    ] {
        assert_eq!(good(&topic(written)).sinks[0].sink.config()["topic"], read, "{written}");
    }
    for written in ["1.10", "12", "true", "1e3", "99999999999999999999999"] {
        let shown = report(&topic(written)).to_string();
        assert!(
            shown.contains("expected text, found") && shown.contains("help: put it in quotes"),
            "{shown}"
        );
    }
    for written in ["", "~", "null"] {
        let shown = report(&topic(written)).to_string();
        assert!(shown.contains("expected text, found no value"), "{shown}");
    }
}

#[test]
fn windows_line_ends_and_byte_order_marks_change_nothing() {
    let text = format!("\u{feff}{}", GOOD.replace('\n', "\r\n"));
    assert_eq!(good(&text).sinks[0].sink.config()["topic"], "order-events");
    expect![[r#"
        error: expected a whole number, 0 or more
         --> p.yaml:4:19
          |
        4 |   config: { rate: -1 }
          |                   ^^

        1 problem in 1 file"#]]
    .assert_eq(&report(&text.replace("rate: 10", "rate: -1")).to_string());
}

#[test]
fn letters_of_any_alphabet_keep_columns_right() {
    let text = GOOD.replace("config: { rate: 10 }", "config: { \"größe 🔑\": 1, rate: -1 }");
    expect![[r#"
        error: unknown key `größe 🔑`
         --> p.yaml:4:13
          |
        4 |   config: { "größe 🔑": 1, rate: -1 }
          |             ^^^^^^^^^^
          |
          = help: known keys: rate, window

        error: expected a whole number, 0 or more
         --> p.yaml:4:33
          |
        4 |   config: { "größe 🔑": 1, rate: -1 }
          |                                  ^^

        2 problems in 1 file"#]]
    .assert_eq(&report(&text).to_string());
}

#[test]
fn anchors_and_merges_are_followed_and_shown_where_they_are_used() {
    let text = GOOD.replace("{ rate: 10 }", "&c { rate: 10 }").to_owned()
        + "  - { name: two, connector: broker, config: *c }\n";
    expect![[r#"
        error: `brokers` is missing
          --> p.yaml:11:37
           |
        11 |   - { name: two, connector: broker, config: *c }
           |                                     ^^^^^^
           |
           = help: brokers: Where the brokers are.

        error: `topic` is missing
          --> p.yaml:11:37
           |
        11 |   - { name: two, connector: broker, config: *c }
           |                                     ^^^^^^
           |
           = help: topic: Where records go.

        error: unknown key `rate`
          --> p.yaml:11:45
           |
        11 |   - { name: two, connector: broker, config: *c }
           |                                             ^^
           |
           = help: known keys: brokers, topic, compression, buffer, retries, tls

        3 problems in 1 file"#]]
    .assert_eq(&report(&text).to_string());
    let merged = GOOD.replace("    config:", "    config: &b")
        + "  - name: two\n    connector: broker\n    config: { <<: *b, topic: other }\n";
    assert_eq!(good(&merged).sinks[1].sink.config()["topic"], "other");
    assert_eq!(good(&merged).sinks[1].sink.config()["brokers"][1], "b:2");
}

#[test]
fn what_is_no_yaml_is_said_with_its_place() {
    let texts = [
        ("tab.yaml", "name: a\nsource:\n\tconnector: clock\n".to_owned()),
        ("open.yaml", "name: [a\nsource: {\n".to_owned()),
        ("quote.yaml", "name: \"a\n".to_owned()),
        ("twice.yaml", GOOD.to_owned() + "name: again\n"),
        ("two.yaml", format!("{GOOD}---\n{GOOD}")),
        ("alias.yaml", "name: *gone\n".to_owned()),
        ("colon.yaml", "name: a: b\n".to_owned()),
        ("indent.yaml", "name: a\n  source: b\n".to_owned()),
        ("tag.yaml", "name: !vault a\n".to_owned()),
        ("keys.yaml", "name: a\n[1, 2]: b\n".to_owned()),
    ];
    let texts: Vec<(&str, &str)> = texts.iter().map(|(path, text)| (*path, text.as_str())).collect();
    expect![[r#"
        error: tabs disallowed within this context (block indentation)
         --> tab.yaml:3:2
          |
        3 |     connector: clock
          |     ^
          |
          = help: YAML is indented with spaces, not with tabs

        error: illegal placement of ':' indicator
         --> open.yaml:2:7
          |
        2 | source: {
          |       ^

        error: invalid indentation in multiline quoted scalar
         --> quote.yaml:1:10
          |
        1 | name: "a
          |         ^

        error: duplicate mapping key `name` is not allowed here
          --> twice.yaml:11:1
           |
        11 | name: again
           | ^^^^

        error: only single YAML document expected but multiple found
          --> two.yaml:12:1
           |
        12 | name: orders
           | ^

        error: reference to unknown value
         --> alias.yaml:1:7
          |
        1 | name: *gone
          |       ^

        error: mapping values are not allowed in this context
         --> colon.yaml:1:8
          |
        1 | name: a: b
          |        ^

        error: mapping values are not allowed in this context
         --> indent.yaml:2:9
          |
        2 |   source: b
          |         ^

        error: unsupported tag `!vault`
         --> tag.yaml:1:14
          |
        1 | name: !vault a
          |              ^

        error: a key must be text
         --> keys.yaml:2:1
          |
        2 | [1, 2]: b
          | ^

        10 problems in 10 files"#]]
    .assert_eq(&load(&texts).expect_err("faults").to_string());
}

#[test]
fn an_empty_file_and_one_that_is_no_map_say_what_a_pipeline_is() {
    let report = load(&[
        ("empty.yaml", ""),
        ("comment.yaml", "# nothing\n"),
        ("list.yaml", "- a\n"),
        ("text.yaml", "hello\n"),
    ]);
    expect![[r#"
        error: this file is empty
         --> empty.yaml:1:1
          |
        1 |
          | ^
          |
          = help: a pipeline has a `name`, a `source` and `sinks`

        error: this file is empty
         --> comment.yaml:1:1
          |
        1 | # nothing
          | ^
          |
          = help: a pipeline has a `name`, a `source` and `sinks`

        error: expected a map, found a list
         --> list.yaml:1:1
          |
        1 | - a
          | ^
          |
          = help: known keys: name, source, transforms, sinks, dead_letter, checkpoint

        error: expected a map, found text
         --> text.yaml:1:1
          |
        1 | hello
          | ^^^^^
          |
          = help: known keys: name, source, transforms, sinks, dead_letter, checkpoint

        4 problems in 4 files"#]]
    .assert_eq(&report.expect_err("faults").to_string());
}

#[test]
fn too_much_is_refused_quickly() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, below) in ('b'..='j').zip('a'..) {
        let items = vec![format!("*{below}"); 10].join(", ");
        writeln!(bomb, "{name}: &{name} [{items}]").expect("text grows");
    }
    let deep = format!("name: {}{}", "[".repeat(5_000), "]".repeat(5_000));
    let wide = format!("name: [{}]", "x, ".repeat(100_000));
    for text in [bomb, deep, wide] {
        let shown = report(&text).to_string();
        assert!(shown.ends_with("1 problem in 1 file") && shown.len() < 2_000, "{}", shown.len());
    }
}
