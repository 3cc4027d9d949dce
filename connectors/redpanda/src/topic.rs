//! The topic of each record: a name, or a template such as `orders.{event_type}`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use weir_sdk::{Error, ErrorKind, Record};

/// Kafka's limit for the length of a topic's name.
const LONGEST: usize = 249;

/// A topic's name with header names in braces. A template begins with literal text, so that what a record says can
/// never lead it out of the family of topics that the pipeline names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct TopicTemplate(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Header(String),
}

impl TopicTemplate {
    /// The name, where every record goes to the same topic.
    pub(crate) fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Piece::Literal(name)] => Some(name),
            _ => None,
        }
    }

    /// Where a record goes. A template writes the name into `name`; a literal costs nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Record`] when a header is missing or does not make a topic's name.
    pub(crate) fn of<'a>(&'a self, record: &Record, name: &'a mut String) -> Result<&'a str, Error> {
        if let Some(literal) = self.literal() {
            return Ok(literal);
        }
        name.clear();
        for piece in &self.0 {
            name.push_str(match piece {
                Piece::Literal(text) => text,
                Piece::Header(header) => part(record, header)?,
            });
        }
        if name.len() > LONGEST {
            let message =
                format!("the topic's name would have {} characters, {LONGEST} are allowed", name.len());
            return Err(Error::new(ErrorKind::Record, message));
        }
        Ok(name)
    }
}

/// The part of the name that a header gives.
fn part<'a>(record: &'a Record, header: &str) -> Result<&'a str, Error> {
    let refused = |what: &str| {
        Error::new(ErrorKind::Record, format!("the header `{header}`, which the topic is made of, {what}"))
    };
    let Some(value) = record.headers.get(header) else {
        return Err(refused("is missing").advice("have the source or a transform set it, or change `topic`"));
    };
    match std::str::from_utf8(value) {
        Ok(text) if !text.is_empty() && text.bytes().all(is_legal) => Ok(text),
        _ => Err(refused("is no part of a topic's name").advice(LEGAL)),
    }
}

const LEGAL: &str = "a topic's name has letters, digits, `.`, `_` and `-` only";

fn is_legal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

impl TryFrom<String> for TopicTemplate {
    type Error = String;

    /// The error text has two lines: what is wrong, and what to do.
    fn try_from(text: String) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (literal, behind) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
            if !literal.bytes().all(is_legal) {
                return Err(format!("this is no topic's name\n{LEGAL}, and header names in braces"));
            }
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.to_owned()));
            }
            let Some(inside) = behind.strip_prefix('{') else { break };
            let Some((header, behind)) = inside.split_once('}') else {
                return Err("a brace is not closed\nwrite a header name as `{event_type}`".to_owned());
            };
            if header.is_empty() || header.contains('{') {
                return Err("no header name in the braces\nwrite a header name as `{event_type}`".to_owned());
            }
            pieces.push(Piece::Header(header.to_owned()));
            rest = behind;
        }
        match pieces.first() {
            None => Err("the topic has no name\nwrite a name such as `order-events`".to_owned()),
            Some(Piece::Header(_)) => Err("a topic must not begin with a header\n\
                begin with fixed text, such as `orders.{event_type}`: a record must not choose any topic it likes"
                .to_owned()),
            Some(Piece::Literal(name)) if pieces.len() == 1 && (name == "." || name == "..") => {
                Err("this is no topic's name\n`.` and `..` are not allowed".to_owned())
            }
            Some(_) if text.len() > LONGEST => {
                Err(format!("the topic's name is too long\nat most {LONGEST} characters are allowed"))
            }
            Some(_) => Ok(Self(pieces)),
        }
    }
}

impl JsonSchema for TopicTemplate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TopicTemplate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^[A-Za-z0-9._-]+(\{[^{}]+\}|[A-Za-z0-9._-]+)*$",
            "description": "A topic's name, with header names in braces; it begins with fixed text.",
            "examples": ["order-events", "orders.{event_type}"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::TopicTemplate;
    use weir_sdk::testing::record;
    use weir_sdk::{ErrorKind, Record};

    fn topic(template: &str, record: &Record) -> Result<String, String> {
        let template = TopicTemplate::try_from(template.to_owned())?;
        let name = template.of(record, &mut String::new()).map(str::to_owned);
        name.map_err(|error| {
            assert_eq!(error.kind(), ErrorKind::Record);
            error.message().to_owned()
        })
    }

    fn with(headers: &[(&'static str, &'static str)]) -> Record {
        let mut made = record("key", "value");
        for (name, value) in headers {
            made.headers.push(*name, *value);
        }
        made
    }

    #[test]
    fn headers_fill_the_template() {
        let shipped = with(&[("event_type", "OrderShipped"), ("region", "eu_1")]);
        assert_eq!(topic("order-events", &shipped).unwrap(), "order-events");
        assert_eq!(topic("orders.{event_type}", &shipped).unwrap(), "orders.OrderShipped");
        assert_eq!(topic("o-{region}.{event_type}.v1", &shipped).unwrap(), "o-eu_1.OrderShipped.v1");
    }

    #[test]
    fn a_record_that_does_not_fit_is_at_fault_itself() {
        for (headers, complaint) in [
            (&[][..], "the header `event_type`, which the topic is made of, is missing"),
            (
                &[("event_type", "")],
                "the header `event_type`, which the topic is made of, is no part of a topic's name",
            ),
            (
                &[("event_type", "a/b")],
                "the header `event_type`, which the topic is made of, is no part of a topic's name",
            ),
        ] {
            assert_eq!(topic("orders.{event_type}", &with(headers)).unwrap_err(), complaint);
        }
        let long = with(&[("event_type", "x")]);
        let template = format!("o.{}", "{event_type}".repeat(20));
        assert_eq!(topic(&template, &long).unwrap().len(), 22);
    }

    #[test]
    fn a_template_that_could_go_wrong_is_refused_with_help() {
        for (template, complaint) in [
            ("", "the topic has no name"),
            ("..", "this is no topic's name"),
            ("order events", "this is no topic's name"),
            ("orders.{event_type", "a brace is not closed"),
            ("orders.{}", "no header name in the braces"),
            ("orders.}", "this is no topic's name"),
            ("{event_type}", "a topic must not begin with a header"),
            (&"x".repeat(250), "the topic's name is too long"),
        ] {
            let error = TopicTemplate::try_from(template.to_owned()).unwrap_err();
            let (what, help) = error.split_once('\n').expect("a second line that helps");
            assert_eq!(what, complaint, "{template}");
            assert!(!help.is_empty());
        }
    }
}
