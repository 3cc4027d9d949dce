//! Checks of a sink whose records or whose far side are in trouble.

use tokio::time::timeout;

use super::super::battery::{Check, Disturbance, Verdict, until};
use super::SinkFixture;
use super::lane::{Lane, may_try_again};
use crate::error::ErrorKind;
use crate::record::Records;
use crate::testing::records::name;

pub(super) async fn poison(fixture: &dyn SinkFixture) -> Check {
    let lane = Lane::open(fixture, "poison").await?;
    let mut sent = lane.records(0..12, 2);
    for index in [3, 8] {
        match fixture.poison(sent[index].clone()) {
            Some(poisoned) => sent[index] = poisoned,
            None => return lane.close().await.map(|()| Verdict::Skipped),
        }
    }
    let delivery = lane.deliver(&sent).await?;
    let (second, first) = (sent.remove(8), sent.remove(3));
    if let Some(dead) = delivery.dead.iter().find(|dead| **dead != first && **dead != second) {
        return Err(format!("{} is dead, but had no fault", name(dead)));
    }
    if delivery.dead.len() != 2 {
        return Err(format!("2 records have a fault, {} were refused for it", delivery.dead.len()));
    }
    lane.expect(&sent).await?;
    lane.close().await?;
    Ok(Verdict::Passed)
}

pub(super) async fn flaky(fixture: &dyn SinkFixture) -> Check {
    let lane = Lane::open(fixture, "flaky").await?;
    if !fixture.disturb(Disturbance::Flaky).await {
        return lane.close().await.map(|()| Verdict::Skipped);
    }
    let sent = lane.records(0..200, 5);
    let mut failures = 0;
    let mut delivered = Ok(());
    for batch in sent.chunks(10) {
        match lane.deliver_all(batch).await {
            Ok(failed) => failures += failed,
            Err(violation) => delivered = delivered.and(Err(violation)),
        }
    }
    fixture.restore().await;
    delivered?;
    if failures == 0 {
        return Err("the fixture says that it disturbs, but no call failed".into());
    }
    lane.expect(&sent).await?;
    lane.close().await?;
    Ok(Verdict::Passed)
}

pub(super) async fn down(fixture: &dyn SinkFixture) -> Check {
    let lane = Lane::open(fixture, "down").await?;
    let sent = lane.records(0..20, 2);
    lane.deliver_all(&sent[..5]).await?;
    if !fixture.disturb(Disturbance::Down).await {
        return lane.close().await.map(|()| Verdict::Skipped);
    }
    let refused = refused(&lane, sent[5..10].to_vec().into()).await;
    fixture.restore().await;
    refused?;
    let recovered = async || lane.sink.probe().await.is_ok();
    until(fixture.patience(), "the far side is back, but the probe fails", recovered).await?;
    for batch in sent[5..].chunks(5) {
        lane.deliver_all(batch).await?;
    }
    lane.expect(&sent).await?;
    lane.close().await?;
    Ok(Verdict::Passed)
}

/// Neither a write nor a probe may succeed while nobody is there; waiting is fine, the host has deadlines.
async fn refused(lane: &Lane<'_>, records: Records) -> Result<(), String> {
    let patience = lane.fixture.patience() / 2;
    match timeout(patience, lane.sink.write(records)).await {
        Ok(Ok(())) => return Err("write: ok while nobody was there to take it".into()),
        Ok(Err(answer)) if answer.first().kind() == ErrorKind::Record => {
            return Err(format!("write: blames the records for a far side that is down: {}", answer.first()));
        }
        Ok(Err(answer)) => may_try_again(answer.first())?,
        Err(_) => {}
    }
    match timeout(patience, lane.sink.probe()).await {
        Ok(Ok(())) => Err("probe: ok while nobody is there".into()),
        Ok(Err(error)) => may_try_again(&error),
        Err(_) => Ok(()),
    }
}
