//! The columns of a dead-letter table, and what is wrong with a table.

use std::collections::BTreeMap;

use scylla::client::session::Session;
use weir_sdk::Error;
use weir_sdk::config::Problem;

use super::config::DeadLetterConfig;
use crate::session::schema;

/// Every column with its type; the first is the key. Statements and rows have them in this order.
pub const COLUMNS: [(&str, &str); 21] = [
    ("id", "uuid"),
    ("pipeline", "text"),
    ("sink", "text"),
    ("stage", "text"),
    ("refused_by", "text"),
    ("error_kind", "text"),
    ("error_text", "text"),
    ("advice", "text"),
    ("attempts", "int"),
    ("replays", "int"),
    ("first_failed_at", "timestamp"),
    ("last_failed_at", "timestamp"),
    ("source_partition", "text"),
    ("source_offset", "blob"),
    ("event_id", "uuid"),
    ("event_type", "text"),
    ("aggregate_id", "text"),
    ("key", "blob"),
    ("payload", "blob"),
    ("headers", "frozen<list<frozen<tuple<text, blob>>>>"),
    ("timestamp_us", "bigint"),
];

/// The names of the columns, with commas.
pub fn names() -> String {
    COLUMNS.map(|(name, _)| name).join(", ")
}

/// The table, quoted.
pub fn quoted(config: &DeadLetterConfig) -> String {
    schema::quoted(&config.keyspace, &config.table)
}

/// Compares the table with what is needed.
///
/// # Errors
/// `Config`, with the statement that repairs each problem.
pub async fn check(session: &Session, config: &DeadLetterConfig) -> Result<(), Error> {
    let found = schema::columns(session, &config.keyspace, &config.table).await?;
    let has_keyspace = schema::has_keyspace(session, &config.keyspace).await?;
    let problems = problems(config, has_keyspace, &found);
    if problems.is_empty() {
        return Ok(());
    }
    let advice: Vec<_> = problems.iter().filter_map(|problem| problem.help.clone()).collect();
    Err(Error::config(problems).advice(advice.join(" ")))
}

fn problems(
    config: &DeadLetterConfig,
    has_keyspace: bool,
    found: &BTreeMap<String, (String, String)>,
) -> Vec<Problem> {
    let table = quoted(config);
    if !has_keyspace && found.is_empty() {
        return vec![schema::no_keyspace(&config.keyspace)];
    }
    let problem = |message: String, help: String| Problem::new("/table", message).help(help);
    if found.is_empty() {
        return vec![problem(format!("there is no table {table}"), create(&table))];
    }
    let mut problems = Vec::new();
    let keys: Vec<_> = found.iter().filter(|(_, (_, kind))| schema::is_key(kind)).collect();
    if !matches!(keys.as_slice(), [(name, _)] if *name == "id") {
        let help = format!("name another table: {}", create(&table));
        problems.push(problem(
            format!("{table} is not keyed by `id` alone, so repeats would not overwrite"),
            help,
        ));
    }
    let bare = |of_type: &str| of_type.replace(' ', "").to_lowercase();
    for (name, wanted) in COLUMNS {
        match found.get(name) {
            None => problems.push(problem(
                format!("{table} has no column `{name}`"),
                format!("ALTER TABLE {table} ADD {name} {wanted};"),
            )),
            Some((of_type, _)) if bare(of_type) != bare(wanted) => problems.push(problem(
                format!("the column `{name}` of {table} is {of_type}, not {wanted}"),
                format!("ALTER TABLE {table} DROP {name}; or name another table, since a dropped column cannot come back with another type"),
            )),
            Some(_) => {}
        }
    }
    problems
}

fn create(table: &str) -> String {
    let columns = COLUMNS.map(|(name, of_type)| format!("{name} {of_type}")).join(", ");
    format!("CREATE TABLE {table} ({columns}, PRIMARY KEY (id));")
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, problems};
    use crate::dead_letter::DeadLetterConfig;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn columns() -> BTreeMap<String, (String, String)> {
        let kind = |name: &str| if name == "id" { "partition_key" } else { "regular" };
        let column =
            |(name, of_type): (&str, &str)| (name.to_owned(), (of_type.to_owned(), kind(name).to_owned()));
        COLUMNS.map(column).into_iter().collect()
    }

    #[test]
    fn each_complaint_names_the_statement_that_repairs_it() {
        let block = json!({"session": {"contact_points": ["a"]}, "keyspace": "ks", "table": "dead"});
        let config: DeadLetterConfig = weir_sdk::config::read(&block).unwrap();
        let told = |found: &BTreeMap<_, _>| {
            let problems = problems(&config, true, found);
            problems.iter().map(|problem| problem.help.clone().unwrap()).collect::<Vec<_>>()
        };
        assert!(told(&columns()).is_empty());
        let [create] = told(&BTreeMap::new()).try_into().unwrap();
        assert!(create.starts_with(r#"CREATE TABLE "ks"."dead" (id uuid, pipeline text, "#), "{create}");
        let mut wrong = columns();
        wrong.remove("advice");
        wrong.insert("attempts".into(), ("text".into(), "regular".into()));
        wrong.insert("day".into(), ("date".into(), "clustering".into()));
        let told = told(&wrong);
        assert!(told[0].starts_with("name another table: CREATE TABLE"), "{told:?}");
        assert_eq!(told[1], r#"ALTER TABLE "ks"."dead" ADD advice text;"#);
        assert!(told[2].starts_with(r#"ALTER TABLE "ks"."dead" DROP attempts;"#), "{told:?}");
        assert_eq!(told.len(), 3);
    }
}
