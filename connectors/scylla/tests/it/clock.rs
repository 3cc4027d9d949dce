//! Clocks that differ or are set: the server's counts, and what is set is no time that has passed.

use std::time::Duration;

use tokio::time::Instant;
use weir_sdk::Checkpoint;

use crate::late::{NOTICED, lates};
use crate::place::{Place, payload};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn our_clock_has_no_say_the_server_s_has() {
    let place = Place::start().await;
    // An hour behind ours: reading by our clock would take every row of that hour for a late one.
    place.server.faults().rewind_clock(3600 * SECOND);
    place.server.new_generation(place.server.clock().micros() / 1_000 - 60_000);
    let mut tail = place.open(Checkpoint::default()).await;
    for number in 0..8 {
        place.write(1, number).await;
        tail.until(usize::try_from(number).unwrap() + 1).await;
    }
    assert_eq!(lates(&tail).len(), 0);
    let skew = tail.metrics.gauge(("cdc_clock_skew_seconds", "")).get();
    // The time of the test passes faster than ours.
    assert!((3500.0..3601.0).contains(&skew), "{skew}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_goes_far_forth_and_back_loses_nothing_over_a_restart_either() {
    let place = Place::start().await;
    let mut tail = place.open(Checkpoint::default()).await;
    place.write(1, 0).await;
    tail.until(1).await;
    for (number, restarts) in [(1, false), (2, true)] {
        place.set_forward(4000 * SECOND);
        tail.caught_up(&place.server).await;
        place.set_back(4000 * SECOND);
        place.write(1, number).await;
        if restarts {
            tail = place.open(tail.checkpoint.clone()).await;
        }
        // In its order, or late if its second was known to be young when it was read too early.
        let begun = Instant::now();
        while !tail.payloads().contains(&payload(1, number)) {
            tail.poll(crate::place::ROOM).await.unwrap();
            assert!(begun.elapsed() < 20 * SECOND, "lost: {number}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_set_forward_makes_no_late_row_too_late() {
    let place = Place::start().await;
    let mut tail = place.open(Checkpoint::default()).await;
    place.write(1, 0).await;
    // Readable some seconds after the step, which is by far more than `safety`.
    place.server.faults().delay_log_rows("shop", "outbox", 1, 305 * SECOND);
    place.write(1, 1).await;
    place.write(1, 2).await;
    tail.until(2).await;
    place.set_forward(300 * SECOND);
    place.write(1, 3).await;
    tail.until(3).await;
    tail.quiet(NOTICED).await;
    assert_eq!(tail.seen.len(), 3, "the late one is not there yet");
    place.server.faults().advance_clock(12 * SECOND);
    tail.until(4).await;
    assert_eq!(lates(&tail), [payload(1, 1)]);
    place.server.faults().advance_clock(400 * SECOND);
    tail.caught_up(&place.server).await;
    tail.quiet(NOTICED).await;
    assert_eq!(tail.seen.len(), 4, "each once: {:?}", tail.payloads());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_set_back_by_less_than_safety_costs_no_row_its_time() {
    let place = Place::start().await;
    let mut tail = place.open(Checkpoint::default()).await;
    // Half a minute that was read, and visited at its first ages.
    place.write(1, 0).await;
    tail.until(1).await;
    place.server.faults().advance_clock(30 * SECOND);
    tail.caught_up(&place.server).await;
    tail.quiet(NOTICED).await;
    place.set_back(15 * SECOND);
    let begun = Instant::now();
    for number in 1..=3 {
        place.write(1, number).await;
    }
    tail.until(4).await;
    assert!(begun.elapsed() < 10 * SECOND, "{:?}: these seconds are young again", begun.elapsed());
    assert_eq!(tail.payloads(), (0..4).map(|number| payload(1, number)).collect::<Vec<_>>());
    place.server.faults().advance_clock(300 * SECOND);
    tail.caught_up(&place.server).await;
    tail.quiet(NOTICED).await;
    assert_eq!(tail.seen.len(), 4, "each once: {:?}", tail.payloads());
}
