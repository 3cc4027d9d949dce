//! Checks of a source's life: its start, idleness, troubles and end.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::super::battery::{Check, Disturbance, Verdict, drop_after};
use super::SourceFixture;
use super::reader::{Polled, ROOM, Reader, expect, passes, without};
use crate::checkpoint::Checkpoint;

/// A second of silence is allowed, and some more for a busy machine.
const SILENCE: Duration = Duration::from_millis(1500);

pub(super) async fn start(fixture: &dyn SourceFixture) -> Check {
    let mut reader = Reader::open(fixture, Checkpoint::default()).await?;
    if reader.source.start() != reader.start {
        return Err(format!("asked twice, {:?} and {:?}", reader.start, reader.source.start()));
    }
    reader.next().await?;
    let resumed = Reader::open(fixture, reader.checkpoint.clone()).await?;
    if resumed.start.identity != reader.start.identity {
        return Err(format!("opened twice, `{}` and `{}`", reader.start.identity, resumed.start.identity));
    }
    for (partition, _) in resumed.start.checkpoint.iter() {
        if reader.checkpoint.get(partition).is_some() {
            return Err(format!("begins the partition {partition} anew, though it has a checkpoint"));
        }
    }
    reader.close().await?;
    resumed.close().await?;
    Ok(Verdict::Passed)
}

pub(super) async fn commits(fixture: &dyn SourceFixture) -> Check {
    let mut reader = Reader::open(fixture, Checkpoint::default()).await?;
    let Some(commits) = reader.source.commits() else {
        return reader.close().await.map(|()| Verdict::Skipped);
    };
    let written = fixture.written().await;
    while reader.seen.len() < written.len() {
        let durable = reader.checkpoint.clone();
        let commit = timeout(fixture.patience(), commits.commit(&durable));
        let (polled, committed) = tokio::join!(reader.poll(ROOM), commit);
        committed.map_err(|_| "commit: no answer")?.map_err(|error| format!("commit: {error}"))?;
        if matches!(polled?, Polled::End) || reader.is_stuck() {
            break;
        }
    }
    expect(&written, &reader.seen)?;
    reader.close().await?;
    Ok(Verdict::Passed)
}

pub(super) async fn dropped(fixture: &dyn SourceFixture) -> Check {
    let written = fixture.written().await;
    Reader::open(fixture, Checkpoint::default()).await?.close().await?;
    for polls in [1, 2, 3, usize::MAX] {
        let mut reader = Reader::open(fixture, Checkpoint::default()).await?;
        reader.poll(ROOM).await?;
        if polls == usize::MAX {
            reader.read(&written, ROOM).await?;
        }
        if let Some(batch) = drop_after(polls, reader.source.poll(ROOM)).await {
            reader.take(batch.map_err(|error| format!("poll: {error}"))?, ROOM)?;
        }
        let (mut seen, checkpoint) = (std::mem::take(&mut reader.seen), reader.checkpoint.clone());
        reader.close().await?;
        let mut next = Reader::open(fixture, checkpoint).await?;
        next.read(&without(&written, &seen), ROOM).await?;
        seen.append(&mut next.seen);
        expect(&written, &seen)?;
        next.close().await?;
    }
    Ok(Verdict::Passed)
}

pub(super) async fn down(fixture: &dyn SourceFixture) -> Check {
    let written = fixture.written().await;
    let mut reader = Reader::open(fixture, Checkpoint::default()).await?;
    reader.poll(ROOM).await?;
    if !fixture.disturb(Disturbance::Down).await {
        return reader.close().await.map(|()| Verdict::Skipped);
    }
    let noticed = timeout(fixture.patience(), notice(&mut reader)).await;
    fixture.restore().await;
    noticed.map_err(|_| "nobody is there, and poll does not say so")??;
    reader.read(&written, ROOM).await?;
    expect(&written, &reader.seen)?;
    reader.close().await?;
    Ok(Verdict::Passed)
}

/// Polls until the source notices that nobody is there; what it had read ahead may come first.
async fn notice(reader: &mut Reader<'_>) -> Result<(), String> {
    loop {
        match reader.source.poll(ROOM).await {
            Ok(None) => return Err("ends because nobody is there".into()),
            Ok(batch) => reader.take(batch, ROOM).map(drop)?,
            Err(error) => return passes(&error),
        }
        // A source that answers at once must not starve the deadline.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Last, since it appends.
pub(super) async fn idle(fixture: &dyn SourceFixture) -> Check {
    let mut reader = Reader::open(fixture, Checkpoint::default()).await?;
    reader.read(&fixture.written().await, ROOM).await?;
    let begun = Instant::now();
    let mut moved = false;
    for polls in 0..20 {
        let before = reader.checkpoint.clone();
        let Ok(polled) = timeout(SILENCE, reader.source.poll(ROOM)).await else {
            return Err(format!("silent for {SILENCE:?}"));
        };
        let polled = polled.map_err(|error| format!("poll: {error}"))?;
        match reader.take(polled, ROOM)? {
            Polled::End => return reader.close().await.map(|()| Verdict::Skipped),
            Polled::Records => return Err("everything was read, and yet there is more".into()),
            Polled::Idle => moved |= reader.checkpoint != before,
        }
        if polls > 2 && begun.elapsed() > SILENCE {
            break;
        }
    }
    if begun.elapsed() < Duration::from_millis(100) {
        return Err("20 batches without records at once: it must wait, or it turns a core".into());
    }
    if fixture.ages() && !moved {
        return Err("no batch moves the checkpoint on, it would age".into());
    }
    if !fixture.append().await {
        return reader.close().await.map(|()| Verdict::Passed);
    }
    let written = fixture.written().await;
    let (before, checkpoint) = (reader.seen.clone(), reader.checkpoint.clone());
    reader.read(&written, ROOM).await?;
    expect(&written, &reader.seen).map_err(|wrong| format!("after a pause: {wrong}"))?;
    reader.close().await?;
    let mut again = Reader::open(fixture, checkpoint).await?;
    again.read(&without(&written, &before), ROOM).await?;
    expect(&written, &[before, std::mem::take(&mut again.seen)].concat())
        .map_err(|wrong| format!("opened again at the idle checkpoint: {wrong}"))?;
    again.close().await?;
    Ok(Verdict::Passed)
}
