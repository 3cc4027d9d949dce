//! `Literal`: a value in a pipeline file that a record's value is compared with.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// A number written without quotes is compared as a number; anything else letter by letter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Text(String),
    Number(Number),
}

/// Whole numbers are compared exactly, others as far as 64 bits tell them apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number {
    whole: Option<i128>,
    nearest: f64,
}

impl Literal {
    pub(crate) fn is(&self, value: &[u8]) -> bool {
        match self {
            Self::Text(text) => text.as_bytes() == value,
            Self::Number(number) => Number::read(value).is_some_and(|value| value == *number),
        }
    }

    /// An item with commas is several, as everywhere in a pipeline file.
    pub(crate) fn split(&self) -> Vec<Self> {
        match self {
            Self::Text(text) if text.contains(',') => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                parts.map(|part| Self::Text(part.to_owned())).collect()
            }
            single => vec![single.clone()],
        }
    }
}

impl Number {
    fn read(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let nearest: f64 = text.parse().ok()?;
        nearest.is_finite().then(|| Self { whole: text.parse().ok(), nearest })
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        match (self.whole, other.whole) {
            (Some(one), Some(other)) => one == other,
            _ => self.nearest == other.nearest,
        }
    }
}

impl<'de> Deserialize<'de> for Literal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Literal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, a number, `true` or `false`")
            }

            fn visit_str<E>(self, text: &str) -> Result<Literal, E> {
                Ok(Literal::Text(text.to_owned()))
            }

            fn visit_bool<E>(self, truth: bool) -> Result<Literal, E> {
                Ok(Literal::Text(truth.to_string()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Literal, E> {
                Ok(Literal::Number(Number { whole: Some(number.into()), nearest: number as f64 }))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Literal, E> {
                Ok(Literal::Number(Number { whole: Some(number.into()), nearest: number as f64 }))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Literal, E> {
                Ok(Literal::Number(Number { whole: None, nearest: number }))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Literal {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Literal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "value",
            "type": ["string", "number", "boolean"],
            "description": "A value; a number without quotes is compared as a number."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Literal;
    use serde_json::{Value, json};

    fn is(literal: Value, value: &str) -> bool {
        serde_json::from_value::<Literal>(literal).expect("a literal").is(value.as_bytes())
    }

    #[test]
    fn numbers_are_compared_as_numbers_and_text_letter_by_letter() {
        for (literal, value) in [
            (json!(10), "10"),
            (json!(10), "10.0"),
            (json!(10), "1e1"),
            (json!(1.5), "1.50"),
            (json!(-3), "-3"),
            (json!("10"), "10"),
            (json!(true), "true"),
            (json!(u64::MAX), "18446744073709551615"),
        ] {
            assert!(is(literal.clone(), value), "{literal} {value}");
        }
        for (literal, value) in [
            (json!(10), "11"),
            (json!(10), ""),
            (json!(10), "ten"),
            (json!("10"), "10.0"),
            (json!("paid"), "Paid"),
            (json!(9_007_199_254_740_993_i64), "9007199254740992"),
        ] {
            assert!(!is(literal.clone(), value), "{literal} {value}");
        }
        assert!(!serde_json::from_value::<Literal>(json!(1)).unwrap().is(b"\xff"));
    }

    #[test]
    fn commas_part_text_only() {
        let split = |literal: Value| serde_json::from_value::<Literal>(literal).expect("a literal").split();
        assert_eq!(split(json!("a, b,,c")).len(), 3);
        assert_eq!(split(json!(1.5)).len(), 1);
    }
}
