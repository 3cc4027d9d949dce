//! Real statements with damaged characters: the parser gives a statement or an error, and never more.
//!
//! Less than a second with every test run; `PROPTEST_CASES` makes it longer. Whole statements with wrong words and wrong
//! values are tried in `execute::tests::anything`.
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::parser;
use crate::clock::Clock;
use crate::storage::Store;

const STATEMENTS: [&str; 16] = [
    "CREATE KEYSPACE IF NOT EXISTS k WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 3} AND durable_writes = true",
    "CREATE TABLE k.t (a int, \"B\" frozen<map<text, frozen<list<tuple<int, uuid>>>>>, c text static, PRIMARY KEY ((a), \"B\")) \
     WITH CLUSTERING ORDER BY (\"B\" DESC) AND comment = 'it''s' AND cdc = {'enabled': true, 'ttl': 5} AND gc_grace_seconds = 1.5",
    "CREATE TYPE IF NOT EXISTS k.u (a int, b frozen<u2>)",
    "ALTER TABLE k.t ADD (x int, y set<text>)",
    "ALTER TABLE t RENAME a TO b AND c TO d",
    "DROP TABLE IF EXISTS k.t; -- gone",
    "INSERT INTO t (a, b) VALUES (0xcafe, {1: [2, -3.5e-7, NaN], 'x': $$y$$}) IF NOT EXISTS USING TTL 5 AND TIMESTAMP :ts",
    "INSERT INTO system.local (key) VALUES (550e8400-e29b-41d4-a716-446655440000)",
    "UPDATE system.local USING TIMEOUT 50ms SET a = a + [1], b[?] = 3, c.d = (int) 5 WHERE k IN (1, 2) IF x != null AND y[3] IN ?",
    "DELETE a[1], b.c, d FROM t USING TIMESTAMP 5 WHERE (a, b) >= (1, 2) AND token(p) < -5 IF EXISTS",
    "BEGIN UNLOGGED BATCH USING TIMESTAMP 1 INSERT INTO t (a) VALUES (1); DELETE FROM t WHERE a = 2h30m; APPLY BATCH;",
    "SELECT DISTINCT a AS \"x y\", count(*), cast(b AS text), ttl(c), writetime(d), e['f'], g.h, token(i), now() FROM k.t \
     WHERE a = ? AND (b, c) IN ((1, 2), (?, ?)) AND d >= minTimeuuid('2024-01-01') ORDER BY b DESC PER PARTITION LIMIT 1 \
     LIMIT :n ALLOW FILTERING BYPASS CACHE USING TIMEOUT 1s",
    "/* a */ SELECT * FROM system_schema.tables // b\nWHERE keyspace_name = 'système'",
    "TRUNCATE TABLE k.t",
    "USE \"Keyspace\"",
    "DESCRIBE ONLY KEYSPACE \"K\" WITH INTERNALS",
];

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[-+*/(){}\\[\\]<>=!,;:.?'\"$0-9a-z \n]{1,3}",
        any::<char>().prop_map(String::from),
        Just("(".repeat(200)),
        Just("frozen<".repeat(200)),
        Just("9".repeat(500)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_statements_are_statements_or_errors(
        texts in vec((any::<Index>(), vec((any::<Index>(), 0..6_usize, piece()), 0..4)), 20),
    ) {
        let store = Store::new(Clock::manual(1_700_000_000_000_000));
        let schema = store.schema();
        for (which, damages) in texts {
            let mut text: Vec<char> = which.get(&STATEMENTS).chars().collect();
            if damages.is_empty() {
                let whole: String = text.iter().collect();
                prop_assert!(parser::parse(&whole).is_ok(), "{}", whole);
            }
            for (place, removed, added) in damages {
                let start = place.index(text.len() + 1);
                let end = (start + removed).min(text.len());
                text.splice(start..end, added.chars());
            }
            let text: String = text.into_iter().collect();
            if parser::parse(&text).is_ok() {
                // Whether its names are known or not.
                drop(super::prepare(&text, Some("system"), &schema));
            }
        }
    }

    #[test]
    fn any_text_is_a_statement_or_an_error(text in any::<String>()) {
        drop(parser::parse(&text));
    }
}
