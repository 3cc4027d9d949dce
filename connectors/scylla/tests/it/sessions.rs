//! All that one process does on a cluster goes over one session.

use serde_json::{Value, json};
use weir_scylla::hub::Hub;
use weir_sdk::metrics::Metrics;
use weir_sdk::{Checkpoint, Context, TaskId};

use crate::place::Place;
use crate::{checkpoint, dead_letter};

fn task() -> TaskId {
    TaskId { pipeline: "orders".into(), sink: "topic".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_sinks_and_checkpoints_over_one_hub_share_a_session() {
    let place = Place::start().await;
    place.run(checkpoint::TABLE).await;
    place.run(dead_letter::TABLE).await;
    place.run("CREATE TABLE shop.latest (k blob PRIMARY KEY, v blob)").await;
    let block = |table: &str, page_size: u32, more: Value| {
        let session = json!({"contact_points": [place.server.address().to_string()], "page_size": page_size});
        let mut config = json!({"session": session, "keyspace": "shop", "table": table});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config
    };
    let (hub, context) = (Hub::default(), || Context::new(task(), Metrics::default()));
    let outbox = &weir_scylla::sources(&hub)[0];
    let source =
        outbox.open(block("outbox", 100, json!({})), Checkpoint::default(), context()).await.unwrap();
    let connections = place.server.faults().connections();

    let [dead, projection] = &weir_scylla::sinks(&hub)[..] else { panic!("two kinds of sinks") };
    let dead = dead.open(block("dead", 9, json!({})), context()).await.unwrap();
    let latest = json!({"events": {"*": {"upsert": {"k": "{key}", "v": "{payload}"}}}});
    let projection = projection.open(block("latest", 10, latest), context()).await.unwrap();
    let store = &weir_scylla::stores(&hub)[0];
    let store = store.open(&block("checkpoints", 11, json!({})), "process 1".into()).unwrap();
    store.claim(&task()).await.unwrap();
    assert_eq!(place.server.faults().connections(), connections, "nobody has opened another one");

    // It is the last of them that closes it.
    source.close().await.unwrap();
    drop((dead, store));
    projection.probe().await.unwrap();
    drop(projection);
    outbox.open(block("outbox", 100, json!({})), Checkpoint::default(), context()).await.unwrap();
    assert!(place.server.faults().connections() > connections);
}
