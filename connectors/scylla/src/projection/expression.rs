//! `Expression`: where the value of a column comes from.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use weir_sdk::json::JsonPath;

/// Where the value of a column comes from: a place in the payload (`$.customer_id`), a header or a part of the record
/// (`{event_id}`, `{key}`, `{payload}`, `{timestamp_us}`), or the value itself (`PAID`, `1`, `true`). A text that
/// begins with `$` or `{` is written with that sign twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// The value at a place in a JSON payload.
    Path(JsonPath),
    /// The value of a header.
    Header(String),
    /// The record's key.
    Key,
    /// The whole payload.
    Payload,
    /// The record's time in microseconds since 1970.
    Time,
    /// The value itself.
    Literal(String),
}

impl Expression {
    /// The error text has two lines: what is wrong, and what to do.
    fn parse(written: &str) -> Result<Self, Cow<'static, str>> {
        let mut letters = written.chars();
        match (letters.next(), letters.next()) {
            (Some('$'), Some('$')) | (Some('{'), Some('{')) => Ok(Self::Literal(written[1..].to_owned())),
            (Some('$'), _) => JsonPath::try_from(written.to_owned()).map(Self::Path).map_err(Cow::Borrowed),
            (Some('{'), _) => match written[1..].strip_suffix('}') {
                Some("key") => Ok(Self::Key),
                Some("payload") => Ok(Self::Payload),
                Some("timestamp_us") => Ok(Self::Time),
                Some(name) if !name.is_empty() && !name.contains(['{', '}']) => {
                    Ok(Self::Header(name.to_owned()))
                }
                _ => Err("this is no header\nwrite `{event_id}` for the header `event_id`, or `{{` where the text begins with a brace".into()),
            },
            _ => Ok(Self::Literal(written.to_owned())),
        }
    }
}

/// As it is written; a value itself is not quoted back, in the case that it is a secret.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{path}"),
            Self::Header(name) => write!(f, "{{{name}}}"),
            Self::Key => f.write_str("{key}"),
            Self::Payload => f.write_str("{payload}"),
            Self::Time => f.write_str("{timestamp_us}"),
            Self::Literal(_) => f.write_str("this value"),
        }
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Expression;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path such as `$.customer_id`, a header such as `{event_id}`, or a value")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Expression, E> {
                Expression::parse(text).map_err(E::custom)
            }

            fn visit_bool<E>(self, truth: bool) -> Result<Expression, E> {
                Ok(Expression::Literal(truth.to_string()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Expression, E> {
                Ok(Expression::Literal(number.to_string()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Expression, E> {
                Ok(Expression::Literal(number.to_string()))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Expression, E> {
                Ok(Expression::Literal(number.to_string()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Expression {
    fn schema_name() -> Cow<'static, str> {
        "Expression".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "expression",
            "type": ["string", "number", "boolean"],
            "description": "Where the value comes from: a place in the payload (`$.customer_id`), a header (`{event_id}`), `{key}`, `{payload}`, `{timestamp_us}`, or the value itself. A text that begins with `$` or `{` is written with that sign twice.",
            "examples": ["$.customer_id", "{sequence_number}", "PAID"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Expression;
    use serde_json::{Value, json};

    fn read(value: Value) -> Result<Expression, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_sign_says_where_it_comes_from() {
        for (written, meant) in [
            (json!("{event_id}"), Expression::Header("event_id".into())),
            (json!("{key}"), Expression::Key),
            (json!("{payload}"), Expression::Payload),
            (json!("{timestamp_us}"), Expression::Time),
            (json!("PAID"), Expression::Literal("PAID".into())),
            (json!(""), Expression::Literal(String::new())),
            (json!("$$5"), Expression::Literal("$5".into())),
            (json!("{{x}"), Expression::Literal("{x}".into())),
            (json!(-3), Expression::Literal("-3".into())),
            (json!(1.5), Expression::Literal("1.5".into())),
            (json!(true), Expression::Literal("true".into())),
        ] {
            assert_eq!(read(written.clone()).as_ref(), Ok(&meant), "{written}");
        }
        assert_eq!(read(json!("$.a.b")).unwrap().to_string(), "$.a.b");
        for wrong in ["$a", "{", "{}", "{a", "{a}b}"] {
            assert!(read(json!(wrong)).unwrap_err().contains('\n'), "{wrong}");
        }
    }
}
