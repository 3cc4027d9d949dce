//! The broker goes and comes back; writes are dropped and repeated. Nothing is lost, nothing arrives twice.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout};
use weir_sdk::testing::{numbered, record};
use weir_sdk::{ErrorKind, Records, Sink, WriteError};

use crate::far_side::{PATIENCE, broker, deliver, open, texts};

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_at_once_and_survived_without_gap_or_repeat() {
    let broker = broker();
    broker.create_topic("t", 1).unwrap();
    let sink = open(broker.address(), json!({})).await.unwrap();
    let sent = numbered("p", 0..600, 11);
    assert_eq!(deliver(&*sink, sent[..200].to_vec(), PATIENCE).await, []);

    broker.pause().unwrap();
    let asked = Instant::now();
    for _ in 0..3 {
        // The first write is in flight when it becomes clear, the others start while it is.
        let error = sink.write(sent[200..400].to_vec().into()).await.unwrap_err();
        let WriteError::All(error) = error else { panic!("{error:?}") };
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.operator_advice().is_some(), "{error:?}");
    }
    assert!(asked.elapsed() < Duration::from_secs(15), "told only after {:?}", asked.elapsed());
    assert_eq!(sink.probe().await.unwrap_err().kind(), ErrorKind::Unavailable);

    broker.resume().unwrap();
    let back = Instant::now();
    while sink.probe().await.is_err() {
        assert!(back.elapsed() < PATIENCE, "the probe never succeeds");
    }
    assert_eq!(deliver(&*sink, sent[200..400].to_vec(), PATIENCE).await, []);
    assert_eq!(deliver(&*sink, sent[400..].to_vec(), PATIENCE).await, []);
    assert_eq!(texts(&broker, "t"), numbers(0..600));
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_join_what_four_lanes_have_on_their_way() {
    let broker = broker();
    broker.create_topic("t", 1).unwrap();
    let sink = open(broker.address(), json!({})).await.unwrap();
    let lane = async |own: usize| {
        for batch in numbered(&format!("p{own}"), 0..1000, 5).chunks(100) {
            // A deadline that most writes miss while the broker flickers.
            deliver(&*sink, batch.to_vec(), Duration::from_millis(70)).await;
        }
    };
    let flicker = async {
        for _ in 0..8 {
            broker.pause().unwrap();
            tokio::time::sleep(Duration::from_millis(150)).await;
            broker.resume().unwrap();
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    };
    tokio::join!(lane(0), lane(1), lane(2), lane(3), flicker);
    let mut arrived = texts(&broker, "t");
    assert_eq!(arrived.len(), 4000, "gaps or repeats");
    arrived.sort_by_key(|text| text.parse::<usize>().unwrap());
    assert!(arrived.chunks(4).zip(0..).all(|(same, number)| same == vec![number.to_string(); 4]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_dropped_at_its_deadline_is_joined_by_its_retry() {
    let broker = broker();
    broker.create_topic("t", 1).unwrap();
    let sink = open(broker.address(), json!({})).await.unwrap();
    sink.probe().await.unwrap();
    let sent = numbered("p", 0..120, 3);
    broker.delay_answers(Duration::from_secs(3600));
    for _ in 0..5 {
        let records = Records::from(sent[..100].to_vec());
        assert!(timeout(Duration::from_millis(50), sink.write(records)).await.is_err(), "answered");
    }
    broker.delay_answers(Duration::ZERO);
    // A retry that brings more along, as a lane may.
    assert_eq!(deliver(&*sink, sent, PATIENCE).await, []);
    assert_eq!(texts(&broker, "t"), numbers(0..120));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_dropped_while_it_waits_for_room_goes_on_where_it_was() {
    let broker = broker();
    broker.create_topic("t", 1).unwrap();
    let sink = open(broker.address(), json!({"queue": "1MB", "compression": "none"})).await.unwrap();
    let mut sent = numbered("p", 0..100, 3);
    for record in &mut sent {
        record.value = Some([record.value.as_deref().unwrap(), &vec![b' '; 50_000]].concat().into());
    }
    broker.pause().unwrap();
    for _ in 0..3 {
        assert!(timeout(Duration::from_millis(50), sink.write(sent.clone().into())).await.is_err());
    }
    broker.resume().unwrap();
    deliver(&*sink, sent, PATIENCE).await;
    let arrived: Vec<_> = texts(&broker, "t").iter().map(|text| text.trim().to_owned()).collect();
    assert_eq!(arrived, numbers(0..100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_was_never_there_is_unavailable_and_welcome_later() {
    let broker = broker();
    broker.create_topic("t", 1).unwrap();
    broker.pause().unwrap();
    let sink = open(broker.address(), json!({})).await.unwrap();
    let one = || Records::from(vec![record("k", "1")]);
    assert_eq!(
        timeout(PATIENCE, sink.write(one())).await.unwrap().unwrap_err().first().kind(),
        ErrorKind::Unavailable
    );
    broker.resume().unwrap();
    deliver(&*sink, one().into_vec(), PATIENCE).await;
    assert_eq!(texts(&broker, "t"), ["1"]);
    close_is_prompt(&*sink).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_gives_up_what_nobody_can_take() {
    let broker = broker();
    broker.create_topic("t", 1).unwrap();
    let sink = open(broker.address(), json!({})).await.unwrap();
    sink.probe().await.unwrap();
    broker.pause().unwrap();
    let records = Records::from(numbered("p", 0..100, 3));
    assert!(timeout(Duration::from_millis(50), sink.write(records)).await.is_err());
    close_is_prompt(&*sink).await;
    broker.resume().unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(broker.end_offset("t", 0), Some(0), "a closed sink still delivers");
}

async fn close_is_prompt(sink: &dyn Sink) {
    timeout(Duration::from_secs(10), sink.close()).await.expect("closing hangs").unwrap();
}
