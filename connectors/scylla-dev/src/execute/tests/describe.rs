//! Whatever a table is like, the statement that describes it makes it again.
use std::sync::OnceLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::Database;
use crate::schema::describe::Internals;
use crate::value::types;

const NATIVE: [&str; 18] = [
    "ascii",
    "bigint",
    "blob",
    "boolean",
    "decimal",
    "double",
    "float",
    "int",
    "timestamp",
    "uuid",
    "text",
    "varint",
    "timeuuid",
    "inet",
    "date",
    "time",
    "smallint",
    "tinyint",
];

/// Plain ones, words of the language, and what only quotes make a name.
fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z][a-z0-9_]{0,8}", Just("select".to_owned()), "[A-Z]{1,3}", "[ -~µ]{1,6}"]
}

/// A type without anything that could be changed in part.
fn frozen() -> impl Strategy<Value = String> {
    let native = prop_oneof![5 => proptest::sample::select(&NATIVE[..]).prop_map(str::to_owned), 1 => Just("frozen<u>".to_owned())];
    native.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|item| format!("frozen<list<{item}>>")),
            inner.clone().prop_map(|item| format!("frozen<set<{item}>>")),
            (inner.clone(), inner.clone()).prop_map(|(key, value)| format!("frozen<map<{key}, {value}>>")),
            (inner.clone(), inner).prop_map(|(left, right)| format!("tuple<{left}, {right}>")),
        ]
    })
}

fn any_type() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => frozen(),
        1 => frozen().prop_map(|item| format!("list<{item}>")),
        1 => frozen().prop_map(|item| format!("set<{item}>")),
        1 => (frozen(), frozen()).prop_map(|(key, value)| format!("map<{key}, {value}>")),
        1 => Just("u".to_owned()),
        1 => Just("duration".to_owned()),
    ]
}

#[derive(Debug, Clone)]
struct Wanted {
    names: Vec<String>,
    partition: Vec<String>,
    clustering: Vec<(String, bool)>,
    values: Vec<(String, bool)>,
    comment: String,
    cdc: bool,
}

fn wanted() -> impl Strategy<Value = Wanted> {
    (
        vec(name(), 9),
        vec(frozen(), 1..3),
        vec((frozen(), any::<bool>()), 0..3),
        vec((any_type(), any::<bool>()), 0..4),
        "[ -~]{0,12}",
        any::<bool>(),
    )
        .prop_map(|(names, partition, clustering, values, comment, cdc)| Wanted {
            names,
            partition,
            clustering,
            values,
            comment,
            cdc,
        })
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Wanted {
    /// CREATE TABLE, with every name in quotes; the number keeps names apart.
    fn statement(&self) -> String {
        let mut names = self.names.iter().enumerate().map(|(index, name)| quote(&format!("{name}{index}")));
        // One name stays as it is, so that words of the language are tried too.
        let first = quote(&self.names[0]);
        let mut next = || names.next().unwrap_or_default();
        next();
        let mut columns = Vec::new();
        let mut partition = vec![first];
        partition.extend(self.partition[1..].iter().map(|_| next()));
        columns.extend(partition.iter().zip(&self.partition).map(|(name, typ)| format!("{name} {typ}")));
        let clustering: Vec<_> = self.clustering.iter().map(|(typ, down)| (next(), typ, *down)).collect();
        columns.extend(clustering.iter().map(|(name, typ, _)| format!("{name} {typ}")));
        for (typ, fixed) in &self.values {
            let fixed = if *fixed && !clustering.is_empty() { " static" } else { "" };
            columns.push(format!("{} {typ}{fixed}", next()));
        }
        let keys: String = clustering.iter().map(|(name, ..)| format!(", {name}")).collect();
        let order =
            |(name, _, down): &(String, _, bool)| format!("{name} {}", if *down { "DESC" } else { "ASC" });
        let orders: Vec<String> = clustering.iter().map(order).collect();
        let order = if orders.is_empty() {
            String::new()
        } else {
            format!("CLUSTERING ORDER BY ({}) AND ", orders.join(", "))
        };
        format!(
            "CREATE TABLE ks.t ({}, PRIMARY KEY (({}){keys})) WITH {order}comment = '{}' AND cdc = {{'enabled': {}}}",
            columns.join(", "),
            partition.join(", "),
            self.comment.replace('\'', "''"),
            self.cdc
        )
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_described_table_comes_back_the_same(wanted in wanted()) {
        static DATABASE: OnceLock<Database> = OnceLock::new();
        let new = || Database::new(&["CREATE TYPE u (a int, \"B c\" frozen<list<text>>)"]);
        let db = DATABASE.get_or_init(new);
        db.run("DROP TABLE IF EXISTS ks.t");
        let written = wanted.statement();
        prop_assume!(db.execute(&written, &[], &crate::outcome::QueryOptions::default()).is_ok());
        let before = db.store.schema();
        let before = before.table("ks", "t").expect("just made");
        let described = before.create_statement(Internals::Hidden);
        db.run("DROP TABLE ks.t");
        db.run(&described);
        let after = db.store.schema();
        let after = after.table("ks", "t").expect("just made again");
        prop_assert_eq!(&before.columns, &after.columns, "{}\n{}", written, &described);
        prop_assert_eq!(&before.options, &after.options, "{}", &described);
        prop_assert_eq!(described, after.create_statement(Internals::Hidden));
        for column in &before.columns {
            let found = |_: &str| db.store.schema().user_type("ks", "u").ok().cloned();
            let typ = types::parse(&types::name(&column.typ), &found);
            prop_assert_eq!(typ.as_ref(), Ok(&column.typ));
        }
    }
}

#[test]
fn most_tables_that_are_tried_can_be_made() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let db = Database::new(&["CREATE TYPE u (a int)"]);
    let made = (0..40).filter(|_| {
        let wanted = wanted().new_tree(&mut runner).expect("a table").current();
        db.run("DROP TABLE IF EXISTS ks.t");
        db.execute(&wanted.statement(), &[], &crate::outcome::QueryOptions::default()).is_ok()
    });
    assert!(made.count() > 30);
}

#[test]
fn an_answer_that_is_too_large_is_refused_unless_it_is_paged() {
    let db = Database::new(&["CREATE TABLE t (p int, c int, v blob, PRIMARY KEY (p, c))"]);
    let insert = "INSERT INTO t (p, c, v) VALUES (?, ?, ?)";
    let value = super::database::bound(vec![7; 4 << 20]);
    for p in 0..26 {
        let values = [super::database::int(p), super::database::int(0), value.clone()];
        assert!(db.execute(insert, &values, &Default::default()).is_ok());
    }
    let too_much = "Memory usage of unpaged query exceeds hard limit of 104857600";
    assert!(db.error("SELECT * FROM t").starts_with(too_much));
    let several = "SELECT * FROM t WHERE p IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, \
                   21, 22, 23, 24, 25) ORDER BY c";
    assert!(db.error(several).starts_with(too_much));
    assert_eq!(db.rows("SELECT count(*) FROM t"), "26");
    let paged = crate::outcome::QueryOptions { page_size: Some(5000), ..Default::default() };
    assert!(db.execute("SELECT * FROM t", &[], &paged).is_ok());
}
