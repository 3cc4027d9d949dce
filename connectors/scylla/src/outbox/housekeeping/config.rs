//! The `housekeeping:` block of `scylla-outbox`.

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::TaskId;
use weir_sdk::config::{HumanDuration, Problem, child};

/// Deletes the rows that every consumer has passed, and finds those that one has not. The same block stands in each
/// pipeline that reads the outbox.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HousekeepingConfig {
    /// Every consumer that must have passed a row, each as PIPELINE/SINK. The first one does the work; the others tell
    /// what they have passed.
    pub consumers: Vec<String>,
    /// The age at which rows are looked at: more than `safety`, less than the log's TTL.
    #[serde(default = "default_after")]
    pub after: HumanDuration,
    /// Whether rows that every consumer has passed are deleted; otherwise those that one has not passed are reported, and
    /// that is all.
    pub delete: bool,
    /// The table in the outbox's keyspace where consumers tell what they have passed; a complaint about one that is absent
    /// holds the statement that makes it.
    #[serde(default = "default_table")]
    pub table: String,
}

impl HousekeepingConfig {
    /// Must this task have passed a row before it is deleted?
    pub fn names(&self, task: &TaskId) -> bool {
        let task = task.to_string();
        self.consumers.contains(&task)
    }

    /// Problems that the types cannot express, of an outbox table whose rows may come `safety` late.
    pub fn problems(&self, outbox: &str, safety: Duration) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.consumers.is_empty() {
            let help = "name each as PIPELINE/SINK, for example `orders/publisher`";
            problems.push(Problem::new("/consumers", "no consumer is named").help(help));
        }
        let mut known = BTreeSet::new();
        for (index, consumer) in self.consumers.iter().enumerate() {
            let pointer = child("/consumers", index);
            if !is_task(consumer) {
                let help = "for example `orders/publisher`: the names of the pipeline and of its sink";
                problems.push(Problem::new(pointer, "expected PIPELINE/SINK").help(help));
            } else if !known.insert(consumer) {
                problems.push(Problem::new(pointer, "this consumer is named twice").help("name it once"));
            }
        }
        if self.after.get() <= safety {
            let help = "until then rows may still come; the default is `1h`";
            problems.push(Problem::new("/after", "expected more than `safety`").help(help));
        }
        if self.table.is_empty() || self.table == outbox {
            let help = "leave it out, and it is `outbox_passed`";
            problems.push(Problem::new("/table", "expected the name of a table of its own").help(help));
        }
        problems
    }
}

fn is_task(consumer: &str) -> bool {
    let parts: Vec<_> = consumer.split('/').collect();
    matches!(parts.as_slice(), [pipeline, sink] if !pipeline.is_empty() && !sink.is_empty())
}

fn default_after() -> HumanDuration {
    HumanDuration::from_secs(3600)
}

fn default_table() -> String {
    "outbox_passed".to_owned()
}

#[cfg(test)]
mod tests {
    use super::HousekeepingConfig;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn consumers_and_whether_to_delete_are_enough_and_all_problems_come_at_once() {
        let read = |block| weir_sdk::config::read::<HousekeepingConfig>(&block).unwrap();
        let safety = Duration::from_secs(120);
        let short = read(json!({"consumers": "orders/topic,views/table", "delete": false}));
        assert_eq!((short.problems("outbox", safety), short.consumers.len()), (vec![], 2));
        assert_eq!((short.after.to_string(), short.table.as_str()), ("1h".to_owned(), "outbox_passed"));
        let wrong = read(json!({
            "consumers": ["orders", "a/b", "a/b", "/b"], "after": "2m", "delete": true, "table": "outbox"
        }));
        let pointers: Vec<_> = wrong.problems("outbox", safety).into_iter().map(|it| it.pointer).collect();
        assert_eq!(pointers, ["/consumers/0", "/consumers/2", "/consumers/3", "/after", "/table"]);
    }
}
