//! A database in trouble: errors of the right kind, and reading goes on where it was.

use std::time::Duration;

use tokio::time::Instant;
use weir_scylla_dev::error::ErrorCode;
use weir_scylla_dev::faults::Failure;
use weir_sdk::{Checkpoint, ErrorKind, Room};

use crate::place::{Place, ROOM, Tail, payload};

/// Polls until there is an error.
async fn trouble(tail: &mut Tail) -> ErrorKind {
    loop {
        if let Err(error) = tail.poll(ROOM).await {
            return error.kind();
        }
    }
}

/// Polls over errors that pass until so many records have come.
async fn recover(tail: &mut Tail, records: usize, room: Room) {
    let begun = Instant::now();
    while tail.seen.len() < records {
        if let Err(error) = tail.poll(room).await {
            let passes =
                [ErrorKind::Transient, ErrorKind::Timeout, ErrorKind::Unavailable, ErrorKind::Throttled];
            assert!(passes.contains(&error.kind()), "{error:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{} of {records} came", tail.seen.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_and_comes_back_costs_nothing() {
    let mut place = Place::start().await;
    let mut tail = place.open(Checkpoint::default()).await;
    place.write_many(10, 0..5).await;
    tail.until(50).await;
    place.server.stop().await;
    let mut kind = trouble(&mut tail).await;
    let begun = Instant::now();
    // What was under way breaks first; from then on nobody is there.
    while kind != ErrorKind::Unavailable && begun.elapsed() < Duration::from_secs(20) {
        kind = trouble(&mut tail).await;
    }
    assert_eq!(kind, ErrorKind::Unavailable);
    place.server.restart().await.unwrap();
    recover(&mut tail, 50, ROOM).await;
    let begun = Instant::now();
    while place.session.query_unpaged(crate::place::insert(1, 5, ""), ()).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    recover(&mut tail, 51, ROOM).await;
    assert_eq!(tail.payloads()[50], payload(1, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_at_the_start_is_unavailable() {
    let mut place = Place::start().await;
    place.server.stop().await;
    let error = place.open_with(place.config(), Checkpoint::default()).await.err().expect("nobody is there");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    let address = place.server.address().to_string();
    assert!(error.to_string().contains(&address) && error.operator_advice().is_some(), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_fail_half_way_are_read_on_without_loss_or_repeat() {
    let place = Place::start().await;
    place.write_many(30, 0..40).await;
    let mut config = place.config();
    config["session"]["page_size"] = 50.into();
    let mut tail = place.open_with(config, Checkpoint::default()).await.unwrap();
    place.server.faults().fail(Failure::of("_scylla_cdc_log", ErrorCode::Server).one_in(4));
    recover(&mut tail, 1_200, Room { records: 70, bytes: 1 << 20 }).await;
    place.server.faults().heal();
    tail.quiet(Duration::from_secs(2)).await;
    let mut came = tail.payloads();
    came.sort();
    let mut wanted: Vec<_> =
        (0..30).flat_map(|order| (0..40).map(move |number| payload(order, number))).collect();
    wanted.sort();
    assert_eq!(came, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_database_is_a_timeout() {
    let place = Place::start().await;
    let mut tail = place.open(Checkpoint::default()).await;
    place.write(1, 1).await;
    tail.until(1).await;
    place.server.faults().freeze();
    assert_eq!(trouble(&mut tail).await, ErrorKind::Timeout);
    place.server.faults().thaw();
    place.write(1, 2).await;
    recover(&mut tail, 2, ROOM).await;
    assert_eq!(tail.payloads(), [payload(1, 1), payload(1, 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_of_streams_that_fails_is_an_error() {
    let place = Place::start().await;
    place.server.faults().fail(Failure::of("cdc_streams_descriptions_v2", ErrorCode::Server).times(2));
    let mut tail = place.open(Checkpoint::default()).await;
    place.write(1, 1).await;
    assert_eq!(trouble(&mut tail).await, ErrorKind::Transient);
    recover(&mut tail, 1, ROOM).await;
}
