//! Checks of reads from the begin.

use std::collections::HashMap;

use super::super::battery::{Check, Verdict};
use super::SourceFixture;
use super::reader::{Polled, ROOM, Reader, content, expect, without};
use crate::checkpoint::Checkpoint;
use crate::record::Record;
use crate::source::Room;
use crate::testing::records::{Trace, name};

pub(super) async fn complete(fixture: &dyn SourceFixture) -> Check {
    let written = fixture.written().await;
    if written.len() < 20 {
        return Err(format!("the fixture must hold at least 20 records, not {}", written.len()));
    }
    let mut reader = Reader::open(fixture, Checkpoint::default()).await?;
    reader.read(&written, ROOM).await?;
    // Whatever should not come comes now.
    while let Polled::Records = reader.poll(ROOM).await? {
        if reader.seen.len() > 2 * written.len() {
            break;
        }
    }
    let trace = Trace::by_content(&written, &reader.seen);
    if !trace.is_complete() || !trace.repeated.is_empty() {
        return Err(trace.to_string());
    }
    for (wanted, seen) in pairs(&written, &reader.seen) {
        same(wanted, seen)?;
    }
    reader.close().await?;
    Ok(Verdict::Passed)
}

fn pairs<'a>(written: &'a [Record], seen: &'a [Record]) -> Vec<(&'a Record, &'a Record)> {
    let by_content: HashMap<_, _> =
        seen.iter().map(|record| ((&record.key, &record.value), record)).collect();
    let pair = |record: &'a Record| Some((record, *by_content.get(&(&record.key, &record.value))?));
    written.iter().filter_map(pair).collect()
}

fn same(wanted: &Record, seen: &Record) -> Result<(), String> {
    for header in wanted.headers.iter() {
        if seen.headers.iter().all(|there| there != header) {
            return Err(format!("{} lacks {header:?}, it has {:?}", name(seen), seen.headers));
        }
    }
    if wanted.timestamp.0 != 0 && wanted.timestamp != seen.timestamp {
        return Err(format!("{} has the time {}, not {}", name(seen), seen.timestamp, wanted.timestamp));
    }
    Ok(())
}

pub(super) async fn rooms(fixture: &dyn SourceFixture) -> Check {
    let written = fixture.written().await;
    let largest = written.iter().map(Record::size).max().unwrap_or(1).max(1);
    let wide = 1 << 20;
    let rooms = [(1, wide), (3, wide), (wide, 1), (wide, largest), (wide, 3 * largest), (wide, wide)];
    for (records, bytes) in rooms {
        let mut reader = Reader::open(fixture, Checkpoint::default()).await?;
        reader.read(&written, Room { records, bytes }).await?;
        expect(&written, &reader.seen)
            .map_err(|wrong| format!("{records} records, {bytes} bytes: {wrong}"))?;
        reader.close().await?;
    }
    Ok(Verdict::Passed)
}

/// Reads three times, once from the middle: an origin always means the same record, and a record has one origin.
pub(super) async fn origins(fixture: &dyn SourceFixture) -> Check {
    let written = fixture.written().await;
    let mut first = Reader::open(fixture, Checkpoint::default()).await?;
    first.next().await?;
    let (middle, left) = (first.checkpoint.clone(), without(&written, &first.seen));
    first.read(&written, ROOM).await?;
    let mut again = Reader::open(fixture, Checkpoint::default()).await?;
    again.read(&written, Room { records: 1000, ..ROOM }).await?;
    let mut resumed = Reader::open(fixture, middle).await?;
    resumed.read(&left, ROOM).await?;
    let (mut of_origin, mut of_content) = (HashMap::new(), HashMap::new());
    for record in first.seen.iter().chain(&again.seen).chain(&resumed.seen) {
        let other = of_origin.entry(record.origin.clone()).or_insert_with(|| record.clone());
        if content(other) != content(record) {
            return Err(format!("{} and {} have the origin {:?}", name(other), name(record), record.origin));
        }
        let origin = of_content.entry(content(record)).or_insert_with(|| record.origin.clone());
        if *origin != record.origin {
            return Err(format!("{} has the origins {origin:?} and {:?}", name(record), record.origin));
        }
    }
    for reader in [first, again, resumed] {
        reader.close().await?;
    }
    Ok(Verdict::Passed)
}
