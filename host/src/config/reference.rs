//! References: `${env:NAME}`, `${env:NAME:default}` and `${file:/path}` inside text scalars.
//!
//! They are resolved in the parsed tree, text by text, so what a reference stands for can never become YAML. `$${` is a
//! plain `${`. A variable that is set to nothing counts as not set. In every message the reference stands in place of
//! its value.

use std::io;
use std::ops::Range;
use std::path::Path;

use serde_json::Value;
use weir_sdk::config::{Problem, child};

use super::mask::Mask;
use super::node::{Kind, Node};

/// Where references lead. A function of a variable's name will do; files are then read from disk.
pub trait Lookup {
    /// The value of an environment variable.
    fn env(&self, name: &str) -> Option<String>;

    /// What a file holds.
    ///
    /// # Errors
    /// It cannot be read as text.
    fn file(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }
}

impl<F: Fn(&str) -> Option<String>> Lookup for F {
    fn env(&self, name: &str) -> Option<String> {
        self(name)
    }
}

/// A file with every reference resolved, as far as they could be.
pub(super) struct Resolved {
    /// What connectors get. Where a reference could not be resolved, nothing.
    pub(super) value: Value,
    /// What hides the values again.
    pub(super) mask: Mask,
    pub(super) problems: Vec<Problem>,
}

/// Resolves the references of a file; relative paths begin in `folder`.
pub(super) fn resolve(root: &Node, folder: &Path, lookup: &dyn Lookup) -> Resolved {
    let mut resolver = Resolver { folder, lookup, mask: Mask::default(), problems: Vec::new() };
    let value = resolver.node(root, "");
    Resolved { value, mask: resolver.mask, problems: resolver.problems }
}

/// The value with its references as they were written.
pub(super) fn written(node: &Node) -> Value {
    match &node.kind {
        Kind::Null => Value::Null,
        Kind::Bool(truth) => Value::Bool(*truth),
        Kind::Number(number) => Value::Number(number.clone()),
        Kind::Text(text) => Value::String(text.clone()),
        Kind::List(items) => items.iter().map(written).collect(),
        Kind::Map(entries) => {
            entries.iter().map(|entry| (entry.key.clone(), written(&entry.value))).collect()
        }
    }
}

struct Resolver<'a> {
    folder: &'a Path,
    lookup: &'a dyn Lookup,
    mask: Mask,
    problems: Vec<Problem>,
}

/// What is wrong with a reference, and what to do.
type Refusal = (String, String);

impl Resolver<'_> {
    fn node(&mut self, node: &Node, pointer: &str) -> Value {
        match &node.kind {
            Kind::Text(text) => self.text(text, pointer),
            Kind::List(items) => {
                let items = items.iter().enumerate();
                items.map(|(index, item)| self.node(item, &child(pointer, index))).collect()
            }
            Kind::Map(entries) => {
                let mut map = serde_json::Map::new();
                for entry in entries {
                    let pointer = child(pointer, &entry.key);
                    if entry.key.contains("${") {
                        let problem = Problem::at_key(&pointer, "a key cannot hold a reference");
                        self.problems.push(problem.help("references are resolved in values only"));
                    }
                    map.insert(entry.key.clone(), self.node(&entry.value, &pointer));
                }
                Value::Object(map)
            }
            Kind::Null | Kind::Bool(_) | Kind::Number(_) => written(node),
        }
    }

    fn text(&mut self, text: &str, pointer: &str) -> Value {
        let (mut resolved, mut whole) = (String::new(), true);
        let mut rest = 0;
        while let Some(start) = text[rest..].find("${").map(|offset| rest + offset) {
            if text[rest..start].ends_with('$') {
                resolved.push_str(&text[rest..start - 1]);
                resolved.push_str("${");
                rest = start + 2;
                continue;
            }
            resolved.push_str(&text[rest..start]);
            let end = text[start..].find('}').map_or(text.len(), |length| start + length + 1);
            match self.reference(&text[start..end]) {
                Ok(value) => resolved.push_str(&value),
                Err(refusal) => {
                    whole = false;
                    self.refuse(refusal, pointer, start..end);
                }
            }
            rest = end;
        }
        resolved.push_str(&text[rest..]);
        if whole { Value::String(resolved) } else { Value::Null }
    }

    fn refuse(&mut self, (message, help): Refusal, pointer: &str, at: Range<usize>) {
        self.problems.push(Problem::new(pointer, message).within(at).help(help));
    }

    fn reference(&mut self, reference: &str) -> Result<String, Refusal> {
        let inner = reference.strip_prefix("${").and_then(|inner| inner.strip_suffix('}'));
        let Some(inner) = inner else {
            let help = "close it with `}`, or write `$${` for a plain `${`";
            return Err(("this reference does not end".to_owned(), help.to_owned()));
        };
        match inner.split_once(':') {
            Some(("env", variable)) => self.variable(reference, variable),
            Some(("file", path)) => self.file(reference, path),
            _ => {
                let help = "write `${env:NAME}`, `${env:NAME:default}` or `${file:/path}`, or `$${` for a plain `${`";
                Err((format!("`{reference}` is no reference"), help.to_owned()))
            }
        }
    }

    fn variable(&mut self, reference: &str, variable: &str) -> Result<String, Refusal> {
        let (name, default) = match variable.split_once(':') {
            Some((name, default)) => (name, Some(default)),
            None => (variable, None),
        };
        if !is_name(name) {
            let help = "a name has letters, digits and `_`, and does not begin with a digit";
            return Err((format!("`{reference}` names no environment variable"), help.to_owned()));
        }
        match (self.lookup.env(name).filter(|value| !value.is_empty()), default) {
            (Some(value), _) => {
                self.mask.hide(&value, &format!("${{env:{name}}}"));
                Ok(value)
            }
            (None, Some(default)) => Ok(default.to_owned()),
            (None, None) => {
                let help = format!("set it, or give a default: `${{env:{name}:default}}`");
                Err((format!("the environment variable `{name}` is not set"), help))
            }
        }
    }

    fn file(&mut self, reference: &str, path: &str) -> Result<String, Refusal> {
        let refusal = |why: &str| {
            let help = "the file must be there, hold text, and be readable by the user that runs weir";
            (format!("`{path}` cannot be used: {why}"), help.to_owned())
        };
        if path.is_empty() {
            let help = "write `${file:/path}`";
            return Err(("this reference names no file".to_owned(), help.to_owned()));
        }
        let content =
            self.lookup.file(&self.folder.join(path)).map_err(|error| refusal(&io_reason(&error)))?;
        // Editors and `echo` end a file with a newline that is no part of a password.
        let value = content.strip_suffix('\n').unwrap_or(&content);
        let value = value.strip_suffix('\r').unwrap_or(value);
        if value.is_empty() {
            return Err(refusal("it is empty"));
        }
        self.mask.hide(value, reference);
        Ok(value.to_owned())
    }
}

fn is_name(name: &str) -> bool {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    starts_well && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// What an input error means, without the number of the system's own error.
pub(super) fn io_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "it may not be read".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        io::ErrorKind::InvalidData => "it is not text (UTF-8)".to_owned(),
        _ => error.to_string(),
    }
}
