//! The `config:` block of `scylla-projection`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_sdk::config::{HumanDuration, Problem, child};

use super::expression::Expression;
use crate::session::SessionConfig;

/// The mapping that counts for every type of event that has none of its own.
pub const ANY: &str = "*";

/// A table kept equal to the last word on each key.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectionConfig {
    /// The cluster.
    pub session: SessionConfig,
    /// The keyspace of the table.
    pub keyspace: String,
    /// The table.
    pub table: String,
    /// The header that names the type of an event.
    #[serde(default = "type_header")]
    pub type_header: String,
    /// What decides which of two events is the later word.
    #[serde(default)]
    pub version: Version,
    /// Columns that every `upsert` and `update` sets; those of the primary key say which row a `delete` takes. A
    /// column that an event names itself counts instead.
    #[serde(default)]
    pub columns: BTreeMap<String, Expression>,
    /// What each type of event does to its row; `*` stands for every type that is not named.
    pub events: BTreeMap<String, Change>,
    /// What happens to an event whose type is not named.
    #[serde(default)]
    pub on_unmapped: OnUnmapped,
    /// How long what is written lives; without it for as long as the table says. Counted from the write, so an event
    /// that is projected again lives anew.
    #[serde(default)]
    pub ttl: Option<HumanDuration>,
}

/// What a type of event does to its row. `delete` and one of the others together move the row.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Change {
    /// Takes away the row with this key, as it was before the event.
    pub delete: Option<BTreeMap<String, Expression>>,
    /// Sets these columns, and makes the row if there is none.
    pub upsert: Option<BTreeMap<String, Expression>>,
    /// Sets these columns of a row that another type of event makes. Before that one has come, the columns wait in a
    /// row that has no others.
    pub update: Option<BTreeMap<String, Expression>>,
}

/// What decides which of two events is the later word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// The time of its write at the source: the header `source_time_us`, or the record's own time.
    #[default]
    Time,
    /// Its number: the header `sequence_number`. Only for a table that nothing else writes to, since the numbers become
    /// the write times of its cells.
    Sequence,
}

/// What happens to an event whose type is not named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnUnmapped {
    /// It is passed over, and counted.
    #[default]
    Ignore,
    /// It is refused by its own fault.
    DeadLetter,
    /// The task fails, so that somebody looks.
    Stop,
}

impl ProjectionConfig {
    /// Problems that the types cannot express and that need no look at the table.
    pub fn problems(&self) -> Vec<Problem> {
        let names = [
            ("/keyspace", self.keyspace.as_str()),
            ("/table", &self.table),
            ("/type_header", &self.type_header),
        ];
        let mut problems = self.session.check_beside(&names);
        if self.events.is_empty() {
            problems.push(Problem::new("/events", "no type of event is mapped").help(
                "name at least one, for example `OrderCreated: { upsert: { order_id: $.order_id } }`, or `*` for all",
            ));
        }
        for (name, change) in &self.events {
            problems.extend(change.problem().map(|problem| problem.under(&child("/events", name))));
        }
        if let Some(problem) = self.ttl.and_then(ttl_problem) {
            problems.push(problem);
        }
        problems
    }
}

impl Change {
    fn problem(&self) -> Option<Problem> {
        match (&self.upsert, &self.update, &self.delete) {
            (Some(_), Some(_), _) => {
                Some(Problem::at_key("/update", "`upsert` and `update` exclude each other").help(
                    "`upsert` makes the row where there is none; `update` leaves that to another type of event",
                ))
            }
            (None, None, None) => Some(
                Problem::at_key("", "this event does nothing")
                    .help("write `upsert`, `update` or `delete`; to pass events over, leave them out"),
            ),
            _ => None,
        }
    }
}

/// ScyllaDB's longest time to live is 20 years.
fn ttl_problem(ttl: HumanDuration) -> Option<Problem> {
    let allowed = 1..=20 * 365 * 86_400;
    let wrong = !allowed.contains(&ttl.get().as_secs()) || ttl.get().subsec_nanos() > 0;
    wrong.then(|| {
        Problem::new("/ttl", "expected whole seconds, one second to 20 years").help("for example `30d`")
    })
}

fn type_header() -> String {
    "event_type".into()
}

#[cfg(test)]
mod tests {
    use super::ProjectionConfig;
    use serde_json::{Value, json};

    fn problems(more: Value) -> Vec<(String, String)> {
        let mut block = json!({"session": {"contact_points": ["a"]}, "keyspace": "ks", "table": "t"});
        block.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let problems = match weir_sdk::config::read::<ProjectionConfig>(&block) {
            Ok(config) => config.problems(),
            Err(problems) => problems,
        };
        problems.into_iter().map(|problem| (problem.pointer, problem.message)).collect()
    }

    #[test]
    fn an_event_does_one_thing_or_moves_its_row() {
        let events = json!({"events": {
            "Made": {"upsert": {"id": "$.id"}},
            "Moved": {"delete": {"id": "$.before"}, "upsert": {"id": "$.id"}},
            "Gone": {"delete": {}},
        }});
        assert_eq!(problems(events), []);
        let events = json!({"ttl": "1500ms", "events": {
            "Both": {"upsert": {"id": "$.id"}, "update": {"id": "$.id"}}, "a/b": {},
        }});
        let told = problems(events);
        let pointers: Vec<_> = told.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(pointers, ["/events/Both/update", "/events/a~1b", "/ttl"], "{told:?}");
        assert_eq!(problems(json!({"events": {}}))[0].0, "/events");
        let told = problems(json!({"events": {"Made": {"upsrt": {"id": "$.id"}, "upsert": {"id": "$id"}}}}));
        assert_eq!(told.len(), 2, "{told:?}");
    }
}
