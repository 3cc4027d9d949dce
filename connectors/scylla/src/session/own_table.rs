//! A table that Weir keeps something in: the columns it needs, and what is wrong with the one that is there.

use std::collections::BTreeMap;

use scylla::client::session::Session;
use weir_sdk::Error;
use weir_sdk::config::Problem;

use super::schema;

/// A column: its name, its type in CQL, and its kind as the schema calls it.
pub(crate) type Column = (&'static str, &'static str, &'static str);

/// A table by its name, with the columns that it needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnTable<'a> {
    /// The keyspace it lies in.
    pub keyspace: &'a str,
    /// Its name there.
    pub name: &'a str,
    /// Its columns, those of the key in their order.
    pub columns: &'a [Column],
}

impl OwnTable<'_> {
    /// `"keyspace"."table"`.
    pub(crate) fn quoted(&self) -> String {
        schema::quoted(self.keyspace, self.name)
    }

    /// What is wrong with the table that is there, each with the statement that repairs it; pointers are `/keyspace` and
    /// `/table`.
    ///
    /// # Errors
    /// What the database answers.
    pub(crate) async fn problems(&self, session: &Session) -> Result<Vec<Problem>, Error> {
        let found = schema::columns(session, self.keyspace, self.name).await?;
        let has_keyspace = !found.is_empty() || schema::has_keyspace(session, self.keyspace).await?;
        Ok(if has_keyspace { self.compare(&found) } else { vec![schema::no_keyspace(self.keyspace)] })
    }

    fn compare(&self, found: &BTreeMap<String, (String, String)>) -> Vec<Problem> {
        let table = self.quoted();
        let problem = |message: String, help: String| Problem::new("/table", message).help(help);
        if found.is_empty() {
            return vec![problem(format!("there is no table {table}"), self.create())];
        }
        let another = |why: String| {
            let help = format!("name a table of its own: {}", self.create());
            vec![problem(format!("{table} is another table: {why}"), help)]
        };
        let mut problems = Vec::new();
        for (name, wanted, kind) in self.columns {
            match found.get(*name) {
                Some((of_type, of_kind)) if same(of_type, wanted) && of_kind == kind => {}
                None if !schema::is_key(kind) => {
                    let word = if *kind == "static" { " static" } else { "" };
                    let help = format!("ALTER TABLE {table} ADD {name} {wanted}{word};");
                    problems.push(problem(format!("{table} has no column `{name}`"), help));
                }
                _ => return another(format!("its `{name}` is no {kind} column {wanted}")),
            }
        }
        let keys = found.values().filter(|(_, kind)| schema::is_key(kind)).count();
        let wanted = self.columns.iter().filter(|(_, _, kind)| schema::is_key(kind)).count();
        if keys > wanted { another("its key has more columns".to_owned()) } else { problems }
    }

    /// The statement that makes it.
    pub(crate) fn create(&self) -> String {
        let columns: Vec<_> = self.columns.iter().map(column).collect();
        let (partition, clustering) = (self.of_kind("partition_key"), self.of_kind("clustering"));
        let rest: String = clustering.iter().map(|name| format!(", {name}")).collect();
        format!(
            "CREATE TABLE {} ({}, PRIMARY KEY (({}){rest}));",
            self.quoted(),
            columns.join(", "),
            partition.join(", ")
        )
    }

    fn of_kind(&self, wanted: &str) -> Vec<&str> {
        self.columns.iter().filter(|(_, _, kind)| *kind == wanted).map(|(name, _, _)| *name).collect()
    }
}

fn column((name, of_type, kind): &Column) -> String {
    match *kind {
        "static" => format!("{name} {of_type} static"),
        _ => format!("{name} {of_type}"),
    }
}

/// Servers write types with spaces of their own.
fn same(found: &str, wanted: &str) -> bool {
    found.chars().filter(|c| *c != ' ').eq(wanted.chars().filter(|c| *c != ' '))
}

#[cfg(test)]
mod tests {
    use super::{Column, OwnTable};
    use std::collections::BTreeMap;

    const COLUMNS: [Column; 5] = [
        ("pipeline", "text", "partition_key"),
        ("sink", "text", "partition_key"),
        ("slot", "int", "clustering"),
        ("holder", "text", "static"),
        ("sums", "frozen<map<int, bigint>>", "regular"),
    ];

    #[test]
    fn each_complaint_names_the_statement_that_repairs_it() {
        let table = OwnTable { keyspace: "ks", name: "places", columns: &COLUMNS };
        let told = |found: &BTreeMap<_, _>| {
            let problems = table.compare(found).into_iter();
            problems.map(|problem| problem.help.unwrap()).collect::<Vec<_>>()
        };
        let column =
            |(name, of_type, kind): Column| (name.to_owned(), (of_type.replace(' ', ""), kind.to_owned()));
        let whole: BTreeMap<_, _> = COLUMNS.map(column).into();
        assert!(told(&whole).is_empty());
        let create = r#"CREATE TABLE "ks"."places" (pipeline text, sink text, slot int, holder text static, sums frozen<map<int, bigint>>, PRIMARY KEY ((pipeline, sink), slot));"#;
        assert_eq!(told(&BTreeMap::new()), [create]);
        let mut partial = whole.clone();
        partial.remove("holder");
        partial.remove("sums");
        assert_eq!(
            told(&partial),
            [
                r#"ALTER TABLE "ks"."places" ADD holder text static;"#,
                r#"ALTER TABLE "ks"."places" ADD sums frozen<map<int, bigint>>;"#
            ]
        );
        let mut other = whole.clone();
        other.insert("slot".into(), ("bigint".into(), "clustering".into()));
        assert_eq!(told(&other), [format!("name a table of its own: {create}")]);
        let mut longer = whole;
        longer.insert("day".into(), ("date".into(), "clustering".into()));
        assert_eq!(told(&longer), [format!("name a table of its own: {create}")]);
    }
}
