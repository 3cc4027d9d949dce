//! Blocks against a table: the statements they become, and what is wrong with those that fit none.

use serde_json::{Value, json};

use super::super::config::ProjectionConfig;
use super::super::table::{Column, Table};
use super::{Bind, plans};

fn table() -> Table {
    let column = |(name, of_type, is_key): (&str, &str, bool)| {
        (name.to_owned(), Column { of_type: of_type.to_owned(), is_key })
    };
    let columns = [
        ("status", "text", true),
        ("created_at", "timestamp", true),
        ("order_id", "uuid", true),
        ("customer_id", "uuid", false),
        ("seen", "counter", false),
        ("items", "list<int>", false),
    ];
    Table { name: r#""ks"."by_status""#.into(), columns: columns.map(column).into() }
}

fn config(events: Value, columns: Value) -> ProjectionConfig {
    weir_sdk::config::read(&json!({
        "session": {"contact_points": ["a"]}, "keyspace": "ks", "table": "by_status",
        "events": events, "columns": columns,
    }))
    .unwrap()
}

fn key() -> Value {
    json!({"status": "$.status", "created_at": "$.at", "order_id": "{aggregate_id}", "customer_id": "$.customer"})
}

#[test]
fn an_event_becomes_statements_and_shared_columns_fill_in() {
    let events = json!({"Moved": {"delete": {"status": "$.before"}, "upsert": {}}, "Seen": {"update": {}}});
    let plans = plans(&config(events, key()), &table()).unwrap();
    let shown: Vec<_> =
        plans.iter().flat_map(|(_, plan)| &plan.statements).map(|one| one.text.as_str()).collect();
    assert_eq!(
        shown,
        [
            r#"DELETE FROM "ks"."by_status" USING TIMESTAMP ? WHERE "created_at" = ? AND "order_id" = ? AND "status" = ?"#,
            r#"INSERT INTO "ks"."by_status" ("customer_id", "created_at", "order_id", "status") VALUES (?, ?, ?, ?) USING TIMESTAMP ?"#,
            r#"UPDATE "ks"."by_status" USING TIMESTAMP ? SET "customer_id" = ? WHERE "created_at" = ? AND "order_id" = ? AND "status" = ?"#,
        ]
    );
    let bound = |bind: &Bind| match bind {
        Bind::Time(less) => format!("time - {less}"),
        Bind::Column(cell) => cell.expression.to_string(),
    };
    let bound = |statement: usize| -> Vec<_> {
        let mut statements = plans.iter().flat_map(|(_, plan)| &plan.statements);
        statements.nth(statement).unwrap().binds.iter().map(bound).collect()
    };
    assert_eq!(bound(0), ["time - 1", "$.at", "{aggregate_id}", "$.before"]);
    assert_eq!(bound(1), ["$.customer", "$.at", "{aggregate_id}", "$.status", "time - 0"]);
}

#[test]
fn every_problem_is_told_with_its_place() {
    let events = json!({
        "Created": {"upsert": {"custmer_id": "$.customer", "seen": 1, "items": "$.items"}},
        "Gone": {"delete": {"customer_id": "$.customer"}},
    });
    let problems = plans(&config(events, key()), &table()).unwrap_err();
    let told: Vec<_> = problems
        .iter()
        .map(|problem| (problem.pointer.as_str(), problem.help.as_deref().unwrap_or_default()))
        .collect();
    assert_eq!(
        told,
        [
            ("/events/Created/upsert/custmer_id", "did you mean `customer_id`?"),
            ("/events/Created/upsert/items", "make it a `frozen<list<…>>`, or a set or map"),
            ("/events/Created/upsert/seen", "keep the number itself in the event"),
            (
                "/events/Gone/delete/customer_id",
                "to empty columns only, `update` them from a field that is null"
            ),
        ]
    );
    let events = json!({"Created": {"upsert": {"status": "$.status"}}});
    let problems = plans(&config(events, json!({})), &table()).unwrap_err();
    assert_eq!(problems[0].message, "nothing says what `created_at` is, a part of the primary key");
    let events = json!({"Created": {"update": {"status": 1, "created_at": 0, "order_id": "{key}"}}});
    let problems = plans(&config(events, json!({})), &table()).unwrap_err();
    assert_eq!(problems[0].message, "this changes nothing but the key");
}
