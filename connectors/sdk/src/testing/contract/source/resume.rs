//! Checks of reads that go on from a checkpoint.

use super::super::battery::{Check, Verdict};
use super::SourceFixture;
use super::reader::{Polled, ROOM, Reader, expect, without};
use crate::checkpoint::Checkpoint;
use crate::record::Record;
use crate::source::Room;

/// Opens again at every checkpoint that a read passes, and reads the rest in another room.
pub(super) async fn everywhere(fixture: &dyn SourceFixture) -> Check {
    let written = fixture.written().await;
    let room = Room { records: written.len().div_ceil(25).max(1), ..ROOM };
    let mut reader = Reader::open(fixture, Checkpoint::default()).await?;
    let mut passed = vec![(0, reader.checkpoint.clone())];
    while reader.seen.len() < written.len() {
        match reader.poll(room).await? {
            Polled::End => break,
            Polled::Records | Polled::Idle => passed.push((reader.seen.len(), reader.checkpoint.clone())),
        }
        if reader.is_stuck() {
            break;
        }
    }
    passed.dedup();
    for (emitted, checkpoint) in passed {
        let before = &reader.seen[..emitted];
        let mut again = Reader::open(fixture, checkpoint.clone()).await?;
        again.read(&without(&written, before), ROOM).await?;
        let all = [before, &again.seen].concat();
        expect(&written, &all)
            .map_err(|wrong| format!("after {emitted} records, {checkpoint:?}: {wrong}"))?;
        again.close().await?;
    }
    reader.close().await?;
    Ok(Verdict::Passed)
}

/// Killed after each batch: dropped without close, opened where the last batch ended.
pub(super) async fn killed(fixture: &dyn SourceFixture) -> Check {
    let written = fixture.written().await;
    let mut checkpoint = Checkpoint::default();
    let mut seen: Vec<Record> = Vec::new();
    let lives = 4 * written.len() + 20;
    for _ in 0..lives {
        let mut reader = Reader::open(fixture, checkpoint).await?;
        let polled = reader.next().await?;
        seen.append(&mut reader.seen);
        checkpoint = reader.checkpoint;
        if without(&written, &seen).is_empty() {
            expect(&written, &seen)?;
            return Ok(Verdict::Passed);
        }
        if !matches!(polled, Polled::Records) {
            break;
        }
    }
    let missing = without(&written, &seen).len();
    Err(format!(
        "killed after each batch, {missing} records never came; the checkpoint stays at {checkpoint:?}"
    ))
}
