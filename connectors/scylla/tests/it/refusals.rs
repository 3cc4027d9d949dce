//! Tables that cannot be read: each is refused with what is wrong and the CQL that repairs it.

use std::time::Duration;

use serde_json::{Value, json};
use weir_sdk::config::Problem;
use weir_sdk::{Checkpoint, ErrorKind};

use crate::place::{Place, ROOM};

async fn refused(place: &Place, change: Value) -> Vec<Problem> {
    let mut config = place.config();
    config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let error = place.open_with(config, Checkpoint::default()).await.err().expect("it is refused");
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    error.problems().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_or_keyspace_that_is_not_there() {
    let place = Place::start().await;
    let problems = refused(&place, json!({"table": "nowhere"})).await;
    assert_eq!(problems[0].pointer, "/table");
    assert!(
        problems[0].help.as_ref().unwrap().starts_with(r#"CREATE TABLE "shop"."nowhere""#),
        "{problems:?}"
    );
    let problems = refused(&place, json!({"keyspace": "shops"})).await;
    assert_eq!(problems[0].pointer, "/keyspace");
    assert!(problems[0].help.as_ref().unwrap().starts_with(r#"CREATE KEYSPACE "shops""#), "{problems:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statement_that_is_advised_repairs_the_table() {
    let place = Place::start().await;
    for (name, cdc) in [
        ("off", "{'enabled': false}"),
        ("keys", "{'enabled': true, 'delta': 'keys'}"),
        ("short", "{'enabled': true, 'ttl': 60}"),
    ] {
        place.table(name, cdc).await;
        let problems = refused(&place, json!({"table": name})).await;
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].pointer, "/table");
        let help = problems[0].help.clone().unwrap();
        place.run(help.split(';').next().unwrap()).await;
        let mut config = place.config();
        config["table"] = name.into();
        place.open_with(config, Checkpoint::default()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_column_that_does_not_fit_is_named_at_once() {
    let place = Place::start().await;
    place.run("CREATE TABLE shop.odd (id uuid PRIMARY KEY, event_type text, payload map<text, text>, tags set<text>) WITH cdc = {'enabled': true}").await;
    let change = json!({"table": "odd", "columns": {"aggregate_id": "ids"}, "headers": {"tags": "tags"}});
    let problems = refused(&place, change).await;
    let pointers: Vec<_> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(pointers, ["/columns/event_id", "/columns/aggregate_id", "/columns/payload", "/headers/tags"]);
    let help = |at: usize| problems[at].help.clone().unwrap();
    assert!(help(0).contains(r#"ALTER TABLE "shop"."odd" ADD "event_id" uuid;"#), "{}", help(0));
    assert!(help(1).contains("did you mean `id`?"), "{}", help(1));
    assert!(problems[2].message.contains("map<text, text>"), "{}", problems[2].message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_datacenter_or_certificates_that_are_not_there() {
    let place = Place::start().await;
    for (change, said) in [
        (json!({"local_datacenter": "nowhere"}), "no datacenter `nowhere`"),
        (json!({"tls": {"ca_file": "/no/such/ca.pem"}}), "`/no/such/ca.pem`"),
    ] {
        let mut config = place.config();
        config["session"].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let error = place.open_with(config, Checkpoint::default()).await.err().expect("it is refused");
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(error.to_string().contains(said) && error.operator_advice().is_some(), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_switched_off_under_way_is_noticed_and_one_that_is_back_is_read_on() {
    let place = Place::start().await;
    let mut tail = place.open(Checkpoint::default()).await;
    place.write(1, 1).await;
    tail.until(1).await;
    place.run("ALTER TABLE shop.outbox WITH cdc = {'enabled': false}").await;
    place.server.faults().advance_clock(Duration::from_secs(31));
    let error = loop {
        if let Err(error) = tail.poll(ROOM).await {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::Config);
    let repair = error.problems()[0].help.clone().unwrap();
    place.run(repair.split(';').next().unwrap()).await;
    place.write(1, 2).await;
    tail.until(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_dropped_under_way_is_noticed() {
    let place = Place::start().await;
    let mut tail = place.open(Checkpoint::default()).await;
    place.write(1, 1).await;
    tail.until(1).await;
    place.run("DROP TABLE shop.outbox").await;
    let error = loop {
        if let Err(error) = tail.poll(ROOM).await {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
}
