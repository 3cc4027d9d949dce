//! `Problem`: one thing wrong in a configuration, and where.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// One thing wrong in a configuration, and where.
///
/// Neither message nor help quotes the value: it may be a secret, and the report shows the line as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// JSON pointer to the place, relative to what was read.
    pub pointer: String,
    /// The bytes inside a text scalar that it is about; the whole scalar otherwise.
    pub within: Option<Range<usize>>,
    /// It is about the key that the pointer leads through last, not about its value.
    pub on_key: bool,
    /// What is wrong, in lower case without a full stop.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl Problem {
    /// A problem with the value at `pointer`, for example `/session/page_size`.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), within: None, on_key: false, message: message.into(), help: None }
    }

    /// A problem with the key at `pointer`: that it stands there, or what is missing below it.
    pub fn at_key(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { on_key: true, ..Self::new(pointer, message) }
    }

    /// Says what to do.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Narrows it to bytes inside the text at the pointer.
    #[must_use]
    pub fn within(self, bytes: Range<usize>) -> Self {
        Self { within: Some(bytes), ..self }
    }

    /// The same problem seen from further up: what was read stood at `prefix`.
    #[must_use]
    pub fn under(self, prefix: &str) -> Self {
        Self { pointer: format!("{prefix}{}", self.pointer), ..self }
    }
}

/// `/session/page_size: expected a whole number`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer)?;
        }
        f.write_str(&self.message)
    }
}

/// The pointer to `key` (or an index) below `pointer`.
pub fn child(pointer: &str, key: impl fmt::Display) -> String {
    let key = key.to_string().replace('~', "~0").replace('/', "~1");
    format!("{pointer}/{key}")
}
