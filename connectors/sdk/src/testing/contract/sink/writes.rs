//! Checks of a sink whose far side is well.

use bytes::Bytes;
use tokio::time::timeout;

use super::super::battery::{Check, Verdict};
use super::SinkFixture;
use super::lane::Lane;
use crate::record::{Headers, Record, Records};
use crate::testing::records::name;

pub(super) async fn probe(fixture: &dyn SinkFixture) -> Check {
    let lane = Lane::open(fixture, "probe").await?;
    match timeout(fixture.patience(), lane.sink.probe()).await {
        Ok(answer) => answer.map_err(|error| format!("probe: {error}"))?,
        Err(_) => return Err("probe: no answer".into()),
    }
    lane.close().await?;
    Ok(Verdict::Passed)
}

pub(super) async fn empty(fixture: &dyn SinkFixture) -> Check {
    let lane = Lane::open(fixture, "empty").await?;
    match timeout(fixture.patience(), lane.sink.write(Records::default())).await {
        Ok(answer) => answer.map_err(|error| format!("write: {}", error.first()))?,
        Err(_) => return Err("write: no answer".into()),
    }
    lane.close().await?;
    Ok(Verdict::Passed)
}

/// One record of each kind that may come along, each with a key of its own where it has one.
fn kinds(lane: &Lane<'_>) -> Vec<Record> {
    let mut records: Vec<Record> = (0..8).map(|n| lane.record(&format!("kind{n}"), n)).collect();
    records[1].headers.push("event_type", "OrderCreated");
    records[1].headers.push("note", Bytes::from("zwölf € \u{1f4e6}\n\"quoted\""));
    records[2].headers.push("repeated", "first");
    records[2].headers.push("repeated", "second");
    records[3].headers = Headers::from_iter([("null".into(), None::<Bytes>)]);
    records[3].headers.push("empty", "");
    records[3].headers.push("bytes", vec![0, 0xff, 0xfe, b'\n']);
    records[4].value =
        Some([records[4].value.as_deref().unwrap_or_default(), &[0, 0xff, b'\n', 0xc3]].concat().into());
    records[5].value = None;
    records[6].value = Some(Bytes::new());
    records[7].key = None;
    records
}

pub(super) async fn content(fixture: &dyn SinkFixture) -> Check {
    let lane = Lane::open(fixture, "content").await?;
    let mut sent = kinds(&lane);
    sent.retain(|record| fixture.stored(record).is_some());
    lane.deliver_all(&sent).await?;
    let arrived = lane.arrived().await;
    for record in sent.iter().filter_map(|record| fixture.stored(record)) {
        let same = |other: &&Record| {
            other.key == record.key && (record.key.is_some() || other.value == record.value)
        };
        let Some(other) = arrived.iter().find(same) else {
            return Err(format!("{} never arrived", name(&record)));
        };
        let whole = |record: &Record| (record.value.clone(), record.headers.clone(), record.timestamp);
        if whole(other) != whole(&record) {
            let (sent, came) = (whole(&record), whole(other));
            return Err(format!("{} was sent as {sent:?} and arrived as {came:?}", name(&record)));
        }
    }
    if arrived.len() > sent.len() {
        return Err(format!("{} records sent, {} arrived", sent.len(), arrived.len()));
    }
    lane.close().await?;
    Ok(Verdict::Passed)
}

pub(super) async fn full(fixture: &dyn SinkFixture) -> Check {
    let lane = Lane::open(fixture, "full").await?;
    let mut sent = lane.records(0..1000, 100);
    for record in &mut sent {
        let text = record.value.as_deref().unwrap_or_default();
        record.value = Some([text, &vec![b'x'; 1000]].concat().into());
    }
    lane.deliver_all(&sent).await?;
    lane.expect(&sent).await?;
    lane.close().await?;
    Ok(Verdict::Passed)
}

pub(super) async fn order_in_call(fixture: &dyn SinkFixture) -> Check {
    let lane = Lane::open(fixture, "in-call").await?;
    let sent = lane.records(0..200, 5);
    lane.deliver_all(&sent).await?;
    lane.expect(&sent).await?;
    lane.close().await?;
    Ok(Verdict::Passed)
}

pub(super) async fn order_over_calls(fixture: &dyn SinkFixture) -> Check {
    let lane = Lane::open(fixture, "over-calls").await?;
    let sent = lane.records(0..100, 3);
    for batch in sent.chunks(7) {
        lane.deliver_all(batch).await?;
    }
    lane.expect(&sent).await?;
    lane.close().await?;
    let later = Lane::open(fixture, "over-calls").await?;
    let more = later.records(100..110, 3);
    later.deliver_all(&more).await?;
    later.expect(&[sent, more].concat()).await?;
    later.close().await?;
    Ok(Verdict::Passed)
}

pub(super) async fn lanes(fixture: &dyn SinkFixture) -> Check {
    let lane = Lane::open(fixture, "lanes").await?;
    let of =
        |own: usize| (0..60).map(|n| lane.record(&format!("lane{own}-{}", n % 2), n)).collect::<Vec<_>>();
    let run = async |sent: Vec<Record>| {
        for batch in sent.chunks(6) {
            lane.deliver_all(batch).await?;
        }
        Ok::<_, String>(sent)
    };
    let (a, b, c, d) = tokio::try_join!(run(of(0)), run(of(1)), run(of(2)), run(of(3)))?;
    lane.expect(&[a, b, c, d].concat()).await?;
    lane.close().await?;
    Ok(Verdict::Passed)
}

pub(super) async fn repeats(fixture: &dyn SinkFixture) -> Check {
    let lane = Lane::open(fixture, "repeats").await?;
    let sent = lane.records(0..30, 3);
    lane.deliver_all(&sent[..20]).await?;
    lane.deliver_all(&sent[..20]).await?;
    lane.deliver_all(&sent[10..]).await?;
    lane.expect(&sent).await?;
    lane.close().await?;
    let after_restart = Lane::open(fixture, "repeats").await?;
    after_restart.deliver_all(&sent[5..]).await?;
    after_restart.expect(&sent).await?;
    after_restart.close().await?;
    Ok(Verdict::Passed)
}

/// Reads after each call, with the sink still open: nothing may be held back.
pub(super) async fn durable(fixture: &dyn SinkFixture) -> Check {
    let lane = Lane::open(fixture, "durable").await?;
    let sent = lane.records(0..6, 1);
    for n in 1..=sent.len() {
        lane.deliver_all(&sent[n - 1..n]).await?;
        lane.expect(&sent[..n]).await?;
    }
    lane.close().await?;
    Ok(Verdict::Passed)
}
