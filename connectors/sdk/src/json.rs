//! Looking things up in a JSON payload in one pass, without building a tree and without copying.
//!
//! The whole payload is read to its end, so that bytes which are no JSON are refused whatever is asked of them and
//! wherever the fault stands. As in most readers, the last of a repeated key counts, and `null` counts as absent.

mod lookup;
mod path;

use std::borrow::Cow;

use crate::{Error, ErrorKind};

pub use lookup::Lookup;
pub use path::JsonPath;

/// A value as it is written in the payload, never `null`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written<'p>(&'p str);

impl<'p> Written<'p> {
    /// What it says: a text without its quotes, anything else as it is written. Only a text with escapes is copied.
    ///
    /// # Errors
    /// [`ErrorKind::Record`] for escapes that are no Unicode.
    pub fn text(self) -> Result<Cow<'p, str>, Error> {
        let Some(inner) = self.quoted() else {
            return Ok(Cow::Borrowed(self.0));
        };
        if !inner.contains('\\') {
            return Ok(Cow::Borrowed(inner));
        }
        let text = serde_json::from_str(self.0).map(Cow::Owned);
        text.map_err(|_| {
            Error::new(ErrorKind::Record, "a text of the payload has escapes that are no Unicode")
        })
    }

    /// The value as JSON, letter by letter.
    pub fn json(self) -> &'p str {
        self.0
    }

    /// It is a text, not a number, a list or the like.
    pub fn is_text(self) -> bool {
        self.quoted().is_some()
    }

    fn quoted(self) -> Option<&'p str> {
        self.0.strip_prefix('"')?.strip_suffix('"')
    }
}

#[cfg(test)]
mod tests;
