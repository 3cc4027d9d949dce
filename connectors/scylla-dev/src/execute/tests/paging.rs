//! Pages: together they are what one read without pages gives, also while rows change.
use super::Database;
use super::database::show_rows;
use crate::outcome::{Outcome, QueryOptions};

fn filled() -> Database {
    let db = Database::new(&["CREATE TABLE t (k int, c int, s int static, v int, PRIMARY KEY (k, c))"]);
    for k in 0..7 {
        for c in 0..k {
            db.run(&format!("INSERT INTO t (k, c, v) VALUES ({k}, {c}, {})", k * 10 + c));
        }
    }
    db.run("INSERT INTO t (k, s) VALUES (100, 1)");
    db
}

/// All pages; `between` is run after each.
fn pages(db: &Database, text: &str, size: usize, mut between: impl FnMut(usize)) -> Vec<String> {
    let mut options = QueryOptions { page_size: Some(size), ..QueryOptions::default() };
    let mut pages = Vec::new();
    loop {
        let Ok(Outcome::Rows(rows)) = db.execute(text, &[], &options) else { panic!("{text}") };
        assert!(usize::try_from(rows.body.count).expect("count") <= size);
        pages.push(show_rows(&rows));
        between(pages.len());
        match rows.paging_state {
            Some(state) => options.paging_state = Some(state),
            None => return pages,
        }
    }
}

#[test]
fn pages_together_are_the_whole() {
    let db = filled();
    let statements = [
        "SELECT * FROM t",
        "SELECT * FROM t LIMIT 11",
        "SELECT * FROM t PER PARTITION LIMIT 2",
        "SELECT * FROM t PER PARTITION LIMIT 2 LIMIT 7",
        "SELECT DISTINCT k, s FROM t",
        "SELECT * FROM t WHERE k IN (6, 2, 4)",
        "SELECT * FROM t WHERE k = 6 ORDER BY c DESC",
        "SELECT * FROM t WHERE k = 6 AND c IN (1, 3, 5) ORDER BY c DESC",
        "SELECT * FROM t WHERE v > 40 ALLOW FILTERING",
        "SELECT * FROM t WHERE token(k) > 0",
        "SELECT * FROM t WHERE k IN (5, 6) AND c >= 1 AND c < 4",
    ];
    for text in statements {
        let whole = db.rows(text);
        assert!(!whole.is_empty(), "{text}");
        for size in [1, 2, 3, 5, 100] {
            let mut pages = pages(&db, text, size, |_| {});
            pages.pop_if(|last| last.is_empty());
            let joined = pages.join(" | ");
            assert_eq!(joined, whole, "{text}, pages of {size}");
        }
    }
}

#[test]
fn a_full_page_may_be_the_last() {
    let db = filled();
    assert_eq!(pages(&db, "SELECT c FROM t WHERE k = 6", 3, |_| {}), ["0 | 1 | 2", "3 | 4 | 5", ""]);
    assert_eq!(pages(&db, "SELECT c FROM t WHERE k = 6 LIMIT 6", 3, |_| {}), ["0 | 1 | 2", "3 | 4 | 5"]);
    assert_eq!(pages(&db, "SELECT c FROM t WHERE k = 6 AND c IN (1, 2)", 2, |_| {}), ["1 | 2", ""]);
    assert_eq!(pages(&db, "SELECT c FROM t WHERE k = 6 AND c = 1", 1, |_| {}), ["1"]);
    assert_eq!(pages(&db, "SELECT c FROM t WHERE k = 6 PER PARTITION LIMIT 1", 1, |_| {}), ["0"]);
    assert_eq!(pages(&db, "SELECT DISTINCT k FROM t WHERE k = 6", 1, |_| {}), ["6"]);
    assert_eq!(pages(&db, "SELECT c FROM t WHERE k = 99", 3, |_| {}), [""]);
}

#[test]
fn rows_may_change_between_pages() {
    let db = filled();
    let read = pages(&db, "SELECT c FROM t WHERE k = 6", 2, |page| {
        if page == 1 {
            db.run("DELETE FROM t WHERE k = 6 AND c IN (0, 1, 2)");
            db.run("INSERT INTO t (k, c) VALUES (6, -1)");
            db.run("INSERT INTO t (k, c) VALUES (6, 9)");
        }
    });
    assert_eq!(read, ["0 | 1", "3 | 4", "5 | 9", ""]);
    let db = filled();
    let whole = db.rows("SELECT k FROM t WHERE k IN (5, 6)");
    let read = pages(&db, "SELECT k FROM t WHERE k IN (5, 6)", 4, |page| {
        if page == 1 {
            db.run("DELETE FROM t WHERE k = 5");
        }
    });
    assert_eq!(whole, "5 | 5 | 5 | 5 | 5 | 6 | 6 | 6 | 6 | 6 | 6");
    assert_eq!(read.join(" | "), "5 | 5 | 5 | 5 | 6 | 6 | 6 | 6 | 6 | 6");
}

#[test]
fn foreign_paging_states_are_refused() {
    let db = filled();
    let paging_state = Some(bytes::Bytes::from_static(b"whatever this is, it is none"));
    let options = QueryOptions { page_size: Some(2), paging_state, ..QueryOptions::default() };
    let error = db.execute("SELECT * FROM t", &[], &options).expect_err("a foreign state");
    assert_eq!(error.message, "Invalid value for the paging state");
}
