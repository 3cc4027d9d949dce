//! The table beside the table: made like it, or taken as it is, but never with anything in it.

use std::sync::Arc;

use serde_json::{Value, json};
use weir_sdk::metrics::Metrics;
use weir_sdk::{Context, Error, ErrorKind, SinkFactory, TaskId};

use crate::place::Place;
use weir_scylla::hub::Hub;

fn sink() -> Arc<dyn SinkFactory> {
    weir_scylla::sinks(&Hub::default()).into_iter().find(|sink| sink.name() == "scylla-projection").unwrap()
}

fn context() -> Context {
    Context::new(TaskId { pipeline: "orders".into(), sink: "list".into() }, Metrics::default())
}

fn config(place: &Place) -> Value {
    json!({
        "session": {"contact_points": [place.server.address().to_string()], "request_timeout": "2s"},
        "keyspace": "shop", "table": "list", "events": {"*": {"upsert": {"k": "{key}"}}},
    })
}

async fn beside(place: &Place, name: Option<&str>) -> Result<String, Error> {
    sink().beside(config(place), name.map(str::to_owned), context()).await
}

/// Each column of a table with its type, kind, place and order, and the table's options.
async fn described(
    place: &Place,
    table: &str,
) -> (Vec<(String, String, String, i32, String)>, (String, i32)) {
    let of = format!("WHERE keyspace_name = 'shop' AND table_name = '{table}'");
    let columns =
        format!("SELECT column_name, type, kind, position, clustering_order FROM system_schema.columns {of}");
    let columns = place.session.query_unpaged(columns, ()).await.unwrap().into_rows_result().unwrap();
    let columns = columns.rows().unwrap().map(Result::unwrap).collect();
    let options = format!("SELECT comment, default_time_to_live FROM system_schema.tables {of}");
    let options = place.session.query_unpaged(options, ()).await.unwrap().into_rows_result().unwrap();
    (columns, options.single_row().unwrap())
}

async fn rows(place: &Place, table: &str) -> usize {
    let select = format!("SELECT k FROM shop.{table}");
    place.session.query_unpaged(select, ()).await.unwrap().into_rows_result().unwrap().rows_num()
}

async fn with_a_list() -> Place {
    let place = Place::start().await;
    place.run("CREATE TYPE shop.item (sku text, price bigint)").await;
    place
        .run(
            "CREATE TABLE shop.list (k text, at timestamp, \"Id\" uuid, items frozen<list<frozen<item>>>, s text static, \
             PRIMARY KEY ((k), at, \"Id\")) WITH CLUSTERING ORDER BY (at DESC, \"Id\" ASC) \
             AND comment = 'of (all) orders' AND default_time_to_live = 86400",
        )
        .await;
    place.run("INSERT INTO shop.list (k, at, \"Id\") VALUES ('a', 1, uuid())").await;
    place
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_made_like_the_other_one_and_is_found_again_while_it_is_empty() {
    let place = with_a_list().await;
    assert_eq!(beside(&place, None).await.unwrap(), "list_rebuilt");
    assert_eq!(described(&place, "list_rebuilt").await, described(&place, "list").await);
    assert_eq!((rows(&place, "list_rebuilt").await, rows(&place, "list").await), (0, 1));
    assert_eq!(beside(&place, None).await.unwrap(), "list_rebuilt");
    place.run("CREATE TABLE shop.own (k text PRIMARY KEY)").await;
    assert_eq!(beside(&place, Some("own")).await.unwrap(), "own", "its columns may be others");

    place.run("INSERT INTO shop.list_rebuilt (k, at, \"Id\") VALUES ('a', 1, uuid())").await;
    let error = beside(&place, None).await.unwrap_err();
    assert_eq!(error.to_string(), "there are rows in the table \"shop\".\"list_rebuilt\"");
    assert!(error.operator_advice().unwrap().contains("--into"), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(beside(&place, Some("list_2")).await.unwrap(), "list_2");
    let error = beside(&place, Some("list")).await.unwrap_err();
    assert!(error.to_string().contains("is the table that is in use"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_table_that_is_named_is_emptied() {
    let place = with_a_list().await;
    beside(&place, None).await.unwrap();
    let named = sink().place(&config(&place)).unwrap();
    assert!(named.is_named_in(&config(&place)));
    place.run("INSERT INTO shop.list_rebuilt (k, at, \"Id\") VALUES ('a', 1, uuid())").await;
    let config = weir_sdk::Place { name: "list_rebuilt".into(), ..named }.put_in(config(&place));
    sink().empty(config, context()).await.unwrap();
    assert_eq!((rows(&place, "list_rebuilt").await, rows(&place, "list").await), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_none_beside_a_table_that_is_not_there() {
    let place = Place::start().await;
    let error = beside(&place, None).await.unwrap_err();
    assert_eq!(error.problems()[0].pointer, "/table");
}
