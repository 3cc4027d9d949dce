//! Everything at once: outages, silence, deadlines and refused records, in four lanes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep, timeout};
use weir_sdk::testing::{RecordExt, Trace, record};
use weir_sdk::{ErrorKind, Record, Records, Sink, WriteError};

use crate::far_side::{PATIENCE, broker, open, read};

/// Writes as a lane of the host does, and answers with the records that are at fault themselves.
async fn lane(sink: &dyn Sink, sent: &[Record]) -> Vec<Record> {
    let mut dead = Vec::new();
    for batch in sent.chunks(50) {
        let (mut left, started) = (Records::from(batch.to_vec()), Instant::now());
        while !left.is_empty() {
            assert!(started.elapsed() < PATIENCE, "{} records are stuck", left.len());
            match timeout(Duration::from_millis(700), sink.write(left.clone())).await {
                Ok(Ok(())) => break,
                Ok(Err(WriteError::Some(failed))) => {
                    let (own, held): (Vec<_>, Vec<_>) =
                        failed.iter().partition(|failed| failed.error.kind() == ErrorKind::Record);
                    dead.extend(own.iter().map(|failed| left[failed.index].clone()));
                    left = left.pick(held.iter().map(|failed| failed.index));
                }
                Ok(Err(WriteError::All(_))) | Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    }
    dead
}

fn is_poison(record: &Record) -> bool {
    record.value.as_ref().is_some_and(|value| value.len() > 10_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_overtaken_whatever_happens() {
    let broker = broker();
    broker.create_topic_with("t", 3, &[("max.message.bytes", "10000")]).unwrap();
    let sink = open(broker.address(), json!({"compression": "none", "batch": "5KB"})).await.unwrap();
    let records = |own: usize| -> Vec<Record> {
        let one = |n: usize| {
            let value = if n % 151 == 77 {
                format!("{own}:{n} {}", "x".repeat(20_000))
            } else {
                format!("{own}:{n}")
            };
            record(&format!("{own}-{}", n % 7), &value).at(&own.to_string(), &n.to_string())
        };
        (0..300).map(one).collect()
    };
    let sent = [records(0), records(1), records(2), records(3)];
    let done = AtomicBool::new(false);
    let trouble = async {
        for step in (0..).take_while(|_| !done.load(Ordering::Acquire)) {
            sleep(Duration::from_millis(600 + step * 97 % 600)).await;
            if step % 3 == 2 {
                broker.delay_answers(Duration::from_secs(3600));
            } else {
                broker.pause().unwrap();
            }
            sleep(Duration::from_millis(step * 61 % 700)).await;
            broker.delay_answers(Duration::ZERO);
            broker.resume().unwrap();
        }
    };
    let lanes = async {
        let dead = tokio::join!(
            lane(&*sink, &sent[0]),
            lane(&*sink, &sent[1]),
            lane(&*sink, &sent[2]),
            lane(&*sink, &sent[3])
        );
        done.store(true, Ordering::Release);
        [dead.0, dead.1, dead.2, dead.3].concat()
    };
    let (dead, ()) = tokio::join!(lanes, trouble);
    let (poison, good): (Vec<_>, Vec<_>) = sent.concat().into_iter().partition(is_poison);
    assert_eq!(dead.len(), poison.len());
    assert!(dead.iter().all(is_poison));
    let trace = Trace::by_content(&good, &read(&broker, "t"));
    println!("{} of {} records arrived again", trace.repeated.len(), good.len());
    assert!(trace.is_complete(), "{trace}");
}
