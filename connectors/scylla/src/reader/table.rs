//! What must be true of a table before its log is read, as the schema tells it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use scylla::client::session::Session;
use scylla::deserialize::row::DeserializeRow;
use scylla::response::query_result::QueryRowsResult;
use uuid::Uuid;
use weir_sdk::Error;
use weir_sdk::config::Problem;

use crate::session::errors::{Classify, shape};
use crate::session::schema::{has_keyspace, no_keyspace, quoted};

/// A table as the schema describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    keyspace: String,
    name: String,
    id: Uuid,
    cdc: BTreeMap<String, String>,
    columns: BTreeMap<String, Column>,
    partition_key: Vec<String>,
    clustering_key: Vec<String>,
    tablets: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    cql: String,
    /// `partition_key`, `clustering`, `static` or `regular`.
    kind: String,
}

const TABLETS: &str = "SELECT initial_tablets FROM system_schema.scylla_keyspaces WHERE keyspace_name = ?";
const ID: &str = "SELECT id, extensions FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?";
const CDC: &str = "SELECT cdc FROM system_schema.scylla_tables WHERE keyspace_name = ? AND table_name = ?";
const COLUMNS: &str = "SELECT column_name, type, kind, position FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?";

impl Table {
    /// Reads the schema of a table.
    ///
    /// # Errors
    /// `Config` when there is no such table.
    pub async fn read(session: &Arc<Session>, keyspace: &str, name: &str) -> Result<Self, Error> {
        let of_keyspace = ask(session, TABLETS, &[keyspace]).await?;
        let tablets = first::<(Option<i32>,)>(&of_keyspace)?.is_some_and(|(tablets,)| tablets.is_some());
        let of_table = ask(session, ID, &[keyspace, name]).await?;
        let Some((id, extensions)) = first::<(Uuid, Option<BTreeMap<String, &[u8]>>)>(&of_table)? else {
            let has_keyspace = has_keyspace(session, keyspace).await?;
            return Err(refused(vec![absent(has_keyspace, keyspace, name)]));
        };
        let of_table = ask(session, CDC, &[keyspace, name]).await?;
        let cdc = first::<(Option<BTreeMap<String, String>>,)>(&of_table)?.and_then(|(cdc,)| cdc);
        // Where a release fills only one of the two places, that one counts.
        let cdc = cdc.or_else(|| options(extensions?.get("cdc")?));
        let answer = ask(session, COLUMNS, &[keyspace, name]).await?;
        let mut columns = BTreeMap::new();
        let [mut partition_key, mut clustering_key] = [BTreeMap::new(), BTreeMap::new()];
        for row in answer.rows::<(String, String, String, i32)>().map_err(shape)? {
            let (column, cql, kind, position) = row.map_err(shape)?;
            match kind.as_str() {
                "partition_key" => drop(partition_key.insert(position, column.clone())),
                "clustering" => drop(clustering_key.insert(position, column.clone())),
                _ => {}
            }
            columns.insert(column, Column { cql, kind });
        }
        Ok(Self {
            keyspace: keyspace.into(),
            name: name.into(),
            id,
            cdc: cdc.unwrap_or_default(),
            columns,
            partition_key: partition_key.into_values().collect(),
            clustering_key: clustering_key.into_values().collect(),
            tablets,
        })
    }

    /// Names the table beyond its configuration: dropped and made again it is another one.
    pub fn identity(&self) -> String {
        format!("scylla:{}.{}:{}", self.keyspace, self.name, self.id.hyphenated())
    }

    /// Its id, which no other table ever has.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The keyspace's name.
    pub fn keyspace(&self) -> &str {
        &self.keyspace
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `"keyspace"."table"`.
    pub fn quoted(&self) -> String {
        quoted(&self.keyspace, &self.name)
    }

    /// The log, quoted.
    pub fn log(&self) -> String {
        quoted(&self.keyspace, &format!("{}_scylla_cdc_log", self.name))
    }

    /// The type of a column in CQL, in lower case; `None` when there is no such column.
    pub fn column(&self, name: &str) -> Option<&str> {
        self.columns.get(name).map(|column| column.cql.as_str())
    }

    /// Is it a column that each row has for itself, beside its key? Only such a one has a time of writing.
    pub fn is_regular(&self, name: &str) -> bool {
        self.columns.get(name).is_some_and(|column| column.kind == "regular")
    }

    /// Is it a column that all rows of a partition share?
    pub fn is_static(&self, name: &str) -> bool {
        self.columns.get(name).is_some_and(|column| column.kind == "static")
    }

    /// The columns whose values name a partition, in their order.
    pub fn partition_key(&self) -> &[String] {
        &self.partition_key
    }

    /// The columns whose values name a row within its partition, in their order.
    pub fn clustering_key(&self) -> &[String] {
        &self.clustering_key
    }

    /// The columns whose values name a row.
    pub fn primary_key(&self) -> impl Iterator<Item = &str> {
        self.partition_key.iter().chain(&self.clustering_key).map(String::as_str)
    }

    /// The names of the columns.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.keys().map(String::as_str)
    }

    /// Its log has streams of its own, one for each tablet.
    pub fn uses_tablets(&self) -> bool {
        self.tablets
    }

    /// How long a row of the log lives; `None` is for ever.
    pub fn ttl(&self) -> Option<Duration> {
        let seconds = self.option("ttl").and_then(|ttl| ttl.parse().ok()).unwrap_or(86_400);
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    /// Why the log cannot be read, each with the CQL that repairs it.
    pub fn problems(&self, safety: Duration) -> Vec<Problem> {
        let table = |message: String| Problem::new("/table", message);
        if !self.option("enabled").is_some_and(truth) {
            return vec![
                table(format!("the table {} has no CDC log", self.quoted())).help(self.alter(86_400)),
            ];
        }
        let mut problems = Vec::new();
        if self.option("delta").is_some_and(|delta| delta != "full") {
            let message = format!("the CDC log of {} holds keys only", self.quoted());
            problems.push(table(message).help(self.alter(self.ttl().map_or(0, |ttl| ttl.as_secs()))));
        }
        if let Some(ttl) = self.ttl().filter(|ttl| *ttl <= safety) {
            let message = format!(
                "the CDC log of {} forgets rows after {} s, before a late one is looked for",
                self.quoted(),
                ttl.as_secs()
            );
            problems.push(table(message).help(format!("{} (or a smaller `safety`)", self.alter(86_400))));
        }
        problems
    }

    /// Which of the images that are wanted the log does not keep, with the CQL that repairs it.
    pub fn lacking_images(&self, before: bool, after: bool) -> Vec<Problem> {
        let keeps = |option| self.option(option).is_some_and(|value| truth(value) || value == "full");
        let lacks = [(before, "preimage", "before"), (after, "postimage", "after")];
        let lacks =
            lacks.map(|(wanted, option, image)| (wanted && !keeps(option)).then_some((option, image)));
        let ttl = self.ttl().map_or(0, |ttl| ttl.as_secs());
        let pre = if before { "full" } else { self.option("preimage").unwrap_or("false") };
        let post = if after { "true" } else { self.option("postimage").unwrap_or("false") };
        let lacking = lacks.into_iter().flatten().map(|(option, image)| {
            let message = format!(
                "the CDC log of {} keeps no `{option}`, so no row is shown as it was {image} a change",
                self.quoted()
            );
            Problem::new("/images", message).help(self.alter_to(ttl, pre, post))
        });
        lacking.collect()
    }

    /// What was `found` in the table, if nothing is wrong with it or its log.
    ///
    /// # Errors
    /// `Config` with everything that is wrong, in one report.
    pub fn sound<T>(&self, safety: Duration, found: Result<T, Vec<Problem>>) -> Result<T, Error> {
        let mut problems = self.problems(safety);
        match found {
            Ok(found) if problems.is_empty() => return Ok(found),
            Ok(_) => {}
            Err(more) => problems.extend(more),
        }
        Err(refused(problems))
    }

    /// The statement that makes the log readable; an ALTER replaces all options, so those that are set are kept.
    fn alter(&self, ttl: u64) -> String {
        let kept = |option| self.option(option).unwrap_or("false");
        self.alter_to(ttl, kept("preimage"), kept("postimage"))
    }

    fn alter_to(&self, ttl: u64, preimage: &str, postimage: &str) -> String {
        let option = |name, value: &str| match value {
            "false" => String::new(),
            value => format!(", '{name}': '{value}'"),
        };
        let (pre, post) = (option("preimage", preimage), option("postimage", postimage));
        format!(
            "ALTER TABLE {} WITH cdc = {{'enabled': true, 'delta': 'full', 'ttl': {ttl}{pre}{post}}};",
            self.quoted()
        )
    }

    fn option(&self, name: &str) -> Option<&str> {
        self.cdc.get(name).map(String::as_str)
    }
}

/// What is wrong, with the statements that repair it as the advice.
pub fn refused(problems: Vec<Problem>) -> Error {
    let advice: Vec<_> = problems.iter().filter_map(|problem| problem.help.clone()).collect();
    Error::config(problems).advice(advice.join("; "))
}

fn absent(has_keyspace: bool, keyspace: &str, name: &str) -> Problem {
    if !has_keyspace {
        return no_keyspace(keyspace);
    }
    let table = quoted(keyspace, name);
    Problem::new("/table", format!("there is no table {table}")).help(format!(
        "CREATE TABLE {table} (aggregate_id uuid, sequence_number bigint, id uuid, event_id uuid, event_type text, event_version int, payload text, correlation_id uuid, causation_id uuid, created_at timestamp, PRIMARY KEY ((aggregate_id), sequence_number)) WITH cdc = {{'enabled': true, 'ttl': 86400}} AND default_time_to_live = 86400;"
    ))
}

/// ScyllaDB's own serialization of a map of text: a count, then keys and values, each behind its length, little endian.
fn options(mut bytes: &[u8]) -> Option<BTreeMap<String, String>> {
    let text = |bytes: &mut &[u8]| {
        let length = usize::try_from(bytes.try_get_u32_le().ok()?).ok()?;
        let (text, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        String::from_utf8(text.to_vec()).ok()
    };
    let options = bytes.try_get_u32_le().ok()?;
    (0..options).map(|_| Some((text(&mut bytes)?, text(&mut bytes)?))).collect()
}

fn truth(text: &str) -> bool {
    text.eq_ignore_ascii_case("true") || text == "1"
}

async fn ask(session: &Arc<Session>, text: &str, values: &[&str]) -> Result<QueryRowsResult, Error> {
    let answer = session.query_unpaged(text, values).await;
    let answer = answer.map_err(|error| error.classify().context("read the schema"))?;
    answer.into_rows_result().map_err(shape)
}

fn first<'f, R: DeserializeRow<'f, 'f>>(answer: &'f QueryRowsResult) -> Result<Option<R>, Error> {
    answer.maybe_first_row::<R>().map_err(shape)
}

#[cfg(test)]
mod tests {
    use super::{Table, options};
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn table(cdc: &[(&str, &str)]) -> Table {
        Table {
            keyspace: "orders_ks".into(),
            name: "outbox".into(),
            id: uuid::Uuid::nil(),
            cdc: cdc.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            columns: BTreeMap::new(),
            partition_key: Vec::new(),
            clustering_key: Vec::new(),
            tablets: false,
        }
    }

    #[test]
    fn options_are_read_from_the_older_place_too() {
        let bytes = [&[1, 0, 0, 0, 3, 0, 0, 0][..], b"ttl", &[2, 0, 0, 0], b"60"].concat();
        assert_eq!(options(&bytes), Some([("ttl".to_owned(), "60".to_owned())].into()));
        assert_eq!(options(&bytes[..12]), None);
        assert_eq!(options(&[255; 9]), None);
    }

    #[test]
    fn each_complaint_names_the_statement_that_repairs_it() {
        let help = |table: &Table| -> Vec<String> {
            let problems = table.problems(Duration::from_secs(120));
            problems.into_iter().map(|problem| problem.help.unwrap()).collect()
        };
        assert!(help(&table(&[("enabled", "true"), ("delta", "full"), ("ttl", "86400")])).is_empty());
        assert!(help(&table(&[("enabled", "true"), ("ttl", "0")])).is_empty(), "0 is for ever");
        assert_eq!(
            help(&table(&[("enabled", "false"), ("postimage", "true")])),
            [
                r#"ALTER TABLE "orders_ks"."outbox" WITH cdc = {'enabled': true, 'delta': 'full', 'ttl': 86400, 'postimage': 'true'};"#
            ]
        );
        let both = help(&table(&[("enabled", "true"), ("delta", "keys"), ("ttl", "60")]));
        assert_eq!(both.len(), 2);
        assert!(both[0].contains("'ttl': 60") && both[1].contains("'ttl': 86400"), "{both:?}");
        let tablets = Table { tablets: true, ..table(&[("enabled", "true")]) };
        assert!(help(&tablets).is_empty(), "either kind of log can be read");
    }
}
