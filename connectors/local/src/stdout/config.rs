//! What a pipeline file may say about the stdout sink.

use schemars::JsonSchema;
use serde::Deserialize;

/// Records are printed on standard output, and count as written when the system has taken them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StdoutConfig {
    /// What is printed of a record.
    pub format: Format,
}

/// What is printed of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// All of it, as one line of JSON.
    #[default]
    Json,
    /// The value alone, and a newline.
    Value,
}
