//! Cuts the text of a statement into tokens, each with the place where it begins.
use super::parser::ParseError;

/// One token and the byte where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: usize,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A keyword or an unquoted name, in lower case.
    Word(String),
    /// A name in double quotes, as written.
    Quoted(String),
    String(String),
    Integer(String),
    Float(String),
    Uuid(String),
    /// The digits after `0x`.
    Blob(String),
    Duration(String),
    /// Punctuation: one of [`SYMBOLS`].
    Symbol(&'static str),
    End,
}

/// Punctuation, longer symbols before their prefixes.
const SYMBOLS: [&str; 22] = [
    "<=", ">=", "!=", "+=", "-=", "<", ">", "=", "(", ")", "{", "}", "[", "]", ",", ";", ".", ":", "?", "*",
    "+", "-",
];

/// All tokens of a statement; the last is [`Kind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, ParseError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::with_capacity(text.len() / 4 + 2);
    loop {
        lexer.skip_blanks()?;
        let at = lexer.at;
        let kind = lexer.next()?;
        let last = kind == Kind::End;
        tokens.push(Token { kind, at });
        if last {
            return Ok(tokens);
        }
    }
}

/// `line:column` as ScyllaDB counts: lines from 1, columns from 0.
pub(super) fn place(text: &str, at: usize) -> String {
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count());
    format!("{line}:{column}")
}

struct Lexer<'text> {
    text: &'text str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn fail(&self, what: &str) -> ParseError {
        ParseError::Syntax(format!("line {} {what}", place(self.text, self.at)))
    }

    fn skip_blanks(&mut self) -> Result<(), ParseError> {
        loop {
            let rest = self.rest();
            let blanks = rest.len() - rest.trim_start().len();
            let skipped = if blanks > 0 {
                blanks
            } else if rest.starts_with("--") || rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                match rest.find("*/") {
                    Some(end) => end + 2,
                    None => return Err(self.fail("the comment does not end")),
                }
            } else {
                return Ok(());
            };
            self.at += skipped;
        }
    }

    fn next(&mut self) -> Result<Kind, ParseError> {
        let Some(first) = self.rest().chars().next() else { return Ok(Kind::End) };
        if let Some(length) = uuid_length(self.rest()) {
            return Ok(Kind::Uuid(self.take(length)));
        }
        match first {
            '0'..='9' => Ok(self.number()),
            'P' if iso_duration_length(self.rest()).is_some() => {
                let length = iso_duration_length(self.rest()).unwrap_or_default();
                Ok(Kind::Duration(self.take(length)))
            }
            'a'..='z' | 'A'..='Z' => {
                let length = word_length(self.rest());
                Ok(Kind::Word(self.take(length).to_ascii_lowercase()))
            }
            '"' => Ok(Kind::Quoted(self.quoted('"')?)),
            '\'' => Ok(Kind::String(self.quoted('\'')?)),
            '$' if self.rest().starts_with("$$") => {
                let Some(length) = self.rest()[2..].find("$$") else {
                    return Err(self.fail("the string does not end"));
                };
                let content = self.rest()[2..2 + length].to_owned();
                self.at += length + 4;
                Ok(Kind::String(content))
            }
            _ => self.symbol(first),
        }
    }

    fn symbol(&mut self, first: char) -> Result<Kind, ParseError> {
        match SYMBOLS.into_iter().find(|symbol| self.rest().starts_with(symbol)) {
            Some(symbol) => {
                self.at += symbol.len();
                Ok(Kind::Symbol(symbol))
            }
            None => Err(self.fail(&format!("no viable alternative at character '{first}'"))),
        }
    }

    fn take(&mut self, length: usize) -> String {
        let taken = self.rest()[..length].to_owned();
        self.at += length;
        taken
    }

    /// What stands between two quotes; a doubled quote stands for one.
    fn quoted(&mut self, quote: char) -> Result<String, ParseError> {
        let mut content = String::new();
        let mut characters = self.rest().char_indices().skip(1).peekable();
        while let Some((offset, character)) = characters.next() {
            if character != quote {
                content.push(character);
            } else if characters.next_if(|(_, next)| *next == quote).is_some() {
                content.push(quote);
            } else {
                self.at += offset + 1;
                return Ok(content);
            }
        }
        Err(self.fail("the quoted text does not end"))
    }

    fn number(&mut self) -> Kind {
        let rest = self.rest();
        if rest.starts_with("0x") || rest.starts_with("0X") {
            let length = rest[2..].bytes().take_while(u8::is_ascii_hexdigit).count();
            self.at += 2;
            return Kind::Blob(self.take(length));
        }
        if let Some(length) = duration_length(rest) {
            return Kind::Duration(self.take(length));
        }
        let whole = digits(rest);
        let mut length = whole;
        if rest[length..].starts_with('.') && rest.as_bytes().get(length + 1) != Some(&b'.') {
            length += 1 + digits(&rest[length + 1..]);
        }
        length += exponent_length(&rest[length..]);
        if length == whole { Kind::Integer(self.take(length)) } else { Kind::Float(self.take(length)) }
    }
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

fn word_length(text: &str) -> usize {
    text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count()
}

fn exponent_length(text: &str) -> usize {
    let Some(rest) = text.strip_prefix(['e', 'E']) else { return 0 };
    let sign = usize::from(rest.starts_with(['+', '-']));
    match digits(&rest[sign..]) {
        0 => 0,
        count => 1 + sign + count,
    }
}

/// The length of a UUID at the start of the text: 8-4-4-4-12 hexadecimal digits.
fn uuid_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes().get(..36)?;
    let fits = bytes.iter().enumerate().all(|(index, byte)| match index {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    fits.then_some(36)
}

/// The length of `P1Y2M3DT4H5M6S`, `P2W` or `P0001-02-03T04:05:06` at the start of the text; only capitals count.
fn iso_duration_length(text: &str) -> Option<usize> {
    let body = text.strip_prefix('P')?;
    let length =
        body.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"-:_".contains(byte)).count();
    let body = &body[..length];
    let pattern = |parts: &[(usize, &str)]| {
        let mut rest = body;
        for (width, end) in parts {
            let found = digits(rest);
            rest = rest.get(found..)?.strip_prefix(end).filter(|_| found == *width)?;
        }
        rest.is_empty().then_some(())
    };
    let dashed = pattern(&[(4, "-"), (2, "-"), (2, "T"), (2, ":"), (2, ":"), (2, "")]).is_some();
    (dashed || has_units(body)).then_some(1 + length)
}

/// `1Y2M3DT4H5M6S`, each part at most once and at least one of them, or `2W`.
fn has_units(body: &str) -> bool {
    let (days, hours) = match body.split_once('T') {
        Some((days, hours)) => (days, Some(hours)),
        None => (body, None),
    };
    let follows = |mut rest: &str, units: &str| {
        let mut units = units.chars();
        while !rest.is_empty() {
            let count = digits(rest);
            let Some(unit) = rest[count..].chars().next().filter(|_| count > 0) else { return false };
            if !units.any(|known| known == unit) {
                return false;
            }
            rest = &rest[count + 1..];
        }
        true
    };
    let time = hours.is_none_or(|hours| !hours.is_empty() && follows(hours, "HMS"));
    let date = follows(days, "YMD") || (follows(days, "W") && hours.is_none());
    !body.is_empty() && time && date
}

/// The length of a duration such as `1h30m` at the start of the text.
fn duration_length(text: &str) -> Option<usize> {
    const UNITS: [&str; 11] = ["mo", "ms", "us", "µs", "ns", "y", "w", "d", "h", "m", "s"];
    let mut length = 0;
    loop {
        let count = digits(&text[length..]);
        if count == 0 {
            break;
        }
        let rest = &text[length + count..];
        let unit = UNITS.into_iter().find(|unit| {
            rest.get(..unit.len()).is_some_and(|start| start.eq_ignore_ascii_case(unit) || start == *unit)
        })?;
        length += count + unit.len();
    }
    let ends = word_length(&text[length..]) == 0;
    (length > 0 && ends).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        tokens(text).expect(text).into_iter().map(|token| token.kind).collect()
    }

    fn word(text: &str) -> Kind {
        Kind::Word(text.to_owned())
    }

    #[test]
    fn literals_are_told_apart() {
        let cases = [
            ("42", Kind::Integer("42".into())),
            ("4.5e-3", Kind::Float("4.5e-3".into())),
            ("1e9", Kind::Float("1e9".into())),
            ("1.", Kind::Float("1.".into())),
            ("0xCAFE", Kind::Blob("CAFE".into())),
            ("0x", Kind::Blob(String::new())),
            ("1h30m", Kind::Duration("1h30m".into())),
            ("30000ms", Kind::Duration("30000ms".into())),
            ("2mo", Kind::Duration("2mo".into())),
            ("'it''s'", Kind::String("it's".into())),
            ("$$it's$$", Kind::String("it's".into())),
            ("\"cdc$time\"", Kind::Quoted("cdc$time".into())),
            ("\"a\"\"b\"", Kind::Quoted("a\"b".into())),
            (
                "550e8400-e29b-41d4-a716-446655440000",
                Kind::Uuid("550e8400-e29b-41d4-a716-446655440000".into()),
            ),
            (
                "a50e8400-e29b-41d4-a716-446655440000",
                Kind::Uuid("a50e8400-e29b-41d4-a716-446655440000".into()),
            ),
            ("Orders_2", word("orders_2")),
        ];
        for (text, expected) in cases {
            assert_eq!(kinds(text), vec![expected, Kind::End], "{text}");
        }
    }

    #[test]
    fn comments_and_blanks_are_skipped() {
        let text = "a -- one\n// two\n/* three\n */ <= b";
        assert_eq!(kinds(text), vec![word("a"), Kind::Symbol("<="), word("b"), Kind::End]);
    }

    #[test]
    fn what_does_not_end_is_refused_with_its_place() {
        let cases = [
            ("SELECT 'x", "line 1:7 the quoted text does not end"),
            ("\n /* x", "line 2:1 the comment does not end"),
            ("a $$x", "line 1:2 the string does not end"),
            ("a %", "line 1:2 no viable alternative at character '%'"),
        ];
        for (text, message) in cases {
            assert_eq!(tokens(text), Err(ParseError::Syntax(message.to_owned())));
        }
    }
}
