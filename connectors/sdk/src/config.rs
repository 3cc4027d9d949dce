//! Reading typed configuration, every problem at once.

use std::ops::Range;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// One thing wrong in a configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// JSON pointer to the place, relative to what was read.
    pub pointer: String,
    /// The bytes inside a text scalar that it is about.
    pub within: Option<Range<usize>>,
    /// It is about the key, not the value.
    pub on_key: bool,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Reads a typed configuration.
///
/// # Errors
/// Every problem.
pub fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Vec<Problem>> {
    T::deserialize(value).map_err(|error| {
        vec![Problem {
            pointer: String::new(),
            within: None,
            on_key: false,
            message: error.to_string(),
            help: None,
        }]
    })
}
