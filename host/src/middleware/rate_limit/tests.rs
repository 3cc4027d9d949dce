//! The rate as a sink sees it, on a paused clock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use weir_sdk::testing::{Fault, FaultySink, MemorySink, RecordExt, numbered};
use weir_sdk::{Error, ErrorKind, Records, Sink, WriteError, async_trait};

use super::{RateLimit, Settings};

/// Notes when how many records came.
#[derive(Clone)]
struct Watch {
    born: Instant,
    seen: Arc<Mutex<Vec<(u128, usize)>>>,
}

#[async_trait]
impl Sink for Watch {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
        self.seen.lock().unwrap().push((self.born.elapsed().as_millis(), records.len()));
        Ok(())
    }

    async fn probe(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn limited(settings: Settings) -> (Arc<RateLimit>, Watch) {
    let watch = Watch { born: Instant::now(), seen: Arc::default() };
    (Arc::new(RateLimit::new(Arc::new(watch.clone()), settings)), watch)
}

fn records_per_second(rate: f64) -> Settings {
    Settings { records: Some(rate), bytes: None }
}

#[tokio::test(start_paused = true)]
async fn a_large_write_is_spread_evenly() {
    let (limit, watch) = limited(records_per_second(1000.0));
    limit.write(numbered("p", 0..1000, 5).into()).await.unwrap();
    let seen = watch.seen.lock().unwrap().clone();
    let even: Vec<_> = (0..10).map(|n| (n * 100, 100)).collect();
    assert_eq!(seen, even);
}

#[tokio::test(start_paused = true)]
async fn lanes_share_the_rate_and_nothing_is_saved_up() {
    let (limit, watch) = limited(records_per_second(100.0));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let lanes = (0..4).map(|lane| {
        let limit = limit.clone();
        let records = numbered("p", lane * 100..lane * 100 + 100, 5);
        tokio::spawn(async move { limit.write(records.into()).await.unwrap() })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.unwrap();
    }
    let seen = watch.seen.lock().unwrap().clone();
    for second in 60u128..64 {
        let within = |(at, _): &&(u128, usize)| (second * 1000..(second + 1) * 1000).contains(at);
        let sent: usize = seen.iter().filter(within).map(|(_, count)| count).sum();
        assert!((90..=110).contains(&sent), "{sent} in second {second}: {seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_stricter_of_two_limits_holds_and_one_large_record_goes_alone() {
    let records = numbered("p", 0..4, 1);
    let size = records[0].size() as f64;
    let (limit, watch) = limited(Settings { records: Some(1000.0), bytes: Some(2.0 * size) });
    limit.write(records.into()).await.unwrap();
    assert_eq!(*watch.seen.lock().unwrap(), [(0, 1), (500, 1), (1000, 1), (1500, 1)]);
}

#[tokio::test(start_paused = true)]
async fn pieces_answer_for_the_whole_write() {
    let sink = MemorySink::new();
    let script = [Fault::None, Fault::fail(3, ErrorKind::Record), Fault::refuse(ErrorKind::Config)];
    let limit = RateLimit::new(Arc::new(FaultySink::new(sink.clone(), script)), records_per_second(100.0));
    let Err(WriteError::Some(failed)) = limit.write(numbered("p", 0..50, 50).into()).await else {
        panic!("two of the pieces failed");
    };
    let failed: Vec<_> = failed.iter().map(|failed| (failed.index, failed.error.kind())).collect();
    let held_up = (20..50).map(|index| (index, ErrorKind::Config));
    let wanted: Vec<_> = std::iter::once((13, ErrorKind::Record)).chain(held_up).collect();
    assert_eq!(failed, wanted);
    let written: Vec<String> = sink.records().iter().map(RecordExt::text).collect();
    let durable = (0..20).filter(|n| *n != 13).map(|n: usize| n.to_string());
    assert_eq!(written, durable.collect::<Vec<_>>());
}
