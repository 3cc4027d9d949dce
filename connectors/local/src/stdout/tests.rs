//! The stdout sink over a stream that can be read back and disturbed.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use serde_json::json;
use weir_sdk::testing::contract::{self, Disturbance, SinkFixture};
use weir_sdk::testing::{record, tombstone};
use weir_sdk::{Error, ErrorKind, Record, Sink};

use super::Format;
use super::sink::StdoutSink;
use crate::line::reading;

/// A stream that takes a few bytes at a time, keeps them, and fails when told to.
#[derive(Clone, Default)]
struct Stream(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    fails: Option<io::ErrorKind>,
    /// Every so many calls fail.
    flaky: Option<usize>,
    calls: usize,
}

impl Stream {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn text(&self) -> String {
        String::from_utf8(self.state().bytes.clone()).unwrap()
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        state.calls += 1;
        let struck = state.flaky.is_some_and(|every| state.calls.is_multiple_of(every));
        if let Some(kind) = state.fails.or(struck.then_some(io::ErrorKind::TimedOut)) {
            return Err(kind.into());
        }
        let taken = bytes.len().min(1000);
        state.bytes.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.state().fails.map_or(Ok(()), |kind| Err(kind.into()))
    }
}

#[async_trait]
impl SinkFixture for Stream {
    async fn open(&self) -> Result<Arc<dyn Sink>, Error> {
        Ok(Arc::new(StdoutSink::over(Format::Json, self.clone())?))
    }

    async fn arrived(&self) -> Vec<Record> {
        // A failed write leaves a torn line, which the next one ends.
        self.text().lines().filter(|line| line.ends_with('}')).filter_map(reading::whole).collect()
    }

    async fn disturb(&self, how: Disturbance) -> bool {
        match how {
            Disturbance::Down => self.state().fails = Some(io::ErrorKind::TimedOut),
            Disturbance::Flaky => self.state().flaky = Some(4),
            Disturbance::Silent => return false,
        }
        true
    }

    async fn restore(&self) {
        self.state().fails = None;
        self.state().flaky = None;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract_of_a_sink() {
    contract::sink_factory(&*weir_sdk::connector::sink(super::Stdout), &json!({ "format": "value" }));
    let report = contract::sink(&Stream::default()).await;
    let skipped = ["a record's own fault concerns nobody else", "silence does not overtake"];
    assert_eq!(report.skipped, skipped);
}

#[tokio::test]
async fn bare_values_are_lines() {
    let stream = Stream::default();
    let sink = StdoutSink::over(Format::Value, stream.clone()).unwrap();
    sink.write(vec![record("a", "1"), tombstone("a"), record("b", "2")].into()).await.unwrap();
    assert_eq!(stream.text(), "1\n\n2\n");
}

#[tokio::test]
async fn a_closed_pipe_is_an_error_for_good() {
    let stream = Stream::default();
    let sink = StdoutSink::over(Format::Json, stream.clone()).unwrap();
    sink.probe().await.unwrap();
    stream.state().fails = Some(io::ErrorKind::BrokenPipe);
    let error = sink.write(vec![record("a", "1")].into()).await.unwrap_err();
    assert_eq!(error.first().kind(), ErrorKind::Unavailable);
    assert!(format!("{:?}", error.first()).contains("start again with a reader"), "{:?}", error.first());
    stream.state().fails = None;
    assert_eq!(sink.probe().await.unwrap_err().kind(), ErrorKind::Unavailable);
    sink.close().await.unwrap();
}
