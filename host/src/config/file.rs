//! `File`: the text of a pipeline file, its tree, and the way from a problem to its bytes.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use weir_sdk::config::Problem;

use super::node::{Kind, Node};
use super::reference::io_reason;

/// A file that was read, whether or not it is any good.
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) root: Node,
}

/// What keeps a file from being checked at all.
pub(super) struct Unreadable {
    pub(super) at: Option<Range<usize>>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// A pipeline file of this size is something else.
const LARGEST: u64 = 1 << 20;

impl Unreadable {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { at: None, message: message.into(), help: None }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

impl File {
    /// Reads and parses a file. What could be had of it comes back in any case, for the report to show.
    pub(super) fn read(path: &Path) -> (Self, Option<Unreadable>) {
        match bytes(path) {
            Ok(bytes) => Self::decode(path, bytes),
            Err(unreadable) => (Self::blank(path, String::new()), Some(unreadable)),
        }
    }

    pub(super) fn blank(path: &Path, text: String) -> Self {
        Self { path: path.to_owned(), text, root: Node { kind: Kind::Null, at: 0..0 } }
    }

    fn decode(path: &Path, bytes: Vec<u8>) -> (Self, Option<Unreadable>) {
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(path, text),
            Err(error) => {
                let start = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let at = Some(start..start + char::REPLACEMENT_CHARACTER.len_utf8());
                let unreadable = Unreadable { at, ..Unreadable::new("this is not text (UTF-8)") };
                (Self::blank(path, text), Some(unreadable.help("save the file as UTF-8")))
            }
        }
    }

    /// Parses a text as the file at `path`.
    pub(super) fn parse(path: &Path, text: String) -> (Self, Option<Unreadable>) {
        // Some editors mark UTF-8 with three bytes, which are no part of the first line.
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        match Node::parse(&text) {
            Ok(root) => (Self { root, ..Self::blank(path, text) }, None),
            Err(error) => {
                let help = syntax_help(&text, error.at.start);
                let unreadable = Unreadable { at: Some(error.at), message: error.message, help };
                (Self::blank(path, text), Some(unreadable))
            }
        }
    }

    /// The bytes that a problem is about, on one line.
    pub(super) fn place(&self, problem: &Problem) -> Range<usize> {
        let found = self.root.locate(&problem.pointer);
        let scalar = matches!(found.node.kind, Kind::Bool(_) | Kind::Number(_) | Kind::Text(_));
        let at = if found.exact && scalar && !problem.on_key {
            self.within(found.node, problem)
        } else {
            match (found.entry, &found.node.kind) {
                (Some(entry), _) => entry.key_at.clone(),
                (None, Kind::Map(entries)) => {
                    entries.first().map_or(found.node.at.clone(), |entry| entry.key_at.clone())
                }
                // An empty file has no place of its own.
                (None, Kind::Null) => 0..0,
                _ => found.node.at.clone(),
            }
        };
        self.on_one_line(at)
    }

    /// Offsets inside a text count in its resolved form; where it holds a reference they mean nothing in the file.
    pub(super) fn forget_resolved_offsets(&self, problem: Problem) -> Problem {
        match &self.root.locate(&problem.pointer).node.kind {
            Kind::Text(text) if text.contains("${") => Problem { within: None, ..problem },
            _ => problem,
        }
    }

    /// Bytes inside a scalar, where it was written without escapes; else the scalar.
    fn within(&self, node: &Node, problem: &Problem) -> Range<usize> {
        let whole = node.at.clone();
        let (Some(inner), Kind::Text(text)) = (&problem.within, &node.kind) else {
            return whole;
        };
        let written = self.text.get(whole.clone()).unwrap_or_default();
        let skipped = match written.find(text.as_str()) {
            Some(skipped @ 0..=1) if text.get(inner.clone()).is_some() => skipped,
            _ => return whole,
        };
        whole.start + skipped + inner.start..whole.start + skipped + inner.end
    }

    /// A range that begins and ends on character boundaries of one line, and is not empty unless the line is.
    pub(super) fn on_one_line(&self, at: Range<usize>) -> Range<usize> {
        let text = &self.text;
        let start = floor(text, at.start);
        let line_end = text[start..].find(['\n', '\r']).map_or(text.len(), |length| start + length);
        let end = floor(text, at.end).clamp(start, line_end);
        let end = start + text[start..end].trim_end().len();
        if end > start {
            return start..end;
        }
        let next = text[start..line_end].chars().next().map_or(0, char::len_utf8);
        start..start + next
    }
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn bytes(path: &Path) -> Result<Vec<u8>, Unreadable> {
    let unreadable =
        |error: std::io::Error| Unreadable::new(format!("this file cannot be read: {}", io_reason(&error)));
    let about = fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() {
        return Err(Unreadable::new("this is no file"));
    }
    if about.len() > LARGEST {
        return Err(Unreadable::new("this file is larger than 1MiB")
            .help("a pipeline file holds one pipeline; is this one of them?"));
    }
    fs::read(path).map_err(unreadable)
}

/// What the parser's own words leave out.
fn syntax_help(text: &str, at: usize) -> Option<String> {
    let at = floor(text, at);
    let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let indent = text[line..].chars().take_while(|character| character.is_whitespace());
    let tab = indent.take_while(|character| *character != '\n').any(|character| character == '\t');
    tab.then(|| "YAML is indented with spaces, not with tabs".to_owned())
}
