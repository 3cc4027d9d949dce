//! The columns of a checkpoint table, and what is wrong with a table.

use std::collections::BTreeMap;

use scylla::client::session::Session;
use weir_sdk::config::Problem;
use weir_sdk::{Error, ErrorKind};

use super::config::CheckpointConfig;
use crate::session::schema;

/// Every column: its name, its type, and its kind as the schema calls it.
pub const COLUMNS: [(&str, &str, &str); 10] = [
    ("pipeline", "text", "partition_key"),
    ("sink", "text", "partition_key"),
    ("slot", "int", "clustering"),
    ("identity", "text", "static"),
    ("owner", "uuid", "static"),
    ("holder", "text", "static"),
    ("saves", "bigint", "static"),
    ("saved_at", "timestamp", "static"),
    ("source_partition", "text", "regular"),
    ("source_offset", "blob", "regular"),
];

/// The table, quoted.
pub fn quoted(config: &CheckpointConfig) -> String {
    schema::quoted(&config.keyspace, &config.table)
}

/// Compares the table with what is needed.
///
/// # Errors
/// `Config`, with the statement that repairs each problem.
pub async fn check(session: &Session, config: &CheckpointConfig) -> Result<(), Error> {
    let found = schema::columns(session, &config.keyspace, &config.table).await?;
    let has_keyspace = schema::has_keyspace(session, &config.keyspace).await?;
    let problems = problems(config, has_keyspace, &found);
    if problems.is_empty() {
        return Ok(());
    }
    let told: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    let message = format!("the checkpoint table will not do: {}", told.join("; "));
    let advice: Vec<_> = problems.iter().filter_map(|problem| problem.help.as_deref()).collect();
    Err(Error::new(ErrorKind::Config, message).advice(advice.join(" ")))
}

fn problems(
    config: &CheckpointConfig,
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
    for (name, wanted, kind) in COLUMNS {
        match found.get(name) {
            Some((of_type, found)) if of_type == wanted && found == kind => {}
            None if !schema::is_key(kind) => {
                let word = if kind == "static" { " static" } else { "" };
                let help = format!("ALTER TABLE {table} ADD {name} {wanted}{word};");
                problems.push(problem(format!("{table} has no column `{name}`"), help));
            }
            _ => {
                let message = format!("{table} is another table: its `{name}` is no {kind} column {wanted}");
                let help = format!("name a table of its own: {}", create(&table));
                return vec![problem(message, help)];
            }
        }
    }
    let keys = found.values().filter(|(_, kind)| schema::is_key(kind)).count();
    if keys > 3 {
        let message = format!("{table} is another table: its key has more columns");
        return vec![problem(message, format!("name a table of its own: {}", create(&table)))];
    }
    problems
}

fn create(table: &str) -> String {
    let column = |(name, of_type, kind): (&str, &str, &str)| match kind {
        "static" => format!("{name} {of_type} static"),
        _ => format!("{name} {of_type}"),
    };
    let columns = COLUMNS.map(column).join(", ");
    format!("CREATE TABLE {table} ({columns}, PRIMARY KEY ((pipeline, sink), slot));")
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, problems};
    use crate::checkpoint::CheckpointConfig;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[test]
    fn each_complaint_names_the_statement_that_repairs_it() {
        let block = json!({"session": {"contact_points": ["a"]}, "keyspace": "ks", "table": "places"});
        let config: CheckpointConfig = weir_sdk::config::read(&block).unwrap();
        let told = |has_keyspace: bool, found: &BTreeMap<String, (String, String)>| {
            let problems = problems(&config, has_keyspace, found);
            problems.into_iter().map(|problem| problem.help.unwrap()).collect::<Vec<_>>()
        };
        let column = |(name, of_type, kind): (&str, &str, &str)| {
            (name.to_owned(), (of_type.to_owned(), kind.to_owned()))
        };
        let whole: BTreeMap<_, _> = COLUMNS.map(column).into_iter().collect();
        assert!(told(true, &whole).is_empty());
        assert!(told(false, &BTreeMap::new())[0].starts_with(r#"CREATE KEYSPACE "ks""#));
        let create = told(true, &BTreeMap::new());
        assert!(create[0].starts_with(r#"CREATE TABLE "ks"."places" (pipeline text, sink text, slot int, "#));
        let mut partial = whole.clone();
        partial.remove("holder");
        partial.remove("source_offset");
        assert_eq!(
            told(true, &partial),
            [
                r#"ALTER TABLE "ks"."places" ADD holder text static;"#,
                r#"ALTER TABLE "ks"."places" ADD source_offset blob;"#
            ]
        );
        let mut other = whole.clone();
        other.insert("slot".into(), ("bigint".into(), "clustering".into()));
        assert!(told(true, &other)[0].starts_with("name a table of its own: CREATE TABLE"));
        let mut longer = whole;
        longer.insert("day".into(), ("date".into(), "clustering".into()));
        assert!(told(true, &longer)[0].starts_with("name a table of its own: CREATE TABLE"));
    }
}
