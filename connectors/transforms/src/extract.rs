//! `extract`: fields of a JSON payload as key, headers and time.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::config::{Problem, child};
use weir_sdk::{Error, ErrorKind, HeaderName, Record, Timestamp, Transform, TransformConnector};

use crate::json::{JsonPath, Lookup, Written};

/// The extract transform.
#[derive(Clone, Copy, Debug)]
pub struct Extract;

/// Takes fields of a JSON payload as key, headers and time of the record; the payload stays as it is. A text is taken
/// without its quotes, anything else as it is written.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtractConfig {
    /// What becomes the key. From here on order is kept by this key.
    key: Option<JsonPath>,
    /// What becomes headers, `name: $.path`.
    #[serde(default)]
    headers: BTreeMap<String, JsonPath>,
    /// What becomes the time: text as in RFC 3339 (`2026-01-31T12:00:00Z`), or a number since 1970.
    timestamp: Option<JsonPath>,
    /// What a number counts.
    #[serde(default)]
    timestamp_unit: Unit,
    /// What happens to a record that lacks one of the fields.
    #[serde(default)]
    missing: Missing,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Unit {
    /// Seconds.
    S,
    /// Milliseconds.
    #[default]
    Ms,
    /// Microseconds.
    Us,
}

/// What happens to a record that lacks a field.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Missing {
    /// It is refused, as at fault itself.
    #[default]
    Refuse,
    /// It keeps the key, header or time that it came with.
    Keep,
}

impl TransformConnector for Extract {
    const NAME: &'static str = "extract";
    type Config = ExtractConfig;

    fn check(&self, config: &ExtractConfig) -> Vec<Problem> {
        let mut problems = Vec::new();
        if config.key.is_none() && config.headers.is_empty() && config.timestamp.is_none() {
            let help = "write `key`, `headers` or `timestamp`, each with a path such as `$.order_id`";
            problems.push(Problem::at_key("", "nothing to take").help(help));
        }
        if config.headers.contains_key("") {
            problems.push(Problem::at_key(child("/headers", ""), "a header has a name"));
        }
        problems
    }

    fn build(&self, config: ExtractConfig) -> Result<Arc<dyn Transform>, Error> {
        let problems = self.check(&config);
        if !problems.is_empty() {
            return Err(Error::config(problems));
        }
        let key = config.key.map(|path| (path, Target::Key));
        let headers =
            config.headers.into_iter().map(|(name, path)| (path, Target::Header(HeaderName::from(name))));
        let timestamp = config.timestamp.map(|path| (path, Target::Timestamp(config.timestamp_unit)));
        let (mut lookup, mut parts) = (Lookup::default(), Vec::new());
        for (path, target) in key.into_iter().chain(headers).chain(timestamp) {
            // Parts stand in the order of the look-up's numbers.
            lookup.add(&path);
            parts.push((path, target));
        }
        Ok(Arc::new(Take { lookup, parts, missing: config.missing }))
    }
}

struct Take {
    lookup: Lookup,
    parts: Vec<(JsonPath, Target)>,
    missing: Missing,
}

enum Target {
    Key,
    Header(HeaderName),
    Timestamp(Unit),
}

impl Take {
    fn take(&self, record: &mut Record) -> Result<(), Error> {
        let payload = record.value.clone().unwrap_or_default();
        let found = self.lookup.find(record.value.is_some().then_some(&payload))?;
        for ((path, target), written) in self.parts.iter().zip(found) {
            let Some(written) = written else {
                match self.missing {
                    Missing::Keep => continue,
                    Missing::Refuse => return Err(missing(path)),
                }
            };
            match target {
                Target::Key => record.key = Some(bytes(&payload, written)?),
                Target::Header(name) => record.headers.set(name.clone(), bytes(&payload, written)?),
                Target::Timestamp(unit) => {
                    record.timestamp = time(written, *unit)?.ok_or_else(|| no_time(path))?;
                }
            }
        }
        Ok(())
    }
}

fn missing(path: &JsonPath) -> Error {
    Error::new(ErrorKind::Record, format!("`{path}` is missing in the payload"))
        .advice("write `missing: keep` where a record may lack it")
}

fn no_time(path: &JsonPath) -> Error {
    Error::new(ErrorKind::Record, format!("`{path}` of the payload is no time")).advice(
        "a time is text such as `2026-01-31T12:00:00Z`, or a number that counts `timestamp_unit` since 1970",
    )
}

/// The value as a slice of the payload, wherever it stands there letter by letter.
fn bytes(payload: &Bytes, written: Written<'_>) -> Result<Bytes, Error> {
    Ok(match written.text()? {
        Cow::Borrowed(text) => payload.slice_ref(text.as_bytes()),
        Cow::Owned(text) => Bytes::from(text),
    })
}

/// The time that is written there, if it is one, between the years -9999 and 9999.
fn time(written: Written<'_>, unit: Unit) -> Result<Option<Timestamp>, Error> {
    let text = written.text()?;
    let time = if written.is_text() {
        text.parse::<jiff::Timestamp>().ok()
    } else {
        micros(&text, unit).and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok())
    };
    Ok(time.map(|time| Timestamp(time.as_microsecond())))
}

fn micros(number: &str, unit: Unit) -> Option<i64> {
    let micros_each = match unit {
        Unit::S => 1_000_000,
        Unit::Ms => 1000,
        Unit::Us => 1,
    };
    if let Ok(whole) = number.parse::<i64>() {
        return whole.checked_mul(micros_each);
    }
    let micros = number.parse::<f64>().ok()? * micros_each as f64;
    // Far inside what an i64 holds, and far outside what a calendar knows.
    (micros.abs() < 1e18).then_some(micros.round() as i64)
}

impl Transform for Take {
    fn apply(&self, mut record: Record, out: &mut Vec<Record>) -> Result<(), Error> {
        self.take(&mut record).map_err(|error| error.context(Extract::NAME))?;
        out.push(record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
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
            assert_eq!(error.to_string(), "extract: `$.at` of the payload is no time", "{at}");
        }
    }

    #[test]
    fn a_record_that_lacks_a_field_is_refused_or_keeps_what_it_has() {
        let strict = json!({ "key": "$.order.id", "headers": { "x": "$.x" } });
        for lacking in [record("k", ORDER), record("k", r#"{"order":{"id":"1"},"x":null}"#)] {
            let error = refused(Extract, strict.clone(), lacking);
            assert_eq!(error.to_string(), "extract: `$.x` is missing in the payload");
        }
        assert!(refused(Extract, strict, tombstone("k")).to_string().contains("`$.order.id` is missing"));
        let lenient =
            json!({ "key": "$.order.id", "headers": { "x": "$.x" }, "timestamp": "$.y", "missing": "keep" });
        let before = tombstone("k").header("x", "1").micros(7);
        assert_eq!(one(lenient.clone(), before.clone()), before);
        assert_eq!(one(lenient.clone(), record("k", ORDER)).key.as_deref(), Some(&b"o-1"[..]));
        let error = refused(Extract, lenient, record("k", "hunter2"));
        assert_eq!(error.to_string(), "extract: the payload is not JSON, as line 1 column 1 shows");
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
}
