//! Records that the broker refuses, among records that it takes.

use serde_json::json;
use weir_redpanda_dev::RedpandaDev;
use weir_sdk::testing::{RecordExt, Trace, numbered, record};
use weir_sdk::{ErrorKind, Record, Records, WriteError};

use crate::far_side::{PATIENCE, broker, deliver, open, read, texts};

/// A topic that takes 10 000 bytes, where the sink takes more.
fn small() -> RedpandaDev {
    let broker = broker();
    broker.create_topic_with("t", 1, &[("max.message.bytes", "10000")]).unwrap();
    broker
}

fn fatten(record: &mut Record, bytes: usize) {
    record.value = Some([record.value.as_deref().unwrap(), &vec![b' '; bytes]].concat().into());
}

fn refused(error: &WriteError) -> Vec<(usize, ErrorKind)> {
    match error {
        WriteError::Some(failed) => failed.iter().map(|failed| (failed.index, failed.error.kind())).collect(),
        WriteError::All(error) => panic!("{error:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_s_limit_hits_only_the_record_that_exceeds_it() {
    let broker = small();
    let sink = open(broker.address(), json!({"compression": "none", "linger": "50ms"})).await.unwrap();
    let mut sent = numbered("p", 0..40, 2);
    for index in [7, 8, 30] {
        fatten(&mut sent[index], 20_000);
    }
    // All of them travel in one message set, which the broker refuses as a whole.
    let error = sink.write(sent.clone().into()).await.unwrap_err();
    let own = ErrorKind::Record;
    assert_eq!(refused(&error), [(7, own), (8, own), (30, own)]);
    assert!(error.first().operator_advice().unwrap().contains("max.message.bytes"));
    sent.retain(|record| record.value.as_ref().unwrap().len() < 1000);
    let trace = Trace::by_content(&sent, &read(&broker, "t"));
    assert_eq!(trace, Trace::default());
    // The sink is as quick as before: what follows shares its requests again.
    assert_eq!(deliver(&*sink, numbered("q", 0..100, 2), PATIENCE).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_too_large_without_any_record_too_large_is_taken_apart() {
    let broker = small();
    let sink = open(broker.address(), json!({"compression": "none", "linger": "50ms"})).await.unwrap();
    let mut sent = numbered("p", 0..50, 3);
    sent.iter_mut().for_each(|record| fatten(record, 1000));
    assert_eq!(deliver(&*sink, sent.clone(), PATIENCE).await, []);
    assert_eq!(Trace::by_content(&sent, &read(&broker, "t")), Trace::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_whose_neighbours_are_refused_go_on_in_order() {
    let broker = small();
    let sink = open(broker.address(), json!({"compression": "none", "linger": "20ms"})).await.unwrap();
    let lane = async |own: usize| {
        let mut sent: Vec<Record> = (0..200)
            .map(|n| {
                record(&format!("{own}-{}", n % 3), &format!("{own}:{n}"))
                    .at(&own.to_string(), &n.to_string())
            })
            .collect();
        for batch in sent.chunks_mut(20) {
            let poison = own % 20;
            fatten(&mut batch[poison], 20_000);
            let error = sink.write(batch.to_vec().into()).await.unwrap_err();
            let mut left = Records::from(batch.to_vec());
            let failed = refused(&error);
            assert!(failed.contains(&(poison, ErrorKind::Record)), "{failed:?}");
            left = left
                .pick(failed.iter().filter(|(_, kind)| *kind != ErrorKind::Record).map(|(index, _)| *index));
            deliver(&*sink, left.into_vec(), PATIENCE).await;
        }
        sent.retain(|record| record.value.as_ref().unwrap().len() < 1000);
        sent
    };
    let (a, b, c, d) = tokio::join!(lane(0), lane(1), lane(2), lane(3));
    let arrived = read(&broker, "t");
    let trace = Trace::by_content(&[a, b, c, d].concat(), &arrived);
    assert!(trace.is_complete(), "{trace}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sink_s_own_limit_refuses_before_anything_is_sent() {
    let broker = broker();
    broker.create_topic("t", 1).unwrap();
    let sink = open(broker.address(), json!({"max_record": "5KB"})).await.unwrap();
    let mut sent = numbered("p", 0..3, 1);
    fatten(&mut sent[1], 6_000);
    let error = sink.write(sent.into()).await.unwrap_err();
    assert_eq!(refused(&error), [(1, ErrorKind::Record)]);
    assert_eq!(texts(&broker, "t"), ["0", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_topic_refuses_only_the_records_without_a_key() {
    let broker = broker();
    broker.create_topic_with("t", 1, &[("cleanup.policy", "compact")]).unwrap();
    let sink = open(broker.address(), json!({"linger": "50ms"})).await.unwrap();
    let mut sent = numbered("p", 0..5, 5);
    sent[2].key = None;
    let error = sink.write(sent.into()).await.unwrap_err();
    assert_eq!(refused(&error), [(2, ErrorKind::Record)]);
    assert_eq!(texts(&broker, "t"), ["0", "1", "3", "4"]);
}
