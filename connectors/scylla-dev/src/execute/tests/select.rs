//! SELECT: keys, ranges, order, filters, functions, aggregates.
use super::Database;
use super::database::{START, bound, int};
use crate::outcome::{BoundValue, QueryOptions};

fn filled() -> Database {
    let db = Database::new(&[
        "CREATE TABLE t (k int, a int, b text, v int, PRIMARY KEY (k, a, b)) WITH CLUSTERING ORDER BY (a DESC, b ASC)",
        "CREATE TABLE two (x int, y text, v int, PRIMARY KEY ((x, y)))",
    ]);
    for (a, b, v) in [(1, "p", 1), (1, "q", 2), (2, "p", 3), (2, "r", 4), (3, "q", 5)] {
        db.run(format!("INSERT INTO t (k, a, b, v) VALUES (1, {a}, '{b}', {v})").as_str());
    }
    db.run("INSERT INTO t (k, a, b, v) VALUES (2, 2, 'q', 6)");
    db.run("INSERT INTO two (x, y, v) VALUES (1, 'a', 1)");
    db
}

#[test]
fn keys_ranges_and_order() {
    let cases = [
        ("SELECT v FROM t WHERE k = 1", "5 | 3 | 4 | 1 | 2"),
        ("SELECT v FROM t WHERE k = 1 ORDER BY a ASC", "2 | 1 | 4 | 3 | 5"),
        ("SELECT v FROM t WHERE k = 1 ORDER BY a DESC, b ASC LIMIT 2", "5 | 3"),
        ("SELECT v FROM t WHERE k = 1 AND a = 2", "3 | 4"),
        ("SELECT v FROM t WHERE k = 1 AND a = 2 AND b = 'r'", "4"),
        ("SELECT v FROM t WHERE k = 1 AND a = 2 AND b > 'p'", "4"),
        ("SELECT v FROM t WHERE k = 1 AND a = 2 ORDER BY b DESC", "4 | 3"),
        ("SELECT v FROM t WHERE k = 1 AND a > 1", "5 | 3 | 4"),
        ("SELECT v FROM t WHERE k = 1 AND a >= 1 AND a < 3", "3 | 4 | 1 | 2"),
        ("SELECT v FROM t WHERE k = 1 AND a IN (3, 1, 3)", "5 | 1 | 2"),
        ("SELECT v FROM t WHERE k = 1 AND a IN (1, 2) AND b IN ('p', 'q')", "3 | 1 | 2"),
        ("SELECT v FROM t WHERE k = 1 AND (a, b) = (2, 'r')", "4"),
        ("SELECT v FROM t WHERE k = 1 AND (a, b) IN ((1, 'q'), (3, 'q'), (9, 'z'))", "5 | 2"),
        ("SELECT v FROM t WHERE k = 1 AND (a, b) > (1, 'p')", "5 | 3 | 4 | 2"),
        ("SELECT v FROM t WHERE k = 1 AND (a) < (3)", "3 | 4 | 1 | 2"),
        ("SELECT v FROM t WHERE k IN (2, 1) AND a = 2", "3 | 4 | 6"),
        ("SELECT v FROM t WHERE k IN (1, 2) ORDER BY a DESC", "5 | 3 | 6 | 4 | 1 | 2"),
        ("SELECT v FROM t WHERE k IN ()", ""),
        ("SELECT k, count(*) FROM t WHERE k = 2", "2 1"),
        ("SELECT v FROM two WHERE x = 1 AND y = 'a'", "1"),
        ("SELECT v FROM two WHERE token(x, y) = token(1, 'a')", "1"),
        ("SELECT v FROM two WHERE token(x, y) > token(1, 'a')", ""),
        ("SELECT v FROM t WHERE v >= 5 ALLOW FILTERING", "5 | 6"),
        ("SELECT v FROM t WHERE a = 2 AND b = 'q' ALLOW FILTERING", "6"),
        ("SELECT v FROM t WHERE k = 1 AND b = 'q' ALLOW FILTERING", "5 | 2"),
        ("SELECT v FROM two WHERE x = 1 ALLOW FILTERING", "1"),
        ("SELECT v FROM t PER PARTITION LIMIT 1", "5 | 6"),
        ("SELECT v FROM t LIMIT 1 BYPASS CACHE USING TIMEOUT 5s", "5"),
    ];
    filled().expect(&cases);
}

#[test]
fn aggregates() {
    let db =
        Database::new(&["CREATE TABLE n (k int PRIMARY KEY, i int, b bigint, d double, x decimal, t text)"]);
    let none = "SELECT count(*), count(i), min(i), max(t), sum(i), avg(d) FROM n";
    assert_eq!(db.rows(none), "0 0 null null 0 0");
    db.run_all(&[
        "INSERT INTO n (k, i, b, d, x, t) VALUES (1, 5, 10, 0.5, 1.25, 'b')",
        "INSERT INTO n (k, i, b, d, x, t) VALUES (2, 2, 20, 1.0, 2.5, 'a')",
        "INSERT INTO n (k, b) VALUES (3, 40)",
    ]);
    db.expect(&[
        ("SELECT count(*), count(1), count(i), min(i), max(i), min(t) FROM n", "3 3 2 2 5 a"),
        ("SELECT sum(i), sum(b), avg(i), avg(b), sum(d), avg(d) FROM n", "7 70 3 23 1.5 0.75"),
        ("SELECT cast(sum(x) AS text) AS total FROM n", "3.75"),
        ("SELECT count(*) FROM n WHERE k IN (1, 2) LIMIT 1", "2"),
    ]);
    assert!(db.error("SELECT sum(t) FROM n").starts_with("Invalid call to function sum"));
}

#[test]
fn functions_of_time_and_bytes() {
    let db = Database::new(&["CREATE TABLE f (k int PRIMARY KEY, id timeuuid, at timestamp, n int, d date)"]);
    db.run("INSERT INTO f (k, id, at, n, d) VALUES (1, now(), 1500, 7, '1970-01-03')");
    let millis = START / 1000;
    db.expect(&[
        (
            "SELECT dateOf(id), unixTimestampOf(id), toTimestamp(id) FROM f",
            format!("{millis} {millis} {millis}").as_str(),
        ),
        ("SELECT toUnixTimestamp(at), toTimestamp(d) FROM f", "1500 172800000"),
        ("SELECT intAsBlob(n), blobAsInt(intAsBlob(n)) FROM f", "0x00000007 7"),
        (
            "SELECT cast(n AS bigint), cast(n AS text), cast(at AS text) FROM f",
            "7 7 1970-01-01T00:00:01.500Z",
        ),
        ("SELECT n AS number, token(k) FROM f", "7 -4069959284402364209"),
    ]);
    let time = |micros: i64| bound((micros / 1000).to_be_bytes());
    let found = "SELECT n FROM f WHERE id >= minTimeuuid(?) AND id <= maxTimeuuid(?) ALLOW FILTERING";
    assert_eq!(db.rows_with(found, &[time(START), time(START)]), "7");
    assert_eq!(db.rows_with(found, &[time(START + 1000), time(START + 2000)]), "");
    assert!(
        db.error("SELECT blobAsInt(intAsBlob(n)), blobAsBigint(intAsBlob(n)) FROM f")
            .contains("value 0x00000007 is not a valid binary representation for type bigint")
    );
    db.run("INSERT INTO f (k, at, id) VALUES (2, currentTimestamp(), now())");
    assert_eq!(db.rows("SELECT at FROM f WHERE k = 2"), millis.to_string());
}

#[test]
fn functions_where_values_stand() {
    let db = Database::new(&[
        "CREATE TABLE g (k text PRIMARY KEY, at timestamp, d date, id uuid, t timeuuid, b blob, m map<text, timestamp>)",
    ]);
    db.run(
        "INSERT INTO g (k, at, d, id, t, b, m) VALUES (blobAsText(0x6b), toTimestamp(now()), toDate(now()), uuid(), \
         minTimeuuid('2024-01-01 00:00+0000'), textAsBlob('x'), {'now': currentTimestamp()})",
    );
    let millis = START / 1000;
    db.expect(&[
        (
            "SELECT k, at, toUnixTimestamp(d), toTimestamp(t), b FROM g",
            &*format!("k {millis} 1699920000000 1704067200000 0x78"),
        ),
        ("SELECT m FROM g WHERE k = blobAsText(0x6b)", &*format!("{{now:{millis}}}")),
        ("SELECT k FROM g WHERE at >= toTimestamp(now()) ALLOW FILTERING", "k"),
        ("SELECT k FROM g WHERE token(k) >= token('k') AND token(k) <= token(blobAsText(0x6b))", "k"),
        ("SELECT k FROM g WHERE at = 1699999999999 ALLOW FILTERING", ""),
        (
            "SELECT max(toUnixTimestamp(at)) AS latest, toUnixTimestamp(max(at)) FROM g",
            &*format!("{millis} {millis}"),
        ),
    ]);
    assert!(
        db.error("SELECT k FROM g WHERE at = toTimestamp(?) ALLOW FILTERING").starts_with("Ambiguous call")
    );
    assert!(db.error("SELECT toDate(k) FROM g").starts_with("Invalid call to function todate"));
    db.expect(&[("SELECT k FROM g WHERE at >= toTimestamp((timeuuid) now()) ALLOW FILTERING", "k")]);
}

#[test]
fn bound_lists_and_limits() {
    let db = filled();
    let list = |values: &[i32]| {
        let mut bytes = i32::try_from(values.len()).expect("short").to_be_bytes().to_vec();
        for value in values {
            bytes.extend_from_slice(&4_i32.to_be_bytes());
            bytes.extend_from_slice(&value.to_be_bytes());
        }
        bound(bytes)
    };
    assert_eq!(db.rows_with("SELECT v FROM t WHERE k IN ? LIMIT ?", &[list(&[2, 1]), int(2)]), "5 | 3");
    let too_many: Vec<i32> = (0..101).collect();
    let options = QueryOptions::default();
    let error =
        |text: &str, values: &[BoundValue]| db.execute(text, values, &options).expect_err(text).message;
    assert_eq!(
        error("SELECT v FROM t WHERE k IN ?", &[list(&too_many)]),
        "size of partition-key IN list or partition-key cartesian product of IN list 101 is greater than maximum 100."
    );
    assert_eq!(error("SELECT v FROM t WHERE k = 1 LIMIT ?", &[int(0)]), "LIMIT must be strictly positive");
    let paged = QueryOptions { page_size: Some(2), ..QueryOptions::default() };
    let sorted = db.execute("SELECT v FROM t WHERE k IN (1, 2) ORDER BY a DESC", &[], &paged);
    assert!(sorted.expect_err("pages of sorted partitions").message.starts_with("Cannot page queries"));
}

#[test]
fn values_nest_as_deeply_as_the_suites_of_drivers_do() {
    let wrap = |depth: usize, open: &str, core: &str, close: &str| {
        format!("{}{core}{}", open.repeat(depth), close.repeat(depth))
    };
    let typ = wrap(32, "frozen<tuple<", "int", ">>");
    let db = Database::new(&[&format!("CREATE TABLE n (k int PRIMARY KEY, v {typ})")]);
    db.run(&format!("INSERT INTO n (k, v) VALUES (1, {})", wrap(32, "(", "7", ")")));
    let found = db.rows(&format!("SELECT k FROM n WHERE v = {} ALLOW FILTERING", wrap(32, "(", "7", ")")));
    assert_eq!(found, "1");
}
