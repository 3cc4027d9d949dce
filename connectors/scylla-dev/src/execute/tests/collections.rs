//! Lists, sets, maps, tuples and user-defined types, whole and by element.
use super::Database;

const TABLE: &str =
    "CREATE TABLE t (k int PRIMARY KEY, l list<int>, s set<text>, m map<text, int>, f frozen<list<int>>)";

#[test]
fn collections_whole_and_by_element() {
    let db = Database::new(&[TABLE]);
    db.run("INSERT INTO t (k, l, s, m, f) VALUES (1, [3, 1], {'b', 'a', 'b'}, {'y': 2, 'x': 1}, [9, 8])");
    let all = "SELECT l, s, m, f FROM t WHERE k = 1";
    assert_eq!(db.rows(all), "[3,1] {a,b} {x:1,y:2} [9,8]");
    let steps = [
        ("UPDATE t SET l = l + [5], s = s + {'c'}, m = m + {'z': 3}", "[3,1,5] {a,b,c} {x:1,y:2,z:3} [9,8]"),
        ("UPDATE t SET l = [7, 6] + l, s = s - {'a'}, m = m - {'x'}", "[7,6,3,1,5] {b,c} {y:2,z:3} [9,8]"),
        ("UPDATE t SET l[1] = 66, m['y'] = 22, f = [1]", "[7,66,3,1,5] {b,c} {y:22,z:3} [1]"),
        ("UPDATE t SET l = l - [3, 5], m['z'] = null", "[7,66,1] {b,c} {y:22} [1]"),
        ("DELETE l[0], s['b'], m['y'] FROM t", "[66,1] {c} null [1]"),
        ("UPDATE t SET l = [], s = {'new'}, m = {}", "null {new} null [1]"),
        ("DELETE s FROM t", "null null null [1]"),
    ];
    for (text, expected) in steps {
        let text = format!("{text} WHERE k = 1");
        // The clock stands still, and of two writes at one time a deletion wins.
        db.advance(1);
        db.run(&text);
        assert_eq!(db.rows(all), expected, "{text}");
    }
}

#[test]
fn list_elements_are_found_by_place() {
    let db = Database::new(&[TABLE]);
    db.run("INSERT INTO t (k, l) VALUES (1, [1, 2])");
    assert_eq!(db.error("UPDATE t SET l[2] = 9 WHERE k = 1"), "List index 2 out of bound, list has size 2");
    assert_eq!(
        db.error("UPDATE t SET l[0] = 9 WHERE k = 2"),
        "Attempted to set an element on a list which is null"
    );
    let id = "50554d6e-29bb-11e5-b345-feff819cdc9f";
    db.run(&format!("UPDATE t SET l[SCYLLA_TIMEUUID_LIST_INDEX({id})] = 0 WHERE k = 1"));
    assert_eq!(db.rows("SELECT l, l[0] FROM t WHERE k = 1"), "[0,1,2] 0");
}

#[test]
fn user_types_and_tuples() {
    let db = Database::new(&[
        "CREATE TYPE place (street text, number int)",
        "CREATE TABLE u (k int PRIMARY KEY, a place, b frozen<place>, t tuple<int, text>, m map<int, frozen<place>>)",
    ]);
    db.run(
        "INSERT INTO u (k, a, b, t, m) VALUES (1, {street: 'x', number: 1}, {number: 2}, (3, 'y'), {4: {street: 'z'}})",
    );
    let all = "SELECT a, b, t, m, a.number FROM u";
    assert_eq!(db.rows(all), "(x,1) (null,2) (3,y) {4:(z,null)} 1");
    db.advance(1);
    db.run("UPDATE u SET a.number = 5 WHERE k = 1");
    assert_eq!(db.rows("SELECT a, a.number FROM u"), "(x,5) 5");
    db.run("DELETE a.street FROM u WHERE k = 1");
    assert_eq!(db.rows("SELECT a FROM u"), "(null,5)");
    assert_eq!(
        db.error("DROP TYPE place"),
        "Cannot drop user type ks.place as it is still used by table ks.u"
    );
}
