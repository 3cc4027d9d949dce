//! `filter`: keeps the records that meet a condition.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::config::Problem;
use weir_sdk::{Error, Record, Transform, TransformConnector};

use crate::condition::{Condition, View, When};
use weir_sdk::json::Lookup;

/// The filter transform.
#[derive(Clone, Copy, Debug)]
pub struct Filter;

/// Keeps the records that meet a condition on a header or on a field of a JSON payload, and drops the others.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct FilterConfig(When);

impl TransformConnector for Filter {
    const NAME: &'static str = "filter";
    type Config = FilterConfig;

    fn check(&self, config: &FilterConfig) -> Vec<Problem> {
        Keep::of(config).err().unwrap_or_default()
    }

    fn build(&self, config: FilterConfig) -> Result<Arc<dyn Transform>, Error> {
        Ok(Arc::new(Keep::of(&config).map_err(Error::config)?))
    }
}

struct Keep {
    condition: Condition,
    lookup: Lookup,
}

impl Keep {
    fn of(config: &FilterConfig) -> Result<Self, Vec<Problem>> {
        let mut lookup = Lookup::default();
        Ok(Self { condition: config.0.compile(&mut lookup)?, lookup })
    }
}

impl Transform for Keep {
    fn apply(&self, record: Record, out: &mut Vec<Record>) -> Result<(), Error> {
        if self.condition.holds(&mut View::new(&record, &self.lookup))? {
            out.push(record);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::{Value, json};
    use weir_sdk::testing::{RecordExt as _, record, tombstone};

    use super::Filter;
    use crate::tests::{made, problems, refused};

    fn keeps(config: Value, record: weir_sdk::Record) -> bool {
        let made = made(Filter, config, record.clone());
        assert!(made.is_empty() || made == [record], "it is kept as it is");
        !made.is_empty()
    }

    #[test]
    fn a_header_decides() {
        let typed = |kind: &str| record("k", "no json").header("event_type", kind);
        let one_of =
            json!({ "header": "event_type", "in": ["OrderCreated", "OrderShipped, OrderDelivered"] });
        assert!(
            keeps(one_of.clone(), typed("OrderCreated")) && keeps(one_of.clone(), typed("OrderDelivered"))
        );
        assert!(!keeps(one_of.clone(), typed("OrderUpdated")) && !keeps(one_of, record("k", "v")));

        let none_of = json!({ "header": "event_type", "not_in": "OrderUpdated" });
        assert!(keeps(none_of.clone(), typed("OrderCreated")) && keeps(none_of.clone(), record("k", "v")));
        assert!(!keeps(none_of, typed("OrderUpdated")));

        let there = json!({ "header": "event_type", "exists": true });
        assert!(keeps(there.clone(), typed("")) && !keeps(there, record("k", "v")));
        let version = json!({ "header": "event_version", "equals": 2 });
        assert!(keeps(version.clone(), record("k", "v").header("event_version", "2")));
        assert!(!keeps(version, record("k", "v").header("event_version", "20")));
    }

    #[test]
    fn a_field_of_the_payload_decides() {
        let paid = json!({ "json": "$.status", "equals": "paid" });
        assert!(keeps(paid.clone(), record("k", r#"{"status":"paid"}"#)));
        assert!(keeps(paid.clone(), record("k", r#"{"status":"p\u0061id"}"#)));
        for other in [r#"{"status":"open"}"#, r#"{"status":null}"#, "{}", "[]", "\"paid\""] {
            assert!(!keeps(paid.clone(), record("k", other)), "{other}");
        }
        assert!(!keeps(paid, tombstone("k")));
        let many = json!({ "json": "$.items[0].count", "in": [1, 2] });
        assert!(keeps(many.clone(), record("k", r#"{"items":[{"count":2.0}]}"#)));
        assert!(!keeps(many, record("k", r#"{"items":[{"count":3}]}"#)));
        let gone = json!({ "json": "$.deleted_at", "exists": false });
        assert!(
            keeps(gone.clone(), record("k", r#"{"deleted_at":null}"#)) && keeps(gone.clone(), tombstone("k"))
        );
        assert!(!keeps(gone, record("k", r#"{"deleted_at":""}"#)));
    }

    #[test]
    fn a_payload_that_is_no_json_is_at_fault() {
        let error = refused(Filter, json!({ "json": "$.status", "exists": false }), record("k", "{hunter2"));
        assert_eq!(error.to_string(), "the payload is not JSON, as line 1 column 2 shows");
    }

    #[test]
    fn what_makes_no_condition_is_told_with_its_place() {
        let told = problems(
            Filter,
            &[
                json!({}),
                json!({ "header": "a", "json": "$.a", "equals": 1, "in": [2] }),
                json!({ "header": "", "not_in": [] }),
                json!({ "json": "status", "equal": [1] }),
                json!({ "header": "a", "in": [["x"], {}], "exists": "maybe" }),
            ],
        );
        expect![[r#"
            {}
              nothing to look at | name a `header`, or a `json` path such as `$.status`
              nothing is asked | write `equals`, `in`, `not_in` or `exists`
            {"equals":1,"header":"a","in":[2],"json":"$.a"}
              /json: `header` and `json` exclude each other | look at one of them; two transforms, one after the other, look at both
              /in: `equals` and `in` exclude each other | ask one thing
            {"header":"","not_in":[]}
              /header: a header has a name
              /not_in: this list is empty | write at least one value
            {"equal":[1],"json":"status"}
              /equal: unknown key `equal` | did you mean `equals`?
              /json: a path begins with `$` | for example `$.status`
            {"exists":"maybe","header":"a","in":[["x"],{}]}
              /exists: expected `true` or `false`, found text | yes, no, on and off are text in YAML 1.2
              /in/0: expected text, a number, `true` or `false`, found a list
              /in/1: expected text, a number, `true` or `false`, found a map
        "#]].assert_eq(&told);
    }
}
