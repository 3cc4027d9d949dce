//! A record as one line of JSON, without loss.
//!
//! Bytes that are text are a JSON string, other bytes are `{"base64": "…"}`, and what is not there is `null`. So a
//! tombstone is told from an empty value, and a text that looks like base64 stays a text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use weir_sdk::{Headers, Origin, Record, Timestamp};

#[derive(Serialize)]
struct Line<'a> {
    key: Option<Text<'a>>,
    value: Option<Text<'a>>,
    headers: Pairs<'a>,
    /// Microseconds since 1970-01-01 UTC.
    timestamp_us: i64,
    origin: Place<'a>,
}

#[derive(Serialize)]
struct Place<'a> {
    partition: &'a str,
    offset: Text<'a>,
}

/// Bytes, as text where they are text.
struct Text<'a>(&'a [u8]);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(text) = std::str::from_utf8(self.0) {
            return serializer.serialize_str(text);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("base64", &STANDARD.encode(self.0))?;
        map.end()
    }
}

/// Headers as `[name, value]` pairs: their order counts and a name may come again.
struct Pairs<'a>(&'a Headers);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|header| (header.name.as_str(), header.value.map(Text))))
    }
}

/// Adds the record's line, with the newline at its end; JSON text has none inside.
pub(crate) fn write(record: &Record, lines: &mut Vec<u8>) {
    let line = Line {
        key: record.key.as_deref().map(Text),
        value: record.value.as_deref().map(Text),
        headers: Pairs(&record.headers),
        timestamp_us: record.timestamp.0,
        origin: Place {
            partition: record.origin.partition.as_str(),
            offset: Text(record.origin.offset.as_bytes()),
        },
    };
    serde_json::to_writer(&mut *lines, &line)
        .expect("texts and numbers are JSON, and memory takes everything");
    lines.push(b'\n');
}

/// Is it a line that was blanked? A record's line begins with a brace.
pub(crate) fn is_blank(line: &[u8]) -> bool {
    matches!(line.first(), None | Some(b' ' | b'\n'))
}

/// The record of a line, read at `origin`: where it was read the first time is where it is no longer.
pub(crate) fn read(line: &[u8], origin: Origin) -> Result<Record, serde_json::Error> {
    let Parsed { key, value, headers, timestamp_us } = serde_json::from_slice(line)?;
    let header = |(name, value): (String, Option<Coded>)| (name.into(), value.map(|Coded(bytes)| bytes));
    Ok(Record {
        key: key.map(|Coded(bytes)| bytes),
        value: value.map(|Coded(bytes)| bytes),
        headers: headers.into_iter().map(header).collect(),
        timestamp: Timestamp(timestamp_us),
        origin,
    })
}

#[derive(Deserialize)]
struct Parsed {
    key: Option<Coded>,
    value: Option<Coded>,
    headers: Vec<(String, Option<Coded>)>,
    timestamp_us: i64,
}

/// Bytes, from text or base64.
struct Coded(Bytes);

impl<'de> Deserialize<'de> for Coded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Base64 { base64: String },
        }
        match Written::deserialize(deserializer)? {
            Written::Text(text) => Ok(Self(text.into())),
            Written::Base64 { base64 } => {
                let bytes = STANDARD.decode(base64).map_err(serde::de::Error::custom)?;
                Ok(Self(bytes.into()))
            }
        }
    }
}

/// Reads lines back with a JSON reader that knows nothing of the writer.
#[cfg(test)]
pub(crate) mod reading {
    use base64::Engine as _;
    use bytes::Bytes;
    use serde_json::Value;
    use weir_sdk::{Origin, Record, Timestamp};

    /// # Panics
    /// When it is no whole line.
    pub(crate) fn record(line: &str) -> Record {
        whole(line).unwrap_or_else(|| panic!("no line: {line:?}"))
    }

    /// The record of a whole line.
    pub(crate) fn whole(line: &str) -> Option<Record> {
        let line: Value = serde_json::from_str(line).ok()?;
        let header = |pair: &Value| (pair[0].as_str().unwrap().to_owned().into(), bytes(&pair[1]));
        Some(Record {
            key: bytes(&line["key"]),
            value: bytes(&line["value"]),
            headers: line["headers"].as_array().unwrap().iter().map(header).collect(),
            timestamp: Timestamp(line["timestamp_us"].as_i64().unwrap()),
            origin: Origin {
                partition: line["origin"]["partition"].as_str().unwrap().into(),
                offset: bytes(&line["origin"]["offset"]).unwrap().into(),
            },
        })
    }

    fn bytes(value: &Value) -> Option<Bytes> {
        match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone().into()),
            coded => {
                let coded = coded["base64"].as_str().unwrap();
                Some(base64::engine::general_purpose::STANDARD.decode(coded).unwrap().into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_sdk::testing::{RecordExt, record, tombstone};

    #[test]
    fn a_line_holds_everything() {
        let mut lines = Vec::new();
        let mut odd = record("k\n\"1\"", "v").header("a", "1").header("a", "2").at("p", "7").micros(12);
        odd.value = Some(vec![0xff, 0].into());
        super::write(&odd, &mut lines);
        super::write(&tombstone("gone"), &mut lines);
        let expected = r#"{"key":"k\n\"1\"","value":{"base64":"/wA="},"headers":[["a","1"],["a","2"]],"timestamp_us":12,"origin":{"partition":"p","offset":"7"}}
{"key":"gone","value":null,"headers":[],"timestamp_us":0,"origin":{"partition":"test","offset":"gone"}}
"#;
        assert_eq!(String::from_utf8(lines).unwrap(), expected);
    }
}
