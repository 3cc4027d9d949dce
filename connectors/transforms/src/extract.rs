//! `extract`: fields of a JSON payload as key, headers and time.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::config::{Problem, child};
use weir_sdk::{Error, ErrorKind, HeaderName, Record, Timestamp, Transform, TransformConnector};

use weir_sdk::json::{JsonPath, Lookup, Written};

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
        self.take(&mut record)?;
        out.push(record);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
