//! `Name`: what a pipeline or a sink is called; also the name of files and the value of labels.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// 1 to 64 letters, digits, `-`, `_` and `.`, the first one a letter or a digit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Name(String);

const LONGEST: usize = 64;

impl Name {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// File systems may not tell case apart.
    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let begins_well = text.starts_with(|first: char| first.is_ascii_alphanumeric());
        if begins_well && text.len() <= LONGEST && text.bytes().all(allowed) {
            return Ok(Self(text));
        }
        Err(
            "this is no name\nwrite 1 to 64 letters, digits, `-`, `_` and `.`, beginning with a letter or a digit",
        )
    }
}

impl JsonSchema for Name {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
        })
    }
}
