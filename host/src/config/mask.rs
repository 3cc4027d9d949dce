//! `Mask`: puts references back where their values would show.

use std::borrow::Cow;
use std::fmt;

/// Knows the values that references stood for and hides them in any text.
///
/// A value is hidden wherever it stands; one of fewer than four characters only as a word of its own, so that a port
/// `1` does not turn every other number into nonsense. The items of a list of values (`a,b`) are hidden one by one too.
#[derive(Clone, Default)]
pub struct Mask(Vec<Hidden>);

#[derive(Clone)]
struct Hidden {
    value: String,
    reference: String,
}

const SHORT: usize = 4;

impl Mask {
    pub(super) fn hide(&mut self, value: &str, reference: &str) {
        let escaped = format!("{value:?}");
        let escaped = escaped.trim_matches('"');
        let items = value.split([',', '\n']).map(str::trim);
        for value in [value, value.trim(), escaped].into_iter().chain(items) {
            if !value.is_empty() && !self.0.iter().any(|hidden| hidden.value == value) {
                self.0.push(Hidden { value: value.to_owned(), reference: reference.to_owned() });
            }
        }
        // The longest first: a value may be part of another.
        self.0.sort_by_key(|hidden| std::cmp::Reverse(hidden.value.len()));
    }

    /// The text with the reference in place of each value.
    pub fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut shown = String::new();
        let mut copied = 0;
        let mut at = 0;
        while at < text.len() {
            let hidden = self.0.iter().find(|hidden| hidden.stands(text, at));
            match hidden {
                Some(hidden) => {
                    shown.push_str(&text[copied..at]);
                    shown.push_str(&hidden.reference);
                    at += hidden.value.len();
                    copied = at;
                }
                None => at += text[at..].chars().next().map_or(1, char::len_utf8),
            }
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        shown.push_str(&text[copied..]);
        Cow::Owned(shown)
    }
}

impl Hidden {
    fn stands(&self, text: &str, at: usize) -> bool {
        let in_word = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
        text[at..].starts_with(&self.value)
            && (self.value.len() >= SHORT
                || !in_word(text[..at].chars().next_back())
                    && !in_word(text[at + self.value.len()..].chars().next()))
    }
}

/// Shows the references alone.
impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|hidden| &hidden.reference)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Mask;

    #[test]
    fn values_are_hidden_whole_in_part_and_escaped() {
        let mut mask = Mask::default();
        mask.hide("hunter2", "${env:P}");
        mask.hide("a-host:1, b-host:2", "${env:NODES}");
        mask.hide("line\"one", "${file:/s}");
        assert_eq!(mask.apply("no hunter22 at b-host:2"), "no ${env:P}2 at ${env:NODES}");
        assert_eq!(mask.apply("got \"line\\\"one\""), "got \"${file:/s}\"");
        assert_eq!(format!("{mask:?}").matches("hunter").count(), 0);
    }

    #[test]
    fn short_values_are_hidden_as_words_and_the_longest_goes_first() {
        let mut mask = Mask::default();
        mask.hide("1", "${env:ONE}");
        mask.hide("pass", "${env:SHORT}");
        mask.hide("password", "${env:LONG}");
        assert_eq!(mask.apply("from 1 to 10: `1`"), "from ${env:ONE} to 10: `${env:ONE}`");
        assert_eq!(mask.apply("password or pass"), "${env:LONG} or ${env:SHORT}");
        assert!(matches!(mask.apply("grün"), std::borrow::Cow::Borrowed("grün")));
    }
}
