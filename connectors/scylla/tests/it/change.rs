//! Every change of a table as records: what each operation looks like, with and without images, over pages and restarts.

use serde_json::{Value, json};
use weir_scylla::hub::Hub;
use weir_sdk::{Checkpoint, Record};

use crate::place::{Place, Tail, header, text};

pub(crate) const IMAGES: &str = "{'enabled': true, 'preimage': 'full', 'postimage': true}";

impl Place {
    /// A server with `shop.stock`, made of these columns.
    pub(crate) async fn with_stock(columns: &str, cdc: &str) -> Self {
        let place = Self::start().await;
        place.run(&format!("CREATE TABLE shop.stock ({columns}) WITH cdc = {cdc}")).await;
        place
    }

    pub(crate) async fn open_changes(&self, more: Value, resume: Checkpoint) -> Tail {
        let mut config = self.config();
        config["table"] = "stock".into();
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.seat_with(&*self.changes(Hub::default()), config, resume).await.unwrap()
    }

    /// What the records of these statements say, but for places and times.
    async fn told(&self, more: Value, statements: &[&str], records: usize) -> Vec<Value> {
        let mut tail = self.open_changes(more, Checkpoint::default()).await;
        for statement in statements {
            self.run(statement).await;
        }
        tail.until(records).await;
        tail.caught_up(&self.server).await;
        assert_eq!(tail.seen.len(), records, "{:?}", tail.payloads());
        tail.seen.iter().map(told).collect()
    }
}

/// What a record says, but for its place and its time.
fn told(record: &Record) -> Value {
    let mut value: Value = serde_json::from_slice(record.value.as_ref().unwrap()).unwrap();
    let members = value.as_object_mut().unwrap();
    let names = [members.remove("keyspace").unwrap(), members.remove("table").unwrap()];
    assert_eq!(names, ["shop", "stock"]);
    assert_eq!(members.remove("time_us").unwrap(), record.timestamp.0);
    assert_eq!(
        members.remove("source_position").unwrap().as_str(),
        header(record, "source_position").as_deref()
    );
    assert_eq!(members.remove("sequence").unwrap().to_string(), header(record, "sequence").unwrap());
    assert_eq!(members["op"].as_str(), header(record, "op").as_deref());
    let key: Value = serde_json::from_slice(record.key.as_ref().unwrap()).unwrap();
    assert_eq!(key, members.remove("key").unwrap());
    value
}

pub(crate) const ROWS: &str = "item text, shop int, count int, note text, PRIMARY KEY (item, shop)";
const WRITES: [&str; 4] = [
    "INSERT INTO shop.stock (item, shop, count) VALUES ('nut', 1, 5)",
    "UPDATE shop.stock SET note = 'new', count = null WHERE item = 'nut' AND shop = 1",
    "DELETE FROM shop.stock WHERE item = 'nut' AND shop = 1",
    "DELETE FROM shop.stock WHERE item = 'nut'",
];

#[tokio::test(flavor = "multi_thread")]
async fn without_images_a_record_says_what_was_done() {
    let place = Place::with_stock(ROWS, "{'enabled': true}").await;
    let told = place.told(json!({}), &WRITES, 4).await;
    assert_eq!(
        told,
        [
            json!({"op": "insert", "before": null, "after": null, "changed": {"count": 5}}),
            json!({"op": "update", "before": null, "after": null, "changed": {"count": null, "note": "new"}}),
            json!({"op": "delete", "before": null, "after": null}),
            json!({"op": "delete_partition", "before": null, "after": null}),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn with_images_it_says_how_the_row_was_and_is() {
    let place = Place::with_stock(ROWS, IMAGES).await;
    let told = place.told(json!({"images": ["before", "after"]}), &WRITES, 4).await;
    let first = json!({"item": "nut", "shop": 1, "count": 5, "note": null});
    let second = json!({"item": "nut", "shop": 1, "count": null, "note": "new"});
    assert_eq!(
        told,
        [
            json!({"op": "insert", "before": null, "after": first, "changed": {"count": 5}}),
            json!({"op": "update", "before": first, "after": second, "changed": {"count": null, "note": "new"}}),
            json!({"op": "delete", "before": second, "after": null}),
            json!({"op": "delete_partition", "before": null, "after": null}),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_row_of_a_batch_has_its_own_images() {
    let place = Place::with_stock(ROWS, IMAGES).await;
    let row = |shop: i32, count: i32| json!({"item": "nut", "shop": shop, "count": count, "note": null});
    let setup = "BEGIN BATCH INSERT INTO shop.stock (item, shop, count) VALUES ('nut', 1, 10); \
                 INSERT INTO shop.stock (item, shop, count) VALUES ('nut', 2, 20); APPLY BATCH";
    let batch = "BEGIN BATCH UPDATE shop.stock SET count = 11 WHERE item = 'nut' AND shop = 1; \
                 DELETE FROM shop.stock WHERE item = 'nut' AND shop = 2; \
                 INSERT INTO shop.stock (item, shop, count) VALUES ('nut', 3, 30); APPLY BATCH";
    let told = place.told(json!({}), &[setup, batch], 5).await;
    let insert = |shop, count| json!({"op": "insert", "before": null, "after": row(shop, count), "changed": {"count": count}});
    assert_eq!(told[..2], [insert(1, 10), insert(2, 20)]);
    assert_eq!(
        told[2..],
        [
            insert(3, 30),
            json!({"op": "update", "before": row(1, 10), "after": row(1, 11), "changed": {"count": 11}}),
            json!({"op": "delete", "before": row(2, 20), "after": null}),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_partition_is_one_row_it_is_deleted_as_a_row() {
    let place = Place::with_stock("item text PRIMARY KEY, count int", IMAGES).await;
    let writes = [
        "INSERT INTO shop.stock (item, count) VALUES ('nut', 1)",
        "DELETE FROM shop.stock WHERE item = 'nut'",
    ];
    let told = place.told(json!({"operations": ["delete"]}), &writes, 1).await;
    assert_eq!(told, [json!({"op": "delete", "before": {"item": "nut", "count": 1}, "after": null})]);
}

#[tokio::test(flavor = "multi_thread")]
async fn elements_are_told_one_by_one_and_a_whole_as_a_whole() {
    let place = Place::start().await;
    place.run("CREATE TYPE shop.place (street text, number int)").await;
    let columns = "item text PRIMARY KEY, tags set<text>, sizes map<int, text>, log list<text>, at shop.place, \
                   fixed frozen<list<int>>";
    place.run(&format!("CREATE TABLE shop.stock ({columns}) WITH cdc = {IMAGES}")).await;
    let writes = [
        "INSERT INTO shop.stock (item, tags, sizes, log, at, fixed) \
         VALUES ('nut', {'a', 'b'}, {1: 'one'}, ['x', 'y'], {street: 'Mill Lane', number: 3}, [7, 8])",
        "UPDATE shop.stock SET tags = tags + {'c'}, sizes[2] = 'two', at.number = 4 WHERE item = 'nut'",
        "UPDATE shop.stock SET tags = tags - {'a'}, sizes = sizes - {1}, at.street = null WHERE item = 'nut'",
        "UPDATE shop.stock SET log = log + ['z'] WHERE item = 'nut'",
        "UPDATE shop.stock SET tags = {'only'}, sizes = null WHERE item = 'nut'",
    ];
    let mut told = place.told(json!({}), &writes, 5).await;
    let whole = json!({"tags": ["a", "b"], "sizes": {"1": "one"}, "log": ["x", "y"],
                       "at": {"street": "Mill Lane", "number": 3}, "fixed": [7, 8]});
    assert_eq!((&told[0]["changed"], told[0].get("elements")), (&whole, None));
    let after = |value: &Value| value["after"].as_object().unwrap().clone();
    assert_eq!(after(&told[0])["log"], json!(["x", "y"]), "a list, and not its cells");
    assert_eq!(
        (&told[1]["changed"], &told[1]["elements"]),
        (
            &json!({}),
            &json!({"tags": {"added": ["c"]}, "sizes": {"added": {"2": "two"}}, "at": {"added": {"number": 4}}})
        )
    );
    assert_eq!(
        told[2]["elements"],
        json!({"tags": {"removed": ["a"]}, "sizes": {"removed": [1]}, "at": {"removed": ["street"]}})
    );
    assert_eq!(after(&told[2])["at"], json!({"street": null, "number": 4}));
    // An element of a list has an id of its own, which orders it.
    let appended = told[3]["elements"]["log"]["added"].take();
    let cells: Vec<_> = appended.as_object().unwrap().iter().collect();
    assert_eq!((cells.len(), cells[0].1), (1, &json!("z")));
    assert!(uuid::Uuid::parse_str(cells[0].0).unwrap().get_version_num() == 1, "{cells:?}");
    assert_eq!(after(&told[3])["log"], json!(["x", "y", "z"]));
    assert_eq!(told[4]["changed"], json!({"tags": ["only"], "sizes": null}));
    assert_eq!(after(&told[4])["tags"], json!(["only"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn static_columns_ranges_and_times_to_live() {
    let columns =
        "item text, shop int, shelf int, count int, price int static, PRIMARY KEY (item, shop, shelf)";
    let place = Place::with_stock(columns, IMAGES).await;
    let writes = [
        "UPDATE shop.stock SET price = 9 WHERE item = 'nut'",
        "INSERT INTO shop.stock (item, shop, shelf, count) VALUES ('nut', 1, 1, 5) USING TTL 600",
        "DELETE FROM shop.stock WHERE item = 'nut' AND shop = 1 AND shelf > 0 AND shelf <= 4",
        "DELETE FROM shop.stock WHERE item = 'nut' AND shop >= 2",
    ];
    let told = place.told(json!({}), &writes, 4).await;
    let row = json!({"item": "nut", "shop": 1, "shelf": 1, "count": 5});
    assert_eq!(
        told,
        [
            json!({"op": "update", "before": null, "after": {"item": "nut", "price": 9}, "changed": {"price": 9}}),
            json!({"op": "insert", "before": null, "after": row, "changed": {"count": 5}, "ttl": 600}),
            json!({"op": "delete_range", "before": null, "after": null, "range": {
                "from": {"key": {"shop": 1, "shelf": 0}, "inclusive": false},
                "to": {"key": {"shop": 1, "shelf": 4}, "inclusive": true}
            }}),
            json!({"op": "delete_range", "before": null, "after": null, "range": {
                "from": {"key": {"shop": 2}, "inclusive": true}, "to": null
            }}),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_be_that_of_the_partition_and_a_delete_a_tombstone() {
    let place = Place::with_stock(ROWS, "{'enabled': true}").await;
    let mut by_partition = place.open_changes(json!({"key": "partition"}), Checkpoint::default()).await;
    let mut tombstones = place
        .open_changes(
            json!({"deletes": "tombstone", "operations": ["update", "delete"]}),
            Checkpoint::default(),
        )
        .await;
    for write in WRITES {
        place.run(write).await;
    }
    by_partition.until(4).await;
    assert!(by_partition.seen.iter().all(|record| text(record.key.as_ref().unwrap()) == r#"{"item":"nut"}"#));
    tombstones.until(3).await;
    let seen = |record: &Record| {
        (text(record.key.as_ref().unwrap()), record.value.is_some(), header(record, "op").unwrap())
    };
    let row = r#"{"item":"nut","shop":1}"#.to_owned();
    assert_eq!(
        tombstones.seen.iter().map(seen).collect::<Vec<_>>(),
        [
            (row.clone(), true, "update".to_owned()),
            (row, false, "delete".to_owned()),
            (r#"{"item":"nut"}"#.to_owned(), true, "delete_partition".to_owned()),
        ]
    );
    assert_eq!(tombstones.counted("cdc_rows_skipped_unwanted_total"), 1, "the insert");
}

#[tokio::test(flavor = "multi_thread")]
async fn debezium_s_envelope_has_what_its_readers_look_for() {
    let place = Place::with_stock(ROWS, "{'enabled': true, 'preimage': 'full'}").await;
    let mut tail = place.open_changes(json!({"format": "debezium"}), Checkpoint::default()).await;
    for write in WRITES {
        place.run(write).await;
    }
    tail.until(4).await;
    let values: Vec<Value> = tail
        .seen
        .iter()
        .map(|record| serde_json::from_slice(record.value.as_ref().unwrap()).unwrap())
        .collect();
    let key = json!({"item": "nut", "shop": 1});
    let with = |more: Value| {
        let mut row = key.clone();
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    let told: Vec<_> = values.iter().map(|value| (&value["op"], &value["before"], &value["after"])).collect();
    let first = with(json!({"count": 5, "note": null}));
    let second = with(json!({"count": null, "note": "new"}));
    assert_eq!(
        told,
        [
            (&json!("c"), &json!(null), &with(json!({"count": 5}))),
            (&json!("u"), &first, &with(json!({"count": null, "note": "new"}))),
            (&json!("d"), &second, &json!(null)),
            (&json!("d"), &json!({"item": "nut"}), &json!(null)),
        ]
    );
    let (value, record) = (&values[1], &tail.seen[1]);
    let source = &value["source"];
    let names =
        ["connector", "name", "db", "keyspace_name", "table_name", "snapshot"].map(|name| &source[name]);
    assert_eq!(names, ["scylla", "orders", "shop", "shop", "stock", "false"]);
    let micros = record.timestamp.0;
    assert_eq!((&source["ts_us"], &source["ts_ms"]), (&json!(micros), &json!(micros / 1000)));
    assert_eq!((&value["ts_us"], &value["ts_ms"]), (&json!(micros), &json!(micros / 1000)));
    assert_eq!(source["source_position"].as_str(), header(record, "source_position").as_deref());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_has_its_json() {
    let columns = "item text PRIMARY KEY, a ascii, b bigint, bl blob, bo boolean, da date, de decimal, dou double, \
                   du duration, f float, ine inet, i int, s smallint, ti time, ts timestamp, tu timeuuid, ty tinyint, \
                   u uuid, v varint, l frozen<list<frozen<map<text, int>>>>, t tuple<int, text, boolean>";
    let place = Place::with_stock(columns, "{'enabled': true}").await;
    let insert = "INSERT INTO shop.stock (item, a, b, bl, bo, da, de, dou, du, f, ine, i, s, ti, ts, tu, ty, u, v, l, t) \
                  VALUES ('\"quoted\"', 'plain', -9007199254740993, 0x00cafe, true, '2026-01-31', -12.340, 0.1, \
                  1mo2d3s, 1.5, '2001:db8::1', -5, 300, '12:30:00.000000001', '2026-01-31T12:00:00.120+0000', \
                  13814000-1dd2-11b2-8080-808080808080, -7, 00000000-0000-4000-8000-000000000001, \
                  123456789012345678901234567890123456789012345678, [{'k': 1}, {}], (1, null, true))";
    let told = place.told(json!({}), &[insert], 1).await;
    let wanted = json!({
        "a": "plain", "b": -9007199254740993i64, "bl": "0x00cafe", "bo": true, "da": "2026-01-31", "de": "-12.340",
        "dou": 0.1, "du": "1mo2d3000000000ns", "f": 1.5, "ine": "2001:db8::1", "i": -5, "s": 300,
        "ti": "12:30:00.000000001", "ts": "2026-01-31T12:00:00.120Z", "tu": "13814000-1dd2-11b2-8080-808080808080",
        "ty": -7, "u": "00000000-0000-4000-8000-000000000001",
        "v": "123456789012345678901234567890123456789012345678", "l": [{"k": 1}, {}], "t": [1, null, true]
    });
    assert_eq!(told[0]["changed"], wanted);
}
