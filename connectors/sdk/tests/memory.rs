//! The memory source and sink do what their scripts say.
#![allow(missing_docs)]

use std::time::Duration;

use weir_sdk::testing::{MemorySink, MemorySource, RecordExt, Step, numbered};
use weir_sdk::{Checkpoint, Error, ErrorKind, Partition, Record, Room, Sink, Source};

const WIDE: Room = Room { records: 1000, bytes: 1 << 20 };

fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(RecordExt::text).collect()
}

/// Everything up to the end, one list of texts a batch, and the sum of the checkpoints.
async fn read(mut source: Box<dyn Source>, room: Room) -> (Vec<Vec<String>>, Checkpoint) {
    let mut sum = source.start().checkpoint;
    let mut batches = Vec::new();
    while let Some(batch) = source.poll(room).await.expect("no fault is left") {
        batches.push(texts(&batch.records));
        sum.merge(batch.checkpoint);
    }
    source.close().await.expect("a memory source closes");
    (batches, sum)
}

fn at(offsets: &[(&str, &'static str)]) -> Checkpoint {
    offsets.iter().map(|(partition, offset)| (Partition::from(*partition), *offset)).collect()
}

#[tokio::test]
async fn a_source_goes_on_behind_its_checkpoint() {
    let (a, b) = (numbered("a", 0..3, 1), numbered("b", 0..2, 1));
    let mixed = vec![a[0].clone(), b[0].clone(), a[1].clone(), a[2].clone(), b[1].clone()];
    let source = MemorySource::of(mixed);
    let room = Room { records: 2, ..WIDE };
    let (batches, sum) = read(source.open(Checkpoint::default()).unwrap(), room).await;
    assert_eq!(batches, [vec!["0", "0"], vec!["1", "2"], vec!["1"]]);
    assert_eq!(sum, at(&[("a", "2"), ("b", "1")]));
    let (batches, _) = read(source.open(at(&[("a", "1")])).unwrap(), room).await;
    assert_eq!(batches, [vec!["0", "2"], vec!["1"]]);
    assert_eq!((source.opened_at().len(), source.closes()), (2, 2));
    assert_eq!(source.open(at(&[("a", "9")])).err().unwrap().kind(), ErrorKind::Gap);
}

#[tokio::test]
async fn one_record_larger_than_the_room_comes_alone() {
    let source = MemorySource::of(numbered("a", 8..12, 1));
    let room = Room { records: 10, bytes: 7 };
    let (batches, _) = read(source.open(Checkpoint::default()).unwrap(), room).await;
    assert_eq!(batches, [vec!["8", "9"], vec!["10"], vec!["11"]]);
    let (batches, _) =
        read(source.open(Checkpoint::default()).unwrap(), Room { records: 10, bytes: 1 }).await;
    assert_eq!(batches.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn faults_and_waits_happen_once_over_all_openings() {
    let source = MemorySource::new([
        Step::Records(numbered("a", 0..2, 1)),
        Step::Fails(Error::new(ErrorKind::Transient, "not now")),
        Step::Waits(Duration::from_secs(2)),
        Step::Moved(at(&[("a", "later")])),
        Step::Records(numbered("a", 2..3, 1)),
    ]);
    let mut open = source.open(Checkpoint::default()).unwrap();
    assert_eq!(open.poll(WIDE).await.unwrap().unwrap().records.len(), 2);
    assert_eq!(open.poll(WIDE).await.unwrap_err().kind(), ErrorKind::Transient);
    let (batches, sum) = read(open, WIDE).await;
    assert_eq!(batches, [vec![], vec![], vec![], vec![], vec!["2"]], "no second is silent");
    assert_eq!(sum, at(&[("a", "2")]));
    let (batches, _) = read(source.open(at(&[("a", "1")])).unwrap(), WIDE).await;
    assert_eq!(batches, [vec![], vec!["2"]]);
    let (batches, _) = read(source.open(at(&[("a", "later")])).unwrap(), WIDE).await;
    assert_eq!(batches, [vec!["2"]]);
}

#[tokio::test(start_paused = true)]
async fn an_endless_source_idles_until_more_is_pushed() {
    let source = MemorySource::new([]).endless().with_begin(Checkpoint::default());
    let mut open = source.open(Checkpoint::default()).unwrap();
    assert!(open.poll(WIDE).await.unwrap().unwrap().records.is_empty());
    let (polled, ()) = tokio::join!(open.poll(WIDE), async {
        source.push(Step::Records(numbered("a", 0..1, 1)));
    });
    assert_eq!(polled.unwrap().unwrap().records.len(), 1);
    source.end();
    assert_eq!(open.poll(WIDE).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_sink_keeps_everything_in_order_and_tells_who_waits() {
    let sink = MemorySink::new();
    let records = numbered("a", 0..5, 2);
    let both = async {
        sink.write(records[..2].to_vec().into()).await.unwrap();
        sink.write(records[2..].to_vec().into()).await.unwrap();
    };
    tokio::join!(sink.until(|records| records.len() == 5), both);
    assert_eq!(sink.records(), records);
    assert_eq!(sink.writes(), [2, 3]);
}
