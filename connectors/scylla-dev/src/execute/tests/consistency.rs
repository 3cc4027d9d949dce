//! Levels that a statement cannot have, or that a keyspace has too few replicas for.
use scylla_cql::Consistency;

use super::Database;
use crate::error::ErrorCode;
use crate::outcome::QueryOptions;

const INSERT: &str = "INSERT INTO t (k, v) VALUES (1, 1)";
const IF: &str = "UPDATE t SET v = 2 WHERE k = 1 IF v = 1";
const SELECT: &str = "SELECT v FROM t";

fn refusal(db: &Database, text: &str, options: QueryOptions) -> Option<(ErrorCode, String)> {
    db.execute(text, &[], &options).err().map(|error| (error.code, error.message))
}

fn at(consistency: Consistency) -> QueryOptions {
    QueryOptions { consistency, ..QueryOptions::default() }
}

#[test]
fn a_level_has_a_meaning_for_its_statement() {
    use Consistency as C;
    let db = Database::new(&["CREATE TABLE t (k int PRIMARY KEY, v int)"]);
    let batch = format!("BEGIN BATCH {INSERT}; {IF}; APPLY BATCH");
    let cases = [
        (SELECT, C::Any, "ANY ConsistencyLevel is only supported for writes"),
        (SELECT, C::EachQuorum, "EACH_QUORUM ConsistencyLevel is only supported for writes"),
        (INSERT, C::Serial, "You must use conditional updates for serializable writes"),
        (
            IF,
            C::LocalSerial,
            "LOCAL_SERIAL is not supported as conditional update commit consistency. Use ANY",
        ),
        (&batch, C::Serial, "SERIAL is not supported as conditional update commit consistency. Use ANY"),
    ];
    for (text, level, words) in cases {
        let (code, message) = refusal(&db, text, at(level)).expect(words);
        assert!(code == ErrorCode::Invalid && message.starts_with(words), "{message}");
    }
    let wrong = QueryOptions { serial_consistency: Some(C::Quorum), ..QueryOptions::default() };
    let words = "Invalid consistency for conditional update. Must be one of SERIAL or LOCAL_SERIAL";
    assert_eq!(refusal(&db, IF, wrong.clone()), Some((ErrorCode::Invalid, words.to_owned())));
    assert_eq!(refusal(&db, INSERT, wrong), None);
    for level in [C::One, C::Quorum, C::All, C::LocalQuorum, C::LocalOne] {
        for text in [SELECT, INSERT, IF] {
            assert_eq!(refusal(&db, text, at(level)), None, "{text} at {level:?}");
        }
    }
    assert_eq!(refusal(&db, SELECT, at(C::Serial)), None);
    assert_eq!(refusal(&db, INSERT, at(C::Any)), None);
}

#[test]
fn two_replicas_must_be_there_to_be_asked_for() {
    let db = Database::new(&[
        "CREATE TABLE t (k int PRIMARY KEY, v int)",
        "CREATE KEYSPACE wide WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 2}",
        "CREATE TABLE wide.t (k int PRIMARY KEY, v int)",
    ]);
    let unavailable = |consistency, required, alive| ErrorCode::Unavailable { consistency, required, alive };
    for text in [SELECT, INSERT, IF] {
        let message = "Cannot achieve consistency level for cl TWO. Requires 2, alive 1".to_owned();
        assert_eq!(refusal(&db, text, at(Consistency::Two)), Some((unavailable(2, 2, 1), message)));
    }
    assert_eq!(refusal(&db, "SELECT v FROM wide.t", at(Consistency::Two)), None);
    let message = "Cannot achieve consistency level for cl THREE. Requires 3, alive 2".to_owned();
    let refused = refusal(&db, "SELECT v FROM wide.t", at(Consistency::Three));
    assert_eq!(refused, Some((unavailable(3, 3, 2), message)));
}
