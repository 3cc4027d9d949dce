//! Going on over a gap, when the operator accepts that what has expired is lost.

use std::time::Duration;

use weir_sdk::metrics::names;
use weir_sdk::{Checkpoint, ErrorKind};

use crate::place::{Place, ROOM, payload};

const TTL: u64 = 1800;

/// A table whose log has forgotten event 2, which came after the checkpoint, and still has event 3.
async fn gap() -> (Place, Checkpoint) {
    let place = Place::start().await;
    place.run(&format!("ALTER TABLE shop.outbox WITH cdc = {{'enabled': true, 'ttl': {TTL}}}")).await;
    let mut tail = place.open(Checkpoint::default()).await;
    place.write(1, 1).await;
    tail.until(1).await;
    let checkpoint = tail.checkpoint.clone();
    drop(tail);
    place.write(1, 2).await;
    place.server.faults().advance_clock(Duration::from_secs(1000));
    place.write(1, 3).await;
    place.server.faults().advance_clock(Duration::from_secs(1000));
    (place, checkpoint)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_gap_is_gone_over_to_the_oldest_row_there_is() {
    let (place, checkpoint) = gap().await;
    let mut refused = place.open(checkpoint.clone()).await;
    assert_eq!(refused.poll(ROOM).await.unwrap_err().kind(), ErrorKind::Gap);
    let mut tail = place.open_over_gap(checkpoint).await;
    let lost = tail.metrics.gauge(names::CDC_GAP).get();
    assert!((150.0..400.0).contains(&lost), "{lost} s, of 2000 s without a reader, 1800 of which are there");
    // What the host saves before the first poll is enough to go on from without another word.
    let begin = tail.checkpoint.clone();
    tail.until(1).await;
    assert_eq!(tail.payloads(), [payload(1, 3)]);
    drop(tail);
    let mut again = place.open(begin).await;
    again.until(1).await;
    place.write(1, 4).await;
    again.until(2).await;
    assert_eq!(again.payloads(), [payload(1, 3), payload(1, 4)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_lost_the_word_changes_nothing() {
    let place = Place::start().await;
    let mut tail = place.open_over_gap(Checkpoint::default()).await;
    place.write(1, 1).await;
    tail.until(1).await;
    let checkpoint = tail.checkpoint.clone();
    drop(tail);
    place.write(1, 2).await;
    let mut tail = place.open_over_gap(checkpoint).await;
    assert!(tail.start.checkpoint.is_empty());
    tail.until(1).await;
    assert_eq!(tail.payloads(), [payload(1, 2)]);
}
