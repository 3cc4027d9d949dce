//! `JsonPath`: a place in a payload, such as `$.order.items[0].sku`.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// A place in a payload: `$`, then keys after dots and indexes in brackets. A key that is no plain word stands in
/// brackets and quotes: `$['order id']`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct JsonPath {
    written: String,
    steps: Vec<Step>,
}

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// To the value of this key of an object.
    Key(String),
    /// To this element of a list, counted from 0.
    Index(usize),
}

/// Deeper than any payload that somebody wrote, and well below what the JSON reader takes.
const DEEPEST: usize = 64;

impl JsonPath {
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

/// As it was written.
impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl fmt::Debug for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

const SHAPE: &str = "this is no path into the payload\nwrite keys after dots and indexes in brackets, for example `$.order.items[0]`";
const WILD: &str = "a path leads to one place\n`*`, `..` and filters are not available here";
const DEEP: &str = "this path is too deep\nat most 64 steps are allowed";

impl TryFrom<String> for JsonPath {
    type Error = &'static str;

    /// The error text has two lines: what is wrong, and what to do.
    fn try_from(written: String) -> Result<Self, Self::Error> {
        let mut rest = written.strip_prefix('$').ok_or("a path begins with `$`\nfor example `$.status`")?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, behind) = step(rest)?;
            steps.push(step);
            rest = behind;
        }
        if steps.len() > DEEPEST {
            return Err(DEEP);
        }
        Ok(Self { written, steps })
    }
}

/// The first step of the rest of a path, and what stands behind it.
fn step(rest: &str) -> Result<(Step, &str), &'static str> {
    if let Some(key) = rest.strip_prefix('.') {
        let (key, behind) = key.split_at(key.find(['.', '[']).unwrap_or(key.len()));
        return match key {
            "" | "*" => Err(WILD),
            key if key.contains([']', '\'', '"', ' ', '*', '$']) => Err(SHAPE),
            key => Ok((Step::Key(key.to_owned()), behind)),
        };
    }
    let inside = rest.strip_prefix('[').ok_or(SHAPE)?;
    if let Some(quote) = inside.chars().next().filter(|first| "'\"".contains(*first)) {
        let (key, behind) = inside[1..].split_once(quote).ok_or(SHAPE)?;
        let behind = behind.strip_prefix(']').ok_or(SHAPE)?;
        return Ok((Step::Key(key.to_owned()), behind));
    }
    let (index, behind) = inside.split_once(']').ok_or(SHAPE)?;
    if index.starts_with(['*', '?', ':']) {
        return Err(WILD);
    }
    let digits = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
    let index = digits.then(|| index.parse().ok()).flatten().ok_or(SHAPE)?;
    Ok((Step::Index(index), behind))
}

impl JsonSchema for JsonPath {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "JsonPath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "JSON path",
            "type": "string",
            "pattern": r#"^\$(\.[^.\[\]'" *$]+|\[\d+\]|\['[^']*'\]|\["[^"]*"\])*$"#,
            "description": "A place in the payload: keys after dots, indexes in brackets.",
            "examples": ["$.status", "$.order.items[0].sku"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::JsonPath;

    #[test]
    fn a_path_is_keys_and_indexes() {
        for (path, steps) in [
            ("$", "[]"),
            ("$.status", r#"[Key("status")]"#),
            ("$.a.b[0]", r#"[Key("a"), Key("b"), Index(0)]"#),
            ("$[12][3].x-y", r#"[Index(12), Index(3), Key("x-y")]"#),
            (r#"$['order id']["it's"].ä"#, r#"[Key("order id"), Key("it's"), Key("ä")]"#),
        ] {
            let path = JsonPath::try_from(path.to_owned()).expect(path);
            assert_eq!(format!("{:?}", path.steps()), steps, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused_with_help() {
        for (path, complaint) in [
            ("", "a path begins with `$`"),
            ("status", "a path begins with `$`"),
            ("$status", "this is no path into the payload"),
            ("$.a b", "this is no path into the payload"),
            ("$.a[x]", "this is no path into the payload"),
            ("$.a[-1]", "this is no path into the payload"),
            ("$.a[+1]", "this is no path into the payload"),
            ("$.a[99999999999999999999]", "this is no path into the payload"),
            ("$.a[0", "this is no path into the payload"),
            ("$['a", "this is no path into the payload"),
            ("$['a'x", "this is no path into the payload"),
            ("$.a[*]", "a path leads to one place"),
            ("$..a", "a path leads to one place"),
            ("$.", "a path leads to one place"),
            (&format!("${}", ".a".repeat(65)), "this path is too deep"),
        ] {
            let error = JsonPath::try_from(path.to_owned()).expect_err(path);
            let (what, help) = error.split_once('\n').expect("a second line that helps");
            assert_eq!(what, complaint, "{path}");
            assert!(!help.is_empty());
        }
    }
}
