//! `route`: a header that says where a record goes, chosen by conditions.

use std::sync::Arc;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::config::Problem;
use weir_sdk::{Error, HeaderName, Record, Transform, TransformConnector};

use crate::condition::{Condition, View, When};
use weir_sdk::json::Lookup;

/// The route transform.
#[derive(Clone, Copy, Debug)]
pub struct Route;

/// Sets a header by cases, for a sink whose topic is made of it: `topic: "orders.{route}"`. The first case that a
/// record meets counts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// The header that is set.
    #[serde(default = "header")]
    header: String,
    /// The cases, in order.
    #[schemars(length(min = 1))]
    cases: Vec<Case>,
    /// The header's value where no case is met. Without it such a record stays as it is.
    otherwise: Option<String>,
}

/// A condition and what follows from it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Case {
    /// The condition.
    when: When,
    /// The header's value.
    to: String,
}

fn header() -> String {
    "route".to_owned()
}

impl TransformConnector for Route {
    const NAME: &'static str = "route";
    type Config = RouteConfig;

    fn check(&self, config: &RouteConfig) -> Vec<Problem> {
        Choose::of(config).err().unwrap_or_default()
    }

    fn build(&self, config: RouteConfig) -> Result<Arc<dyn Transform>, Error> {
        Ok(Arc::new(Choose::of(&config).map_err(Error::config)?))
    }
}

struct Choose {
    header: HeaderName,
    cases: Vec<(Condition, Bytes)>,
    otherwise: Option<Bytes>,
    lookup: Lookup,
}

impl Choose {
    fn of(config: &RouteConfig) -> Result<Self, Vec<Problem>> {
        let (mut lookup, mut cases, mut problems) = (Lookup::default(), Vec::new(), Vec::new());
        if config.header.is_empty() {
            problems.push(Problem::new("/header", "a header has a name"));
        }
        if config.cases.is_empty() {
            problems.push(Problem::new("/cases", "there must be at least one case"));
        }
        for (index, case) in config.cases.iter().enumerate() {
            match case.when.compile(&mut lookup) {
                Ok(condition) => cases.push((condition, Bytes::from(case.to.clone()))),
                Err(found) => {
                    let below = format!("/cases/{index}/when");
                    problems.extend(found.into_iter().map(|problem| problem.under(&below)));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let header = HeaderName::from(config.header.clone());
        Ok(Self { header, cases, otherwise: config.otherwise.clone().map(Bytes::from), lookup })
    }

    fn choose(&self, record: &Record) -> Result<Option<&Bytes>, Error> {
        let mut view = View::new(record, &self.lookup);
        for (condition, to) in &self.cases {
            if condition.holds(&mut view)? {
                return Ok(Some(to));
            }
        }
        Ok(self.otherwise.as_ref())
    }
}

impl Transform for Choose {
    fn apply(&self, mut record: Record, out: &mut Vec<Record>) -> Result<(), Error> {
        if let Some(to) = self.choose(&record)?.cloned() {
            record.headers.set(self.header.clone(), to);
        }
        out.push(record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::{Value, json};
    use weir_sdk::Record;
    use weir_sdk::testing::{RecordExt as _, record, tombstone};

    use super::Route;
    use crate::tests::{made, problems, refused};

    fn config() -> Value {
        json!({
            "cases": [
                { "when": { "header": "event_type", "in": ["OrderShipped", "OrderDelivered"] }, "to": "shipping" },
                { "when": { "json": "$.total", "equals": 0 }, "to": "free" },
                { "when": { "json": "$.customer.vip", "exists": true }, "to": "vip" },
            ],
            "otherwise": "rest",
        })
    }

    fn route(record: Record) -> String {
        let made = made(Route, config(), record);
        let [record] = &made[..] else { panic!("one record: {made:?}") };
        String::from_utf8(record.headers.get("route").expect("it is set").to_vec()).expect("text")
    }

    #[test]
    fn the_first_case_that_is_met_counts() {
        assert_eq!(route(record("k", "no json").header("event_type", "OrderShipped")), "shipping");
        assert_eq!(route(record("k", r#"{"total":0.0,"customer":{"vip":1}}"#)), "free");
        assert_eq!(route(record("k", r#"{"total":1,"customer":{"vip":1}}"#)), "vip");
        assert_eq!(route(record("k", "{}").header("event_type", "OrderCreated")), "rest");
        assert_eq!(route(tombstone("k")), "rest");
        assert_eq!(route(record("k", "{}").header("route", "elsewhere")), "rest");
        let error = refused(Route, config(), record("k", "hunter2"));
        assert_eq!(error.to_string(), "the payload is not JSON, as line 1 column 1 shows");
    }

    #[test]
    fn without_otherwise_a_record_that_meets_no_case_stays_as_it_is() {
        let config =
            json!({ "header": "to", "cases": [{ "when": { "header": "a", "exists": true }, "to": "x" }] });
        let other = record("k", "v").header("to", "before");
        assert_eq!(made(Route, config.clone(), other.clone()), [other]);
        let met = made(Route, config, record("k", "v").header("to", "before").header("a", "1"));
        assert_eq!(format!("{:?}", met[0].headers), r#"{"a": Some(b"1"), "to": Some(b"x")}"#);
    }

    #[test]
    fn mistakes_are_told_with_their_places() {
        let told = problems(
            Route,
            &[
                json!({}),
                json!({ "header": "", "cases": [] }),
                json!({ "cases": [{ "when": {}, "to": "x" }, { "when": { "header": "a", "is": 1 } }] }),
                json!({ "cases": [{ "when": { "header": "a", "exists": true }, "to": "x" }, { "when": { "json": "$.a" }, "to": "y" }] }),
            ],
        );
        expect![[r#"
            {}
              `cases` is missing | cases: The cases, in order.
            {"cases":[],"header":""}
              /header: a header has a name
              /cases: there must be at least one case
            {"cases":[{"to":"x","when":{}},{"when":{"header":"a","is":1}}]}
              /cases/1/when/is: unknown key `is` | known keys: header, json, equals, in, not_in, exists
              /cases/1: `to` is missing | to: The header's value.
            {"cases":[{"to":"x","when":{"exists":true,"header":"a"}},{"to":"y","when":{"json":"$.a"}}]}
              /cases/1/when: nothing is asked | write `equals`, `in`, `not_in` or `exists`
        "#]]
        .assert_eq(&told);
    }
}
