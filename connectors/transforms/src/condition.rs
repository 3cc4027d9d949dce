//! A condition on a record: a header or a place in the payload, and what must be there.

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::config::Problem;
use weir_sdk::{Error, Record};

use crate::literal::Literal;
use weir_sdk::json::{JsonPath, Lookup, Written};

/// A condition on a record: what to look at (`header` or `json`), and what must be there.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct When {
    /// Look at the header of this name; the last one, where there are several.
    header: Option<String>,
    /// Look at this place in a JSON payload, for example `$.order.status`.
    json: Option<JsonPath>,
    /// It is there and is this.
    equals: Option<Literal>,
    /// It is there and is one of these.
    r#in: Option<Vec<Literal>>,
    /// It is none of these, or is not there.
    not_in: Option<Vec<Literal>>,
    /// It is there (`true`), or it is not (`false`). What is null is not there.
    exists: Option<bool>,
}

/// A condition that was checked.
#[derive(Debug)]
pub(crate) struct Condition {
    subject: Subject,
    test: Test,
}

#[derive(Debug)]
enum Subject {
    Header(String),
    /// A number of the look-up.
    Json(usize),
}

#[derive(Debug)]
enum Test {
    AnyOf(Vec<Literal>),
    NoneOf(Vec<Literal>),
    Exists,
    Absent,
}

/// A record that conditions look at; its payload is read at most once, and not before one asks for it.
pub(crate) struct View<'r> {
    record: &'r Record,
    lookup: &'r Lookup,
    found: Option<Vec<Option<Written<'r>>>>,
}

impl When {
    /// The condition itself; its path, if any, is added to `lookup`.
    ///
    /// # Errors
    /// What is wrong, with pointers relative to it.
    pub(crate) fn compile(&self, lookup: &mut Lookup) -> Result<Condition, Vec<Problem>> {
        match (self.subject(lookup), self.test()) {
            (Ok(subject), Ok(test)) => Ok(Condition { subject, test }),
            (subject, test) => Err([subject.err(), test.err()].into_iter().flatten().collect()),
        }
    }

    fn subject(&self, lookup: &mut Lookup) -> Result<Subject, Problem> {
        match (&self.header, &self.json) {
            (Some(name), None) if name.is_empty() => Err(Problem::new("/header", "a header has a name")),
            (Some(name), None) => Ok(Subject::Header(name.clone())),
            (None, Some(path)) => Ok(Subject::Json(lookup.add(path))),
            (None, None) => Err(Problem::at_key("", "nothing to look at")
                .help("name a `header`, or a `json` path such as `$.status`")),
            (Some(_), Some(_)) => Err(Problem::at_key("/json", "`header` and `json` exclude each other")
                .help("look at one of them; two transforms, one after the other, look at both")),
        }
    }

    fn test(&self) -> Result<Test, Problem> {
        let several = |list: &[Literal]| list.iter().flat_map(Literal::split).collect::<Vec<_>>();
        let given = [
            self.equals.as_ref().map(|value| ("equals", Test::AnyOf(vec![value.clone()]))),
            self.r#in.as_ref().map(|list| ("in", Test::AnyOf(several(list)))),
            self.not_in.as_ref().map(|list| ("not_in", Test::NoneOf(several(list)))),
            self.exists.map(|exists| ("exists", if exists { Test::Exists } else { Test::Absent })),
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (None, _) => {
                Err(Problem::at_key("", "nothing is asked")
                    .help("write `equals`, `in`, `not_in` or `exists`"))
            }
            (Some((one, _)), Some((other, _))) => {
                Err(Problem::at_key(format!("/{other}"), format!("`{one}` and `{other}` exclude each other"))
                    .help("ask one thing"))
            }
            (Some((key, Test::AnyOf(list) | Test::NoneOf(list))), None) if list.is_empty() => {
                Err(Problem::new(format!("/{key}"), "this list is empty").help("write at least one value"))
            }
            (Some((_, test)), None) => Ok(test),
        }
    }
}

impl Condition {
    /// Does the record meet it?
    ///
    /// # Errors
    /// The payload must be JSON and is not.
    pub(crate) fn holds(&self, view: &mut View<'_>) -> Result<bool, Error> {
        match &self.subject {
            Subject::Header(name) => Ok(self.test.accepts(view.record.headers.get(name))),
            Subject::Json(number) => match view.at(*number)? {
                Some(written) => Ok(self.test.accepts(Some(written.text()?.as_bytes()))),
                None => Ok(self.test.accepts(None)),
            },
        }
    }
}

impl Test {
    fn accepts(&self, value: Option<&[u8]>) -> bool {
        match (self, value) {
            (Self::AnyOf(list), Some(value)) => list.iter().any(|literal| literal.is(value)),
            (Self::NoneOf(list), Some(value)) => !list.iter().any(|literal| literal.is(value)),
            (Self::Exists, Some(_)) | (Self::NoneOf(_) | Self::Absent, None) => true,
            (Self::Absent, Some(_)) | (Self::AnyOf(_) | Self::Exists, None) => false,
        }
    }
}

impl<'r> View<'r> {
    /// A view of the record through the look-up that the conditions were compiled with.
    pub(crate) fn new(record: &'r Record, lookup: &'r Lookup) -> Self {
        Self { record, lookup, found: None }
    }

    fn at(&mut self, number: usize) -> Result<Option<Written<'r>>, Error> {
        let found = match self.found.take() {
            Some(found) => found,
            None => self.lookup.find(self.record.value.as_deref())?,
        };
        Ok(self.found.insert(found)[number])
    }
}
