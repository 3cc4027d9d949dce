//! Every change of a table as records: what each operation looks like, with and without images, over pages and restarts.

use serde_json::{Value, json};
use weir_scylla::hub::Hub;
use weir_sdk::{Checkpoint, Record};

use crate::place::{Place, Tail, header, text};

const IMAGES: &str = "{'enabled': true, 'preimage': 'full', 'postimage': true}";

impl Place {
    /// A server with `shop.stock`, made of these columns.
    async fn with_stock(columns: &str, cdc: &str) -> Self {
        let place = Self::start().await;
        place.run(&format!("CREATE TABLE shop.stock ({columns}) WITH cdc = {cdc}")).await;
        place
    }

    async fn open_changes(&self, more: Value, resume: Checkpoint) -> Tail {
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
    assert_eq!(text(record.key.as_ref().unwrap()), members.remove("key").unwrap().to_string());
    value
}

const ROWS: &str = "item text, shop int, count int, note text, PRIMARY KEY (item, shop)";
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
