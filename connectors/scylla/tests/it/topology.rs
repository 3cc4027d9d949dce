//! The log's streams are replaced while it is written and read: vnodes get new generations, tablets split and merge.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;
use weir_scylla_dev::error::ErrorCode;
use weir_scylla_dev::{Builder, Failure, ScyllaDev};
use weir_sdk::{Checkpoint, ErrorKind, Room};

use crate::late::{NOTICED, lates};
use crate::place::{Place, ROOM, Tail, insert, payload};

const KEYS: u128 = 24;
/// Rows written between two changes, of each key.
const ROUNDS: i64 = 6;
/// New streams are announced so long before they are used.
const NOTICE: Duration = Duration::from_millis(5_500);

#[derive(Clone, Copy)]
pub(crate) enum Layout {
    Vnodes,
    Tablets,
}

impl Layout {
    pub(crate) async fn start(self, builder: Builder) -> Place {
        match self {
            Self::Vnodes => Place::on(builder, "{'enabled': false}").await,
            Self::Tablets => Place::on(builder, "{'initial': 4}").await,
        }
    }

    /// Announces new streams: of so many tablets, where there are any.
    pub(crate) fn replace(self, place: &Place, tablets: u32) {
        let since = (place.server.clock().micros() / 1_000) + NOTICE.as_millis() as i64;
        match self {
            Self::Vnodes => place.server.new_generation(since),
            Self::Tablets => place.server.resize_tablets("shop", "outbox", tablets, since).unwrap(),
        }
    }
}

/// Writes through a split, a split, a merge and a merge to one; the rows before and after each announcement too.
async fn write(place: &Place, layout: Layout) -> i64 {
    let mut next = 0;
    for tablets in [8, 32, 4, 1] {
        for announced in [false, true] {
            if announced {
                layout.replace(place, tablets);
            }
            place.write_many(KEYS, next..next + ROUNDS).await;
            next += ROUNDS;
        }
        place.server.faults().advance_clock(NOTICE);
    }
    place.write_many(KEYS, next..next + ROUNDS).await;
    next + ROUNDS
}

fn assert_complete(tail: &Tail, rows: i64) {
    let wanted: Vec<i64> = (0..rows).collect();
    let keys = tail.by_key();
    assert_eq!(keys.len() as u128, KEYS);
    for (key, numbers) in keys {
        assert_eq!(numbers, wanted, "of {key}");
    }
}

/// Reads on while the streams are replaced; each life of the reader ends after a few batches, in the middle of one more.
async fn survives_changes(layout: Layout, builder: Builder) {
    let place = layout.start(builder).await;
    let written = write(&place, layout);
    tokio::pin!(written);
    let (mut rows, mut lives) = (None, 0);
    let mut tail = place.open(Checkpoint::default()).await;
    let begun = Instant::now();
    while rows.is_none_or(|rows| (tail.seen.len() as u128) < KEYS * rows as u128) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} came", tail.seen.len());
        let room = Room { records: 70, ..ROOM };
        tokio::select! {
            polled = tail.poll(room) => drop(polled.unwrap()),
            all = &mut written, if rows.is_none() => rows = Some(all),
        }
        if tail.seen.len() >= (lives + 1) * 200 {
            // What a poll has read and not given out is read again.
            tokio::time::timeout(Duration::from_millis(3), tail.poll(room)).await.ok();
            let (seen, checkpoint) = (std::mem::take(&mut tail.seen), tail.checkpoint.clone());
            drop(tail);
            tail = place.open(checkpoint).await;
            tail.seen = seen;
            lives += 1;
        }
    }
    tail.quiet(NOTICED).await;
    assert!(lives > 3, "{lives} lives");
    assert_eq!(lates(&tail), Vec::<String>::new());
    assert_complete(&tail, rows.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn generations_of_one_shard_follow_each_other() {
    survives_changes(Layout::Vnodes, ScyllaDev::builder()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn generations_of_several_shards_follow_each_other() {
    survives_changes(Layout::Vnodes, ScyllaDev::builder().vnodes(16).shards(7)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tablets_split_and_merge_under_way() {
    survives_changes(Layout::Tablets, ScyllaDev::builder()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tablets_of_several_shards_split_and_merge_under_way() {
    survives_changes(Layout::Tablets, ScyllaDev::builder().shards(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_over_all_changes_is_read_in_order() {
    for (layout, builder) in
        [(Layout::Tablets, ScyllaDev::builder()), (Layout::Vnodes, ScyllaDev::builder().shards(2))]
    {
        let place = layout.start(builder).await;
        let rows = write(&place, layout).await;
        let mut config = place.config();
        config["session"]["page_size"] = 17.into();
        let mut tail = place.open_with(config, Checkpoint::default()).await.unwrap();
        tail.until(KEYS as usize * rows as usize).await;
        tail.quiet(NOTICED).await;
        assert_complete(&tail, rows);
    }
}

/// Rows of a set that is closed by the time they become readable, some before a restart and some after it.
async fn late_rows_of_closed_sets_come_once(layout: Layout, builder: Builder) {
    let place = layout.start(builder).await;
    let mut tail = place.open(Checkpoint::default()).await;
    place.write_many(KEYS, 0..2).await;
    for (number, late) in [(2, 8), (3, 30), (4, 100)] {
        place.server.faults().delay_log_rows("shop", "outbox", 1, Duration::from_secs(late));
        place.run(&insert(7, number, "")).await;
    }
    let written = 2 * KEYS as usize;
    tail.until(written).await;
    for tablets in [16, 2] {
        layout.replace(&place, tablets);
        tail.caught_up(&place.server).await;
        place.server.faults().advance_clock(NOTICE + Duration::from_secs(1));
        place.write(7, i64::from(tablets) * 10).await;
    }
    tail.until(written + 3).await;
    let checkpoint = tail.checkpoint.clone();
    let mut came = tail.payloads();
    drop(tail);
    place.server.faults().advance_clock(Duration::from_secs(130));
    let mut tail = place.open(checkpoint).await;
    tail.until(2).await;
    tail.quiet(NOTICED).await;
    assert_eq!(lates(&tail).len(), 2, "{:?}", tail.payloads());
    came.extend(tail.payloads());
    let of_seven: Vec<_> = came.into_iter().filter(|value| value.contains("\"order\": 7,")).collect();
    assert_eq!(of_seven[..2], [payload(7, 0), payload(7, 1)]);
    let mut late = of_seven[2..].to_vec();
    late.sort();
    let mut wanted = [2, 3, 4, 160, 20].map(|number| payload(7, number));
    wanted.sort();
    assert_eq!(late, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn late_rows_of_closed_generations_come_once() {
    late_rows_of_closed_sets_come_once(Layout::Vnodes, ScyllaDev::builder().shards(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_rows_of_split_and_merged_tablets_come_once() {
    late_rows_of_closed_sets_come_once(Layout::Tablets, ScyllaDev::builder().shards(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nobody_tells_of_new_streams_the_reader_waits_and_says_so() {
    let place = Layout::Tablets.start(ScyllaDev::builder()).await;
    let mut tail = place.open(Checkpoint::default()).await;
    place.write_many(KEYS, 0..2).await;
    tail.until(2 * KEYS as usize).await;
    place.server.faults().fail(Failure::of("system.cdc_timestamps", ErrorCode::Overloaded));
    place.server.forget_statements();
    Layout::Tablets.replace(&place, 16);
    place.server.faults().advance_clock(NOTICE);
    place.write_many(KEYS, 2..4).await;
    let error = loop {
        if let Err(error) = tail.poll(ROOM).await {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::Throttled, "{error:?}");
    assert!(error.to_string().contains("look up the log's streams"), "{error}");
    assert_eq!(tail.seen.len(), 2 * KEYS as usize, "nothing is read beyond what is known");
    place.server.faults().heal();
    tail.until(4 * KEYS as usize).await;
    assert_complete(&tail, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_on_tablets_is_another_one_when_it_is_made_again() {
    let place = Layout::Tablets.start(ScyllaDev::builder()).await;
    let mut tail = place.open(Checkpoint::default()).await;
    place.write(1, 1).await;
    tail.until(1).await;
    place.run("DROP TABLE shop.outbox").await;
    place.table("outbox", "{'enabled': true}").await;
    place.server.faults().advance_clock(Duration::from_secs(31));
    let error = loop {
        if let Err(error) = tail.poll(ROOM).await {
            break error;
        }
    };
    assert!(error.to_string().contains("dropped and made again"), "{error}");
    let id = Uuid::from_u128(1);
    assert!(tail.seen.iter().all(|record| record.key.as_deref() == Some(id.to_string().as_bytes())));
}
