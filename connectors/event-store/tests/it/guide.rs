//! docs/event-store.md: its code is that of the example, which does what it says.

use serde_json::{Value, json};
use uuid::Uuid;
use weir_event_store::{CommandHandler, NewEvent};

use crate::account::{Account, bank, upcasters};
use crate::place::Place;

const GUIDE: &str = include_str!("../../../../docs/event-store.md");
const SOURCES: [&str; 2] = [
    include_str!("../../examples/account.rs"),
    include_str!("../../../../pipelines/orders/src/fulfilment.rs"),
];

/// Lines of code, however far they are indented.
fn lines(code: &str) -> Vec<&str> {
    code.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

#[test]
fn each_block_of_the_guide_stands_in_a_source_that_is_compiled() {
    let sources = SOURCES.map(lines);
    let blocks: Vec<_> =
        GUIDE.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 6, "{} blocks", blocks.len());
    for block in blocks {
        let wanted = lines(block);
        let is_there = |source: &Vec<&str>| source.windows(wanted.len()).any(|window| window == wanted);
        assert!(
            sources.iter().any(is_there),
            "this code of docs/event-store.md is compiled nowhere:\n{block}"
        );
    }
}

#[tokio::test]
async fn the_example_does_what_the_guide_says() {
    let place = Place::find().await;
    // It lays the tables of the guide itself, so it is run where they are called that.
    if place.keyspace == "orders_ks" {
        Box::pin(bank(place.session.clone())).await.unwrap();
    }
    let mut options = place.options();
    options.upcasters = upcasters();
    let store = place.store_with(options).await;
    let (id, old) = (Uuid::new_v4(), json!({"deposited": 30, "balance": 30}));
    let head = store.load(id).await.unwrap().head;
    store.append(&head, "Account", vec![NewEvent::new("MoneyPaidIn", 1, old.to_string())]).await.unwrap();
    let loaded = CommandHandler::<Account>::new(store).load(id).await.unwrap();
    assert_eq!(serde_json::to_value(&loaded.aggregate).unwrap(), json!({"balance_cents": 3000}));
    let payload: Value = serde_json::from_str(&loaded.events[0].payload).unwrap();
    assert_eq!((loaded.events[0].event_version, &payload["balance_cents"]), (2, &json!(3000)));
}
