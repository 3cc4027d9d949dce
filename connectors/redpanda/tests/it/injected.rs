//! Errors that no well-behaved broker gives on demand: injected into librdkafka's mock cluster.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::json;
use weir_sdk::testing::numbered;
use weir_sdk::{ErrorKind, Records};

use crate::far_side::{PATIENCE, deliver, open};

fn cluster() -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 2, 1).unwrap();
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_by_itself_is_never_heard_of() {
    let cluster = cluster();
    let sink = open(cluster.bootstrap_servers(), json!({})).await.unwrap();
    let passing = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
    ];
    cluster.request_errors(RDKafkaApiKey::Produce, &passing);
    assert_eq!(deliver(&*sink, numbered("p", 0..100, 7), PATIENCE).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_we_may_not_write_to_is_for_the_operator() {
    let cluster = cluster();
    let sink = open(cluster.bootstrap_servers(), json!({})).await.unwrap();
    let denied = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 2];
    cluster.request_errors(RDKafkaApiKey::Produce, &denied);
    let error = sink.write(Records::from(numbered("p", 0..10, 3))).await.unwrap_err();
    assert_eq!(error.first().kind(), ErrorKind::Auth, "{error:?}");
    assert!(error.first().operator_advice().unwrap().contains("WRITE"));
    // Once the rights are granted the same sink goes on: the next producer knows nothing of the refusal.
    cluster.clear_request_errors(RDKafkaApiKey::Produce);
    deliver(&*sink, numbered("p", 0..10, 3), PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_nobody_foresaw_ends_the_producer_and_not_the_sink() {
    let cluster = cluster();
    let sink = open(cluster.bootstrap_servers(), json!({})).await.unwrap();
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN]);
    let kinds = deliver(&*sink, numbered("p", 0..100, 7), PATIENCE).await;
    assert!(kinds.iter().all(|kind| *kind == ErrorKind::Transient), "{kinds:?}");
}
