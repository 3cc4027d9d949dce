//! Statements with timestamps leave the same rows in whatever order they arrive, and however often; and pages show every
//! row that nobody touches once and in order, whatever else changes meanwhile.
use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::Database;
use super::database::show_rows;
use crate::outcome::{Outcome, QueryOptions};

const TABLES: [&str; 2] = [
    "CREATE TYPE place (street text, number int)",
    "CREATE TABLE t (p int, c int, s set<int>, m map<int, int>, u place, v int, f frozen<list<int>>, sm map<int, int> static, \
     PRIMARY KEY (p, c))",
];

/// A statement; numbers and timestamps are few, so that they meet.
fn statement() -> impl Strategy<Value = String> {
    (0..12_usize, 0..3_i32, 0..3_i32, 1..7_i64, 0..3_i32).prop_map(|(kind, c, x, time, ttl)| {
        let row = format!("p = 1 AND c = {c}");
        let using = format!("USING TIMESTAMP {time}");
        let expiring = format!("{using} AND TTL {}", ttl * 100);
        match kind {
            0 => format!("INSERT INTO t (p, c, v, s) VALUES (1, {c}, {x}, {{{x}}}) {expiring}"),
            1 => format!("UPDATE t {expiring} SET s = s + {{{x}}}, m[{x}] = {c}, u.number = {x} WHERE {row}"),
            2 => format!("UPDATE t {using} SET s = s - {{{x}}}, m = {{{x}: {x}}}, f = [{x}] WHERE {row}"),
            3 => format!("UPDATE t {using} SET s = {{{x}, {c}}}, u = {{street: '{x}'}} WHERE {row}"),
            4 => format!("UPDATE t {using} SET m = m - {{{x}}}, v = null WHERE {row}"),
            5 => format!("UPDATE t {expiring} SET sm = sm + {{{x}: {c}}} WHERE p = 1"),
            6 => format!("DELETE sm[{x}] FROM t {using} WHERE p = 1"),
            7 => format!("DELETE s, u FROM t {using} WHERE {row}"),
            8 => format!("DELETE m[{x}], s[{c}] FROM t {using} WHERE {row}"),
            9 => format!("DELETE FROM t {using} WHERE {row}"),
            10 => format!("DELETE FROM t {using} WHERE p = 1 AND c > {x} AND c <= {c}"),
            _ => format!("DELETE FROM t {using} WHERE p = 1"),
        }
    })
}

fn left_by<'s>(statements: impl Iterator<Item = &'s String>) -> String {
    let db = Database::new(&TABLES);
    statements.for_each(|statement| db.run(statement));
    let now = db.rows("SELECT p, c, s, m, u, v, f, sm, writetime(v), ttl(v), writetime(f) FROM t");
    db.advance(150);
    format!("{now} / {}", db.rows("SELECT * FROM t"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn in_any_order_and_more_than_once(
        (statements, shuffled) in vec(statement(), 1..14).prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
    ) {
        let once = left_by(statements.iter());
        prop_assert_eq!(&once, &left_by(shuffled.iter()));
        prop_assert_eq!(&once, &left_by(statements.iter().chain(&shuffled)));
    }

    #[test]
    fn pages_show_what_stays(
        rows in proptest::collection::btree_set((0..5_i32, 0..6_i32), 1..25),
        changes in vec((any::<bool>(), 0..5_i32, 0..6_i32), 0..12),
        size in 1..6_usize,
    ) {
        let db = Database::new(&["CREATE TABLE t (p int, c int, PRIMARY KEY (p, c)) WITH CLUSTERING ORDER BY (c DESC)"]);
        let change = |insert: bool, p: i32, c: i32| db.run(&match insert {
            true => format!("INSERT INTO t (p, c) VALUES ({p}, {c})"),
            false => format!("DELETE FROM t WHERE p = {p} AND c = {c}"),
        });
        rows.iter().for_each(|(p, c)| change(true, *p, *c));
        let whole = db.rows("SELECT p, c FROM t");
        let mut options = QueryOptions { page_size: Some(size), ..QueryOptions::default() };
        let (mut read, mut left) = (Vec::new(), changes.iter());
        loop {
            let Ok(Outcome::Rows(page)) = db.execute("SELECT p, c FROM t", &[], &options) else { panic!("a page") };
            let shown = show_rows(&page);
            read.extend(shown.split(" | ").filter(|row| !row.is_empty()).map(str::to_owned));
            left.by_ref().take(2).for_each(|(insert, p, c)| change(*insert, *p, *c));
            let Some(state) = page.paging_state else { break };
            options.paging_state = Some(state);
        }
        let touched: BTreeSet<String> = changes.iter().map(|(_, p, c)| format!("{p} {c}")).collect();
        let stays = |row: &&str| !touched.contains(*row) && !row.is_empty();
        prop_assert_eq!(read.len(), read.iter().collect::<BTreeSet<_>>().len(), "a row is shown once");
        let seen: Vec<&str> = read.iter().map(String::as_str).filter(stays).collect();
        let wanted: Vec<&str> = whole.split(" | ").filter(stays).collect();
        prop_assert_eq!(seen, wanted);
    }
}
