//! What a rebuild needs of a table: an empty one like it beside it, or itself emptied.

use std::time::Duration;

use scylla::client::session::Session;
use scylla::statement::Statement;
use weir_sdk::{Error, ErrorKind};

use super::config::ProjectionConfig;
use super::table::Table;
use crate::session::errors::{Classify, shape};
use crate::session::schema::{self, quoted};

/// What is behind the name of a table in that of the one beside it.
const BESIDE: &str = "_rebuilt";
/// Longer names of tables there are not.
const LONGEST: usize = 48;
/// ScyllaDB gives a truncation 60 s by default.
const PATIENCE: Duration = Duration::from_secs(120);

/// An empty table beside the configured one; its name. One that is there already is left as it is, so that its columns
/// can be others.
///
/// # Errors
/// `Config` when there are rows in it, when the configured table is not there, or when it is the one that is named.
pub(super) async fn beside(
    session: &Session,
    config: &ProjectionConfig,
    name: Option<String>,
) -> Result<String, Error> {
    let given = name.is_some();
    let name = name.unwrap_or_else(|| format!("{}{BESIDE}", config.table));
    check(config, &name)?;
    if schema::columns(session, &config.keyspace, &name).await?.is_empty() {
        Table::read(session, config).await?;
        let statement = like(session, config, &name).await?;
        run(session, statement, "make a table like the one of the projection").await?;
    } else if has_rows(session, &config.keyspace, &name).await? {
        let advice = if given { "name another one" } else { "name another one with --into" };
        return Err(refused(format!("there are rows in the table {}", quoted(&config.keyspace, &name)))
            .advice(format!("{advice}, or drop or truncate this one if nobody needs it")));
    }
    Ok(name)
}

/// Takes every row out of the configured table, for good.
pub(super) async fn empty(session: &Session, config: &ProjectionConfig) -> Result<(), Error> {
    let statement = format!("TRUNCATE TABLE {}", quoted(&config.keyspace, &config.table));
    run(session, statement, "empty the table of the projection").await
}

fn check(config: &ProjectionConfig, name: &str) -> Result<(), Error> {
    let allowed = |char: char| char.is_ascii_alphanumeric() || char == '_';
    if name.is_empty() || name.len() > LONGEST || !name.chars().all(allowed) {
        return Err(refused(format!("`{name}` is no name of a table"))
            .advice(format!("name one with --into: 1 to {LONGEST} letters, digits and `_`")));
    }
    if name == config.table {
        return Err(refused(format!("{} is the table that is in use", quoted(&config.keyspace, name)))
            .advice("name another one; to rebuild it in place, give --truncate"));
    }
    Ok(())
}

/// The statement that makes a table of this name like the configured one: columns, key, order and options.
async fn like(session: &Session, config: &ProjectionConfig, name: &str) -> Result<String, Error> {
    let describe = format!("DESCRIBE TABLE {}", quoted(&config.keyspace, &config.table));
    let asked = session.query_unpaged(describe, ()).await;
    let answer = asked.map_err(|error| error.classify().context("have the table described"))?;
    let answer = answer.into_rows_result().map_err(shape)?;
    // Of a table with indexes or views these are described behind it.
    let described = answer.rows::<(String, String, String, String)>().map_err(shape)?.next();
    let (_, _, _, statement) = described.transpose().map_err(shape)?.unwrap_or_default();
    renamed(&statement, &quoted(&config.keyspace, name)).ok_or_else(|| {
        refused("ScyllaDB does not say how the table was made".into())
            .advice("make the new table by hand, and name it with --into")
    })
}

/// The statement for another name. What is before the first parenthesis are the verb and the name, which holds none.
fn renamed(statement: &str, name: &str) -> Option<String> {
    let (begin, rest) = statement.split_once('(')?;
    begin.trim_start().to_ascii_uppercase().starts_with("CREATE TABLE").then(|| {
        // Asked for twice, the second finds the table made.
        format!("CREATE TABLE IF NOT EXISTS {name} ({rest}")
    })
}

async fn has_rows(session: &Session, keyspace: &str, table: &str) -> Result<bool, Error> {
    let select = format!("SELECT * FROM {} LIMIT 1", quoted(keyspace, table));
    let asked = session.query_unpaged(select, ()).await;
    let answer = asked.map_err(|error| error.classify().context("look into the table"))?;
    Ok(answer.into_rows_result().map_err(shape)?.rows_num() > 0)
}

/// A change of the schema, or a truncation, takes longer than a write.
async fn run(session: &Session, statement: String, what: &'static str) -> Result<(), Error> {
    let mut statement = Statement::new(statement);
    statement.set_request_timeout(Some(PATIENCE));
    let ran = session.query_unpaged(statement, ()).await;
    ran.map(drop).map_err(|error| error.classify().context(what))
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use super::renamed;

    #[test]
    fn a_table_is_made_like_another_one() {
        let statement =
            "CREATE TABLE shop.\"Orders\" (\n    id uuid,\n    PRIMARY KEY (id)\n) WITH comment = '(x)';";
        let wanted = "CREATE TABLE IF NOT EXISTS \"shop\".\"new\" (\n    id uuid,\n    PRIMARY KEY (id)\n) WITH comment = '(x)';";
        assert_eq!(renamed(statement, "\"shop\".\"new\"").as_deref(), Some(wanted));
        assert_eq!(renamed("CREATE INDEX i ON shop.orders (id);", "x"), None);
    }
}
