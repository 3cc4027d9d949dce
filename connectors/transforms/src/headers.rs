//! `headers`: headers dropped, renamed and set.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::config::{Problem, child};
use weir_sdk::{Error, Header, HeaderName, Record, Transform, TransformConnector};

/// The headers transform.
#[derive(Clone, Copy, Debug)]
pub struct Headers;

/// Drops, renames and sets headers, in this order, all names meaning those that the record came with.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeadersConfig {
    /// Headers that are taken away.
    #[serde(default)]
    drop: Vec<String>,
    /// Headers that get another name, `old: new`. One that had the new name before makes way.
    #[serde(default)]
    rename: BTreeMap<String, String>,
    /// Headers that get this value, whether they were there or not.
    #[serde(default)]
    set: BTreeMap<String, String>,
}

impl TransformConnector for Headers {
    const NAME: &'static str = "headers";
    type Config = HeadersConfig;

    fn check(&self, config: &HeadersConfig) -> Vec<Problem> {
        let mut problems = Vec::new();
        if config.drop.is_empty() && config.rename.is_empty() && config.set.is_empty() {
            problems.push(Problem::at_key("", "nothing to do").help("write `drop`, `rename` or `set`"));
        }
        let mut taken = BTreeSet::new();
        for (old, new) in &config.rename {
            let place = child("/rename", old);
            if old.is_empty() || new.is_empty() {
                problems.push(Problem::at_key(&place, "a header has a name"));
            } else if config.drop.contains(old) {
                let help = "a header is either dropped or renamed";
                problems.push(Problem::at_key(&place, "this header is also dropped").help(help));
            } else if !taken.insert(new) {
                problems.push(Problem::new(&place, "another header gets this name too"));
            }
        }
        for name in config.set.keys() {
            let place = child("/set", name);
            if name.is_empty() {
                problems.push(Problem::at_key(&place, "a header has a name"));
            } else if taken.contains(name) {
                let help = "`set` comes last and would replace it";
                problems
                    .push(Problem::at_key(&place, "another header gets this name by `rename`").help(help));
            }
        }
        problems
    }

    fn build(&self, config: HeadersConfig) -> Result<Arc<dyn Transform>, Error> {
        let problems = self.check(&config);
        if !problems.is_empty() {
            return Err(Error::config(problems));
        }
        let rename = config.rename.into_iter().map(|(old, new)| (old, HeaderName::from(new)));
        let set = config.set.into_iter().map(|(name, value)| (HeaderName::from(name), value));
        Ok(Arc::new(Change { drop: config.drop, rename: rename.collect(), set: set.collect() }))
    }
}

struct Change {
    drop: Vec<String>,
    rename: Vec<(String, HeaderName)>,
    set: Vec<(HeaderName, String)>,
}

impl Change {
    /// What becomes of a header: its name from now on, or nothing.
    fn name<'a>(&'a self, header: Header<'a>, all: &weir_sdk::Headers) -> Option<&'a HeaderName> {
        let name = header.name.as_str();
        let is_there = |old: &str| all.iter().any(|header| header.name.as_str() == old);
        if let Some((_, new)) = self.rename.iter().find(|(old, _)| old == name) {
            return Some(new);
        }
        let dropped = self.drop.iter().any(|dropped| dropped == name);
        let set = self.set.iter().any(|(set, _)| set == header.name);
        let replaced = self.rename.iter().any(|(old, new)| new == header.name && is_there(old));
        (!dropped && !set && !replaced).then_some(header.name)
    }

    /// A record that has none of the names keeps the list that it shares with others.
    fn touches(&self, headers: &weir_sdk::Headers) -> bool {
        let named = |header: Header<'_>| {
            let name = header.name.as_str();
            self.drop.iter().any(|dropped| dropped == name) || self.rename.iter().any(|(old, _)| old == name)
        };
        !self.set.is_empty() || headers.iter().any(named)
    }
}

impl Transform for Change {
    fn apply(&self, mut record: Record, out: &mut Vec<Record>) -> Result<(), Error> {
        if self.touches(&record.headers) {
            let before = &record.headers;
            let kept = before.iter().filter_map(|header| {
                let name = self.name(header, before)?;
                Some(Header { name, ..header })
            });
            let set = self.set.iter().map(|(name, value)| Header { name, value: Some(value.as_bytes()) });
            record.headers = kept.chain(set).collect();
        }
        out.push(record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::{Value, json};
    use weir_sdk::testing::{RecordExt as _, record};

    use super::Headers;
    use crate::tests::{made, problems};

    fn changed(config: Value) -> String {
        let before = record("k", "v").header("a", "1").header("b", "2").header("a", "3").header("c", "4");
        let made = made(Headers, config, before.clone());
        let [after] = &made[..] else { panic!("one record: {made:?}") };
        assert_eq!((&after.key, &after.value, &after.origin), (&before.key, &before.value, &before.origin));
        let text = |header: weir_sdk::Header<'_>| {
            let value = header.value.unwrap_or_default();
            format!("{}={}", header.name.as_str(), String::from_utf8_lossy(value))
        };
        after.headers.iter().map(text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn headers_are_dropped_renamed_and_set() {
        assert_eq!(changed(json!({ "drop": ["a", "x"] })), "b=2 c=4");
        assert_eq!(changed(json!({ "drop": "a,b" })), "c=4");
        assert_eq!(changed(json!({ "rename": { "b": "type", "x": "y" } })), "a=1 type=2 a=3 c=4");
        assert_eq!(changed(json!({ "set": { "c": "new", "d": "more" } })), "a=1 b=2 a=3 c=new d=more");
        let all = json!({ "drop": ["b"], "rename": { "c": "b" }, "set": { "source": "orders" } });
        assert_eq!(changed(all), "a=1 a=3 b=4 source=orders");
    }

    #[test]
    fn a_renamed_header_replaces_one_of_its_new_name_and_names_may_be_exchanged() {
        assert_eq!(changed(json!({ "rename": { "b": "a" } })), "a=2 c=4");
        assert_eq!(changed(json!({ "rename": { "x": "a" } })), "a=1 b=2 a=3 c=4");
        assert_eq!(changed(json!({ "rename": { "b": "c", "c": "b" } })), "a=1 c=2 a=3 b=4");
        assert_eq!(
            changed(json!({ "rename": { "b": "old" }, "set": { "b": "new" } })),
            "a=1 old=2 a=3 c=4 b=new"
        );
    }

    #[test]
    fn contradictions_are_told_with_their_places() {
        let told = problems(
            Headers,
            &[
                json!({}),
                json!({ "drop": ["a"], "rename": { "a": "b", "c": "d", "e": "d", "": "x" } }),
                json!({ "rename": { "a": "b" }, "set": { "b": "1", "": "2", "n": 3 } }),
                json!({ "rename": { "a": "b" }, "set": { "b": "1", "": "2" } }),
                json!({ "remove": ["a"] }),
            ],
        );
        expect![[r#"
            {}
              nothing to do | write `drop`, `rename` or `set`
            {"drop":["a"],"rename":{"":"x","a":"b","c":"d","e":"d"}}
              /rename/: a header has a name
              /rename/a: this header is also dropped | a header is either dropped or renamed
              /rename/e: another header gets this name too
            {"rename":{"a":"b"},"set":{"":"2","b":"1","n":3}}
              /set/n: expected text, found a number | put it in quotes
            {"rename":{"a":"b"},"set":{"":"2","b":"1"}}
              /set/: a header has a name
              /set/b: another header gets this name by `rename` | `set` comes last and would replace it
            {"remove":["a"]}
              /remove: unknown key `remove` | known keys: drop, rename, set
        "#]]
        .assert_eq(&told);
    }
}
