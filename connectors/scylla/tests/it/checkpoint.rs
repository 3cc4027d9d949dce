//! Checkpoints in a table: what every store promises, who may save, and tables and databases in trouble.

use std::sync::Arc;

use serde_json::{Value, json};
use weir_scylla::hub::Hub;
use weir_scylla_dev::error::ErrorCode;
use weir_scylla_dev::faults::Failure;
use weir_sdk::testing::contract;
use weir_sdk::{Checkpoint, CheckpointStore, ErrorKind, Partition, TaskId};

use crate::place::Place;

pub(crate) const TABLE: &str = "CREATE TABLE shop.checkpoints (pipeline text, sink text, slot int, identity text static, \
    owner uuid static, holder text static, saves bigint static, saved_at timestamp static, source_partition text, \
    source_offset blob, PRIMARY KEY ((pipeline, sink), slot))";

async fn place() -> Place {
    let place = Place::start().await;
    place.run(TABLE).await;
    place
}

fn config(place: &Place) -> Value {
    json!({"session": {"contact_points": [place.server.address().to_string()], "request_timeout": "2s"},
        "keyspace": "shop", "table": "checkpoints"})
}

fn store(place: &Place, holder: &str) -> Arc<dyn CheckpointStore> {
    let factory = weir_scylla::stores(&Hub::default()).remove(0);
    assert_eq!((factory.name(), factory.check(&config(place))), ("scylla", vec![]));
    factory.open(&config(place), holder.to_owned()).unwrap()
}

fn task() -> TaskId {
    TaskId { pipeline: "orders".into(), sink: "topic".into() }
}

fn at(offset: &str) -> Checkpoint {
    [(Partition::from("log"), offset.to_owned())].into_iter().collect()
}

async fn saved(store: &Arc<dyn CheckpointStore>) -> Option<Checkpoint> {
    store.load(&task()).await.unwrap().map(|saved| saved.checkpoint)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_what_every_store_promises() {
    let place = place().await;
    contract::checkpoint_store(async || store(&place, "process 1")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newer_claim_wins_and_nothing_older_is_saved_any_more() {
    let place = place().await;
    let (older, newer) = (store(&place, "process 1 on alpha"), store(&place, "process 2 on beta"));
    assert_eq!(older.claim(&task()).await.unwrap(), None);
    older.save(&task(), "table", &at("1")).await.unwrap();
    assert_eq!(newer.in_use(&task()).await.unwrap(), None, "it holds the task, and saves nothing");
    older.save(&task(), "table", &at("2")).await.unwrap();
    assert_eq!(newer.claim(&task()).await.unwrap().unwrap().checkpoint, at("2"), "the newest checkpoint");
    for refused in [older.save(&task(), "table", &at("3")).await, older.claim(&task()).await.map(drop)] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Fenced, "{error:?}");
        assert!(error.to_string().contains("orders/topic was taken over by process 2 on beta"), "{error}");
    }
    assert_eq!(saved(&newer).await, Some(at("2")), "nothing of it was saved");
    newer.save(&task(), "table", &at("4")).await.unwrap();
    assert_eq!(newer.claim(&task()).await.unwrap().unwrap().checkpoint, at("4"), "one's own is no other's");
    assert_eq!(saved(&older).await, Some(at("4")), "to look is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_saves_at_present_is_told() {
    let place = place().await;
    let (running, asking) = (store(&place, "process 1 on alpha"), store(&place, "process 2 on beta"));
    running.claim(&task()).await.unwrap();
    let (task, saving) = (task(), async {
        for number in 0.. {
            running.save(&task(), "table", &at(&number.to_string())).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    });
    let told = tokio::select! {
        told = asking.in_use(&task) => told.unwrap(),
        () = saving => None,
    };
    assert_eq!(told.as_deref(), Some("process 1 on alpha"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_claims_at_one_moment_leave_one_holder() {
    let place = place().await;
    let stores: Vec<_> = (0..3).map(|number| store(&place, &format!("process {number}"))).collect();
    let claims = stores.iter().map(|store| async { store.claim(&task()).await.is_ok() });
    let claimed = futures::future::join_all(claims).await;
    assert!(claimed.contains(&true));
    let mut holders = 0;
    for store in &stores {
        holders += usize::from(store.save(&task(), "table", &at("1")).await.is_ok());
    }
    assert_eq!(holders, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_are_used_again_so_no_rows_pile_up() {
    let place = place().await;
    let store = store(&place, "process 1");
    store.claim(&task()).await.unwrap();
    for number in 0..50_u32 {
        let mut checkpoint = at(&number.to_string());
        checkpoint.set(Partition::from(format!("ids/{number}")), vec![1; 10]);
        if number >= 3 {
            checkpoint.retire(Partition::from(format!("ids/{}", number - 3)));
        }
        store.save(&task(), "table", &checkpoint).await.unwrap();
    }
    let rows = place.session.query_unpaged("SELECT slot FROM shop.checkpoints", ()).await.unwrap();
    let slots: Vec<_> = rows.into_rows_result().unwrap().rows::<(i32,)>().unwrap().flatten().collect();
    assert!(slots.len() <= 5, "{slots:?}");
    assert_eq!(saved(&store).await.unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_will_not_do_is_refused_with_the_statement_that_repairs_it() {
    let place = Place::start().await;
    let store = store(&place, "process 1");
    let error = store.load(&task()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let repair = error.operator_advice().unwrap().to_owned();
    assert!(repair.starts_with(r#"CREATE TABLE "shop"."checkpoints" ("#), "{error:?}");
    place.run(repair.trim_end_matches(';')).await;
    store.claim(&task()).await.unwrap();
    store.save(&task(), "table", &at("1")).await.unwrap();

    place.run("TRUNCATE shop.checkpoints").await;
    let error = store.save(&task(), "table", &at("2")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(error.to_string().contains("the checkpoint of orders/topic is gone from"), "{error}");
    assert_eq!(store.claim(&task()).await.unwrap(), None, "it begins anew");
    store.save(&task(), "table", &at("3")).await.unwrap();

    place.run("DROP TABLE shop.checkpoints").await;
    let error = store.save(&task(), "table", &at("4")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(error.operator_advice().unwrap().starts_with("CREATE TABLE"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_passes_and_a_save_is_tried_again() {
    let mut place = place().await;
    place.server.stop().await;
    let store = store(&place, "process 1");
    assert_eq!(store.load(&task()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    place.server.restart().await.unwrap();
    store.claim(&task()).await.unwrap();
    let late = ErrorCode::WriteTimeout { consistency: 6, received: 0, block_for: 1, write_type: "CAS" };
    place.server.faults().fail(Failure::of("checkpoints", late).times(1));
    assert_eq!(store.save(&task(), "table", &at("1")).await.unwrap_err().kind(), ErrorKind::Timeout);
    store.save(&task(), "table", &at("1")).await.unwrap();
    assert_eq!(saved(&store).await, Some(at("1")));
}
