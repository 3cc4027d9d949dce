//! What each form of statement says, and how mistakes are reported.
use super::super::ast::*;
use super::*;

fn parsed(text: &str) -> Parsed {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn select(text: &str) -> Select {
    match parsed(text).statement {
        Statement::Select(select) => select,
        other => panic!("{text}: {other:?}"),
    }
}

fn table(name: &str) -> TableName {
    TableName { keyspace: None, name: name.to_owned() }
}

fn column(name: &str, operator: Operator, right: Right) -> Relation {
    Relation { left: Left::Column(name.to_owned()), operator, right }
}

fn integer(text: &str) -> Term {
    Term::Integer(text.to_owned())
}

fn call(name: &str, arguments: Vec<Term>) -> Term {
    Term::Call { name: name.to_owned(), arguments }
}

#[test]
fn the_log_query_of_the_cdc_library() {
    let text = "\n   SELECT * FROM \"ks\".\"t_scylla_cdc_log\"\n WHERE \"cdc$stream_id\" in ?\n \
                AND \"cdc$time\" >= minTimeuuid(?) AND \"cdc$time\" < minTimeuuid(?)  BYPASS CACHE;";
    let select = select(text);
    assert_eq!(select.selection, vec![]);
    assert_eq!(select.table, TableName { keyspace: Some("ks".into()), name: "t_scylla_cdc_log".into() });
    let time = |operator, marker| {
        column("cdc$time", operator, Right::One(call("mintimeuuid", vec![Term::Marker(marker)])))
    };
    let expected = vec![
        column("cdc$stream_id", Operator::In, Right::One(Term::Marker(0))),
        time(Operator::Ge, 1),
        time(Operator::Lt, 2),
    ];
    assert_eq!(select.filter, expected);
}

#[test]
fn every_clause_of_select() {
    let select = select(
        "SELECT DISTINCT a AS b, count(*), ttl(x), writetime(x), cast(y AS text), m['k'], u.f, token(a) FROM t \
         WHERE (c, d) > (1, -2) AND token(a) <= 5 ORDER BY c DESC, d PER PARTITION LIMIT 2 LIMIT :n \
         ALLOW FILTERING BYPASS CACHE USING TIMEOUT 30000ms",
    );
    assert!(select.distinct && select.allow_filtering);
    let item = |index: usize| select.selection[index].expression.clone();
    let a = || Expression::Column("a".into());
    assert_eq!(select.selection[0], SelectItem { expression: a(), alias: Some("b".into()) });
    assert_eq!(item(1), Expression::CountRows);
    assert_eq!(item(2), Expression::Ttl("x".into(), None));
    assert_eq!(item(3), Expression::Writetime("x".into(), None));
    let text = TypeName::Name(table("text"));
    assert_eq!(item(4), Expression::Cast { value: Box::new(Expression::Column("y".into())), to: text });
    let m = Box::new(Expression::Column("m".into()));
    assert_eq!(item(5), Expression::Element { value: m, key: Term::String("k".into()) });
    let u = Box::new(Expression::Column("u".into()));
    assert_eq!(item(6), Expression::Field { value: u, field: "f".into() });
    assert_eq!(item(7), Expression::Call { name: "token".into(), arguments: vec![a()] });
    let pair = Right::One(Term::Tuple(vec![integer("1"), integer("-2")]));
    let columns = Left::Columns(vec!["c".into(), "d".into()]);
    assert_eq!(select.filter[0], Relation { left: columns, operator: Operator::Gt, right: pair });
    assert_eq!(select.filter[1].left, Left::Token(vec!["a".into()]));
    let order = |column: &str, descending| OrderBy { column: column.into(), descending };
    assert_eq!(select.order_by, vec![order("c", true), order("d", false)]);
    assert_eq!((select.per_partition_limit, select.limit), (Some(integer("2")), Some(Term::Marker(0))));
    assert_eq!(select.using.timeout, Some(Term::Duration("30000ms".into())));
}

#[test]
fn terms_of_every_kind() {
    let cases = [
        ("[1, ?]", Term::List(vec![integer("1"), Term::Marker(0)])),
        ("{}", Term::Set(vec![])),
        ("{'a'}", Term::Set(vec![Term::String("a".into())])),
        ("{1: 2}", Term::Map(vec![(integer("1"), integer("2"))])),
        ("{f: true}", Term::Udt(vec![("f".into(), Term::Boolean(true))])),
        ("(1, null)", Term::Tuple(vec![integer("1"), Term::Null])),
        (
            "(blob) 0xff",
            Term::Hint { to: TypeName::Name(table("blob")), value: Box::new(Term::Blob("ff".into())) },
        ),
        ("-Infinity", Term::Float("-Infinity".into())),
        ("-1.5", Term::Float("-1.5".into())),
        ("P1Y2D", Term::Duration("P1Y2D".into())),
        ("-1h", Term::Duration("-1h".into())),
        ("system.now()", call("now", vec![])),
        ("blobAsInt(intAsBlob(?))", call("blobasint", vec![call("intasblob", vec![Term::Marker(0)])])),
    ];
    for (text, expected) in cases {
        let right = select(&format!("SELECT a FROM t WHERE a = {text}")).filter.remove(0).right;
        assert_eq!(right, Right::One(expected), "{text}");
    }
}

#[test]
fn a_name_used_twice_is_one_variable() {
    let parsed = parsed("INSERT INTO t (a, b, c) VALUES (:x, ?, :x) USING TTL :y");
    assert_eq!(parsed.markers, vec![Some("x".into()), None, Some("y".into())]);
    let Statement::Insert(insert) = parsed.statement else { panic!("no insert") };
    assert_eq!(insert.values, vec![Term::Marker(0), Term::Marker(1), Term::Marker(0)]);
    assert_eq!(insert.using.ttl, Some(Term::Marker(2)));
}

#[test]
fn assignments_of_every_kind() {
    let one = || integer("1");
    let cases = [
        ("a = 1", Change::Set(one())),
        ("a = a + 1", Change::Append(one())),
        ("a += 1", Change::Append(one())),
        ("a = 1 + a", Change::Prepend(one())),
        ("a = a -1", Change::Remove(one())),
        ("a -= 1", Change::Remove(one())),
        ("a[1] = 1", Change::Element { key: one(), value: one() }),
        ("a[SCYLLA_TIMEUUID_LIST_INDEX(?)] = 1", Change::ListCell { id: Term::Marker(0), value: one() }),
        ("a.f = 1", Change::Field { field: "f".into(), value: one() }),
    ];
    for (text, expected) in cases {
        let statement = parsed(&format!("UPDATE t SET {text} WHERE k = 1")).statement;
        let Statement::Update(update) = statement else { panic!("{text}") };
        assert_eq!(update.assignments, vec![Assignment { column: "a".into(), change: expected }], "{text}");
    }
}

#[test]
fn deletes_conditions_and_batches() {
    let text = "BEGIN UNLOGGED BATCH USING TIMESTAMP 5 \
                DELETE a, m[1], u.f FROM t USING TIMESTAMP ? WHERE k IN (1, 2) IF a = 1 AND m[1] != 2; \
                INSERT INTO t (k) VALUES (1) IF NOT EXISTS \
                UPDATE t USING TTL 5 SET a = 1 WHERE k = 1 IF EXISTS; APPLY BATCH;";
    let Statement::Batch(batch) = parsed(text).statement else { panic!("no batch") };
    assert_eq!((batch.kind, batch.statements.len()), (BatchKind::Unlogged, 3));
    assert_eq!(batch.using.timestamp, Some(integer("5")));
    let Statement::Delete(delete) = &batch.statements[0] else { panic!("no delete") };
    let element = DeleteTarget::Element("m".into(), integer("1"));
    let field = DeleteTarget::Field("u".into(), "f".into());
    assert_eq!(delete.targets, vec![DeleteTarget::Column("a".into()), element, field]);
    let Condition::Holds(conditions) = &delete.condition else { panic!("no conditions") };
    assert_eq!(conditions[1].left, Left::Element("m".into(), integer("1")));
    assert!(matches!(&batch.statements[1], Statement::Insert(insert) if insert.if_not_exists));
    assert!(
        matches!(&batch.statements[2], Statement::Update(update) if update.condition == Condition::Exists)
    );
    let empty = Batch { kind: BatchKind::Logged, using: Using::default(), statements: vec![] };
    assert_eq!(parsed("BEGIN BATCH APPLY BATCH").statement, Statement::Batch(empty));
}

#[test]
fn schema_statements() {
    let Statement::CreateTable(create) = parsed(
        "CREATE TABLE IF NOT EXISTS ks.t (k uuid, time timestamp, s int static, m frozen<map<text, list<int>>>, \
         u ks.address, PRIMARY KEY ((k), time)) WITH CLUSTERING ORDER BY (time DESC) \
         AND cdc = {'enabled': true, 'ttl': 86400} AND default_time_to_live = 5",
    )
    .statement
    else {
        panic!("no table")
    };
    assert_eq!(
        create.keys,
        vec![PrimaryKey { partition: vec!["k".into()], clustering: vec!["time".into()] }]
    );
    assert_eq!(create.clustering_order, vec![OrderBy { column: "time".into(), descending: true }]);
    assert!(create.columns[2].is_static && create.if_not_exists);
    let cdc = vec![("enabled".into(), "true".into()), ("ttl".into(), "86400".into())];
    let ttl = Property::Value("5".into());
    assert_eq!(
        create.properties,
        vec![("cdc".into(), Property::Map(cdc)), ("default_time_to_live".into(), ttl)]
    );
    let trailing = parsed("CREATE TABLE t (k int PRIMARY KEY, v int,)").statement;
    assert!(matches!(trailing, Statement::CreateTable(create) if create.columns.len() == 2));
    let Statement::AlterTable(alter) = parsed("ALTER TABLE t ADD (a int, b text)").statement else {
        panic!()
    };
    assert!(matches!(alter.action, AlterAction::Add(columns) if columns.len() == 2));
    let drop = Drop { name: table("t"), if_exists: true };
    assert_eq!(parsed("DROP TYPE IF EXISTS t").statement, Statement::DropType(drop));
    assert_eq!(parsed("USE \"Ks\"").statement, Statement::Use("Ks".into()));
    assert_eq!(parsed("TRUNCATE TABLE t").statement, Statement::Truncate(table("t"), Using::default()));
}

#[test]
fn mistakes_are_shown_with_their_place() {
    let cases = [
        ("", "line 1:0 no viable alternative at input '<EOF>'"),
        ("SELEC a", "line 1:0 no viable alternative at input 'SELEC'"),
        ("SELECT a\nFORM t", "line 2:0 mismatched input 'FORM' expecting K_FROM"),
        ("SELECT a FROM t WHERE", "line 1:21 no viable alternative at input '<EOF>'"),
        ("SELECT a FROM t extra", "line 1:16 missing EOF at 'extra'"),
        ("INSERT INTO t (a VALUES (1)", "line 1:17 mismatched input 'VALUES' expecting ')'"),
        ("SELECT a FROM table", "line 1:14 no viable alternative at input 'table'"),
        ("DELETE FROM t", "line 1:13 mismatched input '<EOF>' expecting K_WHERE"),
        ("BEGIN BATCH SELECT a FROM t APPLY BATCH", "line 1:12 no viable alternative at input 'SELECT'"),
    ];
    for (text, message) in cases {
        assert_eq!(parse(text), Err(ParseError::Syntax(message.to_owned())), "{text}");
    }
    let deep = format!("SELECT a FROM t WHERE a = {}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(
        matches!(parse(&deep), Err(ParseError::Syntax(message)) if message.ends_with("nested too deeply"))
    );
}

#[test]
fn what_is_left_out_is_refused_by_name() {
    let cases = [
        ("CREATE INDEX ON t (a)", "CREATE INDEX"),
        ("CREATE MATERIALIZED VIEW v AS SELECT a FROM t", "CREATE MATERIALIZED VIEW"),
        ("CREATE FUNCTION f", "CREATE FUNCTION"),
        ("ALTER TYPE u ADD f int", "ALTER TYPE"),
        ("INSERT INTO t JSON '{}'", "INSERT JSON"),
        ("SELECT JSON a FROM t", "SELECT JSON"),
        ("SELECT a FROM t GROUP BY a", "GROUP BY"),
        ("SELECT a FROM t WHERE a CONTAINS 1", "CONTAINS"),
        ("BEGIN COUNTER BATCH APPLY BATCH", "COUNTER BATCH"),
        ("LIST ROLES", "LIST"),
    ];
    for (text, name) in cases {
        let message = format!("{name} is not supported by this server");
        assert_eq!(parse(text), Err(ParseError::Unsupported(message)), "{text}");
    }
}
