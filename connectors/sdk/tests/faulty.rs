//! Each fault of the script does what its name says, and keeps the contract of a sink.
#![allow(missing_docs)]

use std::time::Duration;

use tokio::time::{Instant, timeout};
use weir_sdk::testing::{Effect, Fault, FaultySink, MemorySink, RecordExt, Trace, numbered};
use weir_sdk::{Error, ErrorKind, Records, Sink, WriteError};

fn faulty(script: impl IntoIterator<Item = Fault>) -> (FaultySink, MemorySink) {
    let memory = MemorySink::new();
    (FaultySink::new(memory.clone(), script), memory)
}

fn six() -> Records {
    numbered("a", 0..6, 2).into()
}

fn texts(memory: &MemorySink) -> String {
    memory.records().iter().map(RecordExt::text).collect()
}

fn failed(answer: Result<(), WriteError>) -> Vec<usize> {
    match answer.expect_err("some records fail") {
        WriteError::All(error) => panic!("all failed: {error}"),
        WriteError::Some(failed) => failed.iter().map(|failed| failed.index).collect(),
    }
}

#[tokio::test]
async fn some_records_fail_and_hold_up_their_keys() {
    let (sink, memory) = faulty([
        Fault::refuse(ErrorKind::Unavailable),
        Fault::fail(2, ErrorKind::Transient),
        Fault::fail(2, ErrorKind::Record),
        Fault::Stop { after: 4, error: Error::new(ErrorKind::Transient, "broken pipe") },
        Fault::fail(77, ErrorKind::Transient),
    ]);
    assert!(
        matches!(sink.write(six()).await, Err(WriteError::All(error)) if error.kind() == ErrorKind::Unavailable)
    );
    assert_eq!(texts(&memory), "");
    assert_eq!(failed(sink.write(six()).await), [2, 4]);
    assert_eq!(failed(sink.write(six()).await), [2]);
    assert_eq!(failed(sink.write(six()).await), [4, 5]);
    sink.write(six()).await.unwrap();
    sink.write(six()).await.unwrap();
    assert_eq!(texts(&memory), "0135 01345 0123 012345 012345".replace(' ', ""));
    assert_eq!((sink.calls(), sink.remaining()), (6, 0));
}

#[tokio::test(start_paused = true)]
async fn answers_are_lost_late_or_never_come() {
    let limit = Duration::from_secs(1);
    let (sink, memory) = faulty([
        Fault::Lose,
        Fault::Hang(Effect::None),
        Fault::Hang(Effect::Before),
        Fault::Hang(Effect::Late),
        Fault::slow(Duration::from_secs(3)),
    ]);
    assert_eq!(sink.write(six()).await.unwrap_err().first().kind(), ErrorKind::Timeout);
    assert_eq!(memory.len(), 6, "lost, but written");
    for written in [6, 12, 12] {
        timeout(limit, sink.write(six())).await.unwrap_err();
        assert_eq!(memory.len(), written);
    }
    let begun = Instant::now();
    sink.write(numbered("b", 7..8, 1).into()).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_secs(3));
    assert_eq!(texts(&memory), "012345".repeat(3) + "7", "the late effect comes before the later write");
}

#[tokio::test(start_paused = true)]
async fn a_late_effect_comes_on_close_at_the_latest() {
    let (sink, memory) = faulty([Fault::Hang(Effect::Late)]);
    timeout(Duration::from_secs(1), sink.write(six())).await.unwrap_err();
    sink.close().await.unwrap();
    assert_eq!((memory.len(), memory.closes()), (6, 1));
}

#[tokio::test]
async fn down_refuses_everything_and_keeps_the_script() {
    let (sink, memory) = faulty([Fault::Panic]);
    sink.push_probe(Err(Error::new(ErrorKind::Auth, "who are you")));
    sink.down(Error::new(ErrorKind::Unavailable, "gone"));
    assert_eq!(sink.write(six()).await.unwrap_err().first().kind(), ErrorKind::Unavailable);
    assert_eq!(sink.probe().await.unwrap_err().kind(), ErrorKind::Unavailable);
    sink.up();
    sink.push_probe(Err(Error::new(ErrorKind::Auth, "who are you")));
    assert_eq!(sink.probe().await.unwrap_err().kind(), ErrorKind::Auth);
    sink.probe().await.unwrap();
    let clone = sink.clone();
    assert!(tokio::spawn(async move { clone.write(six()).await }).await.unwrap_err().is_panic());
    sink.write(six()).await.unwrap();
    assert_eq!((memory.len(), memory.probes(), sink.probes()), (6, 1, 3));
}

#[tokio::test(start_paused = true)]
async fn random_faults_lose_nothing_for_who_tries_again() {
    let mut repeated = 0;
    for seed in 0..20 {
        let memory = MemorySink::new();
        let sink = FaultySink::random(memory.clone(), seed, 2);
        let sent = numbered("a", 0..300, 5);
        for batch in sent.chunks(20) {
            let mut records = Records::from(batch.to_vec());
            loop {
                match timeout(Duration::from_secs(1), sink.write(records.clone())).await {
                    Ok(Ok(())) => break,
                    Err(_) | Ok(Err(WriteError::All(_))) => {}
                    Ok(Err(WriteError::Some(failed))) => {
                        records = records.pick(failed.iter().map(|failed| failed.index));
                    }
                }
            }
        }
        let trace = Trace::by_origin(&sent, &memory.records());
        trace.assert_complete();
        repeated += trace.repeated.len();
    }
    assert!(repeated > 1000, "faults with an effect happened: {repeated} repeats");
}
