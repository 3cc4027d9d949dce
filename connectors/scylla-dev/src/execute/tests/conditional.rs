//! Lightweight transactions and the shape of their results.
use super::Database;
use super::database::int;
use crate::outcome::{Outcome, QueryOptions};

const TABLE: &str =
    "CREATE TABLE t (k int, c int, s int static, v int, m map<text, int>, PRIMARY KEY (k, c))";

fn columns(db: &Database, text: &str) -> Vec<String> {
    let prepared = db.prepare(text).expect(text);
    assert!(prepared.is_conditional(), "{text}");
    let specs = prepared.result_specs().expect("a result").clone();
    specs.iter().map(|spec| spec.name().to_owned()).collect()
}

#[test]
fn results_show_applied_and_the_old_row_always() {
    let db = Database::new(&[TABLE]);
    let insert = "INSERT INTO t (k, c, v) VALUES (1, 1, 10) IF NOT EXISTS";
    assert_eq!(columns(&db, insert), ["[applied]", "k", "c", "s", "m", "v"]);
    assert_eq!(columns(&db, "UPDATE t SET v = 1 WHERE k = 1 AND c = 1 IF v = 1"), ["[applied]", "v"]);
    db.expect(&[
        (insert, "true null null null null null"),
        (insert, "false 1 1 null null 10"),
        ("UPDATE t SET v = 11 WHERE k = 1 AND c = 1 IF v = 9", "false 10"),
        ("UPDATE t SET v = 11 WHERE k = 1 AND c = 1 IF v = 10", "true 10"),
        ("UPDATE t SET v = 12 WHERE k = 1 AND c = 1 IF v > 10 AND v <= 11", "true 11"),
        ("UPDATE t SET v = 13 WHERE k = 1 AND c = 1 IF v IN (1, 12)", "true 12"),
        ("UPDATE t SET v = 13 WHERE k = 1 AND c = 2 IF EXISTS", "false null null null null null"),
        ("UPDATE t SET v = 13 WHERE k = 1 AND c = 2 IF v = null", "true null"),
        ("DELETE FROM t WHERE k = 1 AND c = 2 IF EXISTS", "true 1 2 null null 13"),
        ("DELETE FROM t WHERE k = 1 AND c = 2 IF EXISTS", "false null null null null null"),
        ("SELECT c, v FROM t", "1 13"),
    ]);
}

#[test]
fn conditions_on_static_columns_and_elements() {
    let db = Database::new(&[TABLE]);
    db.run_all(&["INSERT INTO t (k, s) VALUES (1, 5)", "INSERT INTO t (k, c, m) VALUES (1, 1, {'a': 1})"]);
    db.advance(1);
    db.expect(&[
        ("UPDATE t SET v = 1 WHERE k = 1 AND c = 9 IF s = 5", "true 5"),
        ("UPDATE t SET s = 6 WHERE k = 1 IF s = 5", "true 5"),
        ("DELETE v FROM t WHERE k = 1 AND c = 2 IF v = 1 AND s = 6", "false 6 null"),
        ("UPDATE t SET m['a'] = 2 WHERE k = 1 AND c = 1 IF m['a'] = 1", "true {a:1}"),
        ("UPDATE t SET m['a'] = 3 WHERE k = 1 AND c = 1 IF m['a'] != 2", "false {a:2}"),
    ]);
}

#[test]
fn a_row_named_for_its_condition_is_left_alone() {
    let db = Database::new(&[TABLE, "CREATE TABLE p (k int PRIMARY KEY, v int)"]);
    db.run_all(&["INSERT INTO t (k, c, s, v) VALUES (1, 1, 5, 7)", "INSERT INTO p (k, v) VALUES (1, 1)"]);
    db.advance(1);
    db.expect(&[
        ("DELETE s FROM t WHERE k = 1 AND c = 1 IF v = 7", "true 7"),
        ("UPDATE t SET s = 8 WHERE k = 1 AND c = 2 IF v = null", "true null"),
        ("SELECT c, s, v FROM t", "1 8 7"),
        ("DELETE FROM p WHERE k = 1 IF v = 2", "false 1"),
        ("DELETE FROM p WHERE k = 1 IF EXISTS", "true 1 1"),
        ("DELETE FROM p WHERE k = 1 IF EXISTS", "false null null"),
        ("SELECT * FROM p", ""),
    ]);
}

#[test]
fn a_conditional_batch_is_all_or_nothing() {
    let db = Database::new(&[TABLE]);
    db.run("INSERT INTO t (k, c, v) VALUES (1, 1, 1)");
    db.advance(1);
    let batch = |condition: i32| {
        let text = "UPDATE t SET v = 2 WHERE k = 1 AND c = 1 IF v = ?";
        let outcome = db.batch(vec![
            (text, vec![int(condition)]),
            ("INSERT INTO t (k, c, v) VALUES (1, 2, 2)", vec![]),
            ("INSERT INTO t (k, c, v) VALUES (1, 3, 3) IF NOT EXISTS", vec![]),
        ]);
        match outcome {
            Ok(Outcome::Rows(rows)) => super::database::show_rows(&rows),
            other => panic!("{other:?}"),
        }
    };
    // A row for each statement, the one without a condition too.
    assert_eq!(
        batch(9),
        "false 1 1 null null 1 | false null null null null null | false null null null null null"
    );
    assert_eq!(db.rows("SELECT c, v FROM t"), "1 1");
    assert_eq!(
        batch(1),
        "true 1 1 null null 1 | true null null null null null | true null null null null null"
    );
    assert_eq!(db.rows("SELECT c, v FROM t"), "1 2 | 2 2 | 3 3");
}

#[test]
fn a_text_batch_with_conditions_shows_rows_too() {
    let db = Database::new(&[TABLE]);
    let text = "BEGIN BATCH INSERT INTO t (k, c) VALUES (1, 1) IF NOT EXISTS; APPLY BATCH";
    let Ok(Outcome::Rows(rows)) = db.execute(text, &[], &QueryOptions::default()) else { panic!("no rows") };
    assert_eq!(super::database::show_rows(&rows), "true null null null null null");
}
