//! Checks of a sink whose writes are dropped at their deadline.

use std::time::Duration;

use tokio::time::sleep;

use super::super::battery::{Check, Disturbance, Verdict, drop_after, until};
use super::SinkFixture;
use super::lane::Lane;
use crate::record::Record;

/// How often the first write is polled before it is dropped.
const POLLS: [usize; 4] = [1, 2, 3, 7];

/// That nothing comes any more cannot be waited for; this is how long it is given.
const SETTLE: Duration = Duration::from_millis(100);

async fn write_and_drop(lane: &Lane<'_>, polls: usize, records: &[Record]) {
    drop_after(polls, lane.sink.write(records.to_vec().into())).await;
}

/// What was dropped may be there or not, but all of it before what was written later.
async fn judge(lane: &Lane<'_>, sent: &[Record], dropped: usize) -> Result<(), String> {
    sleep(SETTLE).await;
    let mut trace = lane.trace(sent).await;
    let optional: Vec<Record> =
        sent[..dropped].iter().filter_map(|record| lane.fixture.stored(record)).collect();
    let optional: Vec<String> = optional.iter().map(crate::testing::records::name).collect();
    trace.missing.retain(|missing| !optional.contains(missing));
    if trace.is_complete() { Ok(()) } else { Err(trace.to_string()) }
}

pub(super) async fn dropped(fixture: &dyn SinkFixture) -> Check {
    for (prefix, polls) in ["dropped1", "dropped2", "dropped3", "dropped7"].into_iter().zip(POLLS) {
        let lane = Lane::open(fixture, prefix).await?;
        let sent = lane.records(0..12, 2);
        write_and_drop(&lane, polls, &sent[..6]).await;
        lane.deliver_all(&sent[6..]).await?;
        judge(&lane, &sent, 6).await?;
        lane.close().await?;
    }
    Ok(Verdict::Passed)
}

pub(super) async fn repeated(fixture: &dyn SinkFixture) -> Check {
    for (prefix, polls) in ["again1", "again2", "again3", "again7"].into_iter().zip(POLLS) {
        let lane = Lane::open(fixture, prefix).await?;
        let sent = lane.records(0..12, 2);
        for _ in 0..3 {
            write_and_drop(&lane, polls, &sent[..6]).await;
        }
        lane.deliver_all(&sent[..6]).await?;
        lane.deliver_all(&sent[6..]).await?;
        sleep(SETTLE).await;
        lane.expect(&sent).await?;
        lane.close().await?;
    }
    Ok(Verdict::Passed)
}

pub(super) async fn silent(fixture: &dyn SinkFixture) -> Check {
    let lane = Lane::open(fixture, "silent").await?;
    let sent = lane.records(0..12, 2);
    if !fixture.disturb(Disturbance::Silent).await {
        return lane.close().await.map(|()| Verdict::Skipped);
    }
    let answer = drop_after(usize::MAX, lane.sink.write(sent[..6].to_vec().into())).await;
    fixture.restore().await;
    if matches!(answer, Some(Ok(()))) {
        return Err("write: ok without an answer of the far side".into());
    }
    lane.deliver_all(&sent[6..]).await?;
    judge(&lane, &sent, 6).await?;
    lane.close().await?;
    Ok(Verdict::Passed)
}

/// After close the far side sees no connection of the sink, and nothing of it comes after what a new sink writes.
pub(super) async fn closed(fixture: &dyn SinkFixture) -> Check {
    let before = fixture.connections().await;
    for (prefix, polls) in ["closed1", "closed2", "closed3", "closed7"].into_iter().zip(POLLS) {
        let lane = Lane::open(fixture, prefix).await?;
        let sent = lane.records(0..12, 2);
        write_and_drop(&lane, polls, &sent[..6]).await;
        lane.close().await?;
        if let Some(before) = before {
            let given_back = async || fixture.connections().await.is_none_or(|now| now <= before);
            until(fixture.patience(), "closed, but still connected", given_back).await?;
        }
        let next = Lane::open(fixture, prefix).await?;
        next.deliver_all(&sent[6..]).await?;
        judge(&next, &sent, 6).await?;
        next.close().await?;
    }
    Ok(Verdict::Passed)
}
