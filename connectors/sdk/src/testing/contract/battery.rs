//! `Battery`: runs checks one after the other and reports every violation at once.

use std::fmt::Write as _;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;

/// What was checked and what could not be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The rules that held.
    pub passed: Vec<&'static str>,
    /// The rules that the fixture has no means to check.
    pub skipped: Vec<&'static str>,
}

/// A trouble that a fixture makes at its far side, until it is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disturbance {
    /// Nobody is there: what is asked fails.
    Down,
    /// It takes what is sent and does not answer.
    Silent,
    /// Some of what is asked fails, some works, some works and the answer is lost. Only sinks are asked for it.
    Flaky,
}

/// What came of one check.
pub(super) enum Verdict {
    Passed,
    Skipped,
}

/// A verdict, or what was violated.
pub(super) type Check = Result<Verdict, String>;

pub(super) struct Battery {
    report: Report,
    violations: Vec<(&'static str, String)>,
    limit: Duration,
}

impl Battery {
    /// No single check may last longer than `limit`.
    pub(super) fn new(limit: Duration) -> Self {
        Self { report: Report::default(), violations: Vec::new(), limit }
    }

    pub(super) async fn check(&mut self, rule: &'static str, check: impl Future<Output = Check>) {
        let outcome = timeout(self.limit, Box::pin(check)).await;
        match outcome {
            Ok(Ok(Verdict::Passed)) => self.report.passed.push(rule),
            Ok(Ok(Verdict::Skipped)) => self.report.skipped.push(rule),
            Ok(Err(violation)) => self.violations.push((rule, violation)),
            Err(_) => self.violations.push((rule, format!("not done after {:?}", self.limit))),
        }
    }

    /// # Panics
    /// When anything was violated, with all of it.
    #[track_caller]
    pub(super) fn finish(self, what: &str) -> Report {
        let mut message = String::new();
        for (rule, violation) in &self.violations {
            write!(message, "\n  * {rule}: {violation}").ok(); // a String takes everything
        }
        assert!(message.is_empty(), "the {what} breaks its contract:{message}");
        self.report
    }
}

/// Polls `future` at most so many times and waits no longer than a moment for each, then drops it.
pub(super) async fn drop_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    const MOMENT: Duration = Duration::from_millis(200);
    let mut future = pin!(future);
    let mut left = polls;
    let polled = poll_fn(|context| {
        left = left.saturating_sub(1);
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    timeout(MOMENT, polled).await.unwrap_or(None)
}

/// Waits until `done` says so, looking often; `Err(what)` after `patience`.
pub(super) async fn until<F: Future<Output = bool>>(
    patience: Duration,
    what: &str,
    mut done: impl FnMut() -> F,
) -> Result<(), String> {
    let looking = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let late = |_| format!("{what}: not within {patience:?}");
    timeout(patience, looking).await.map_err(late)
}
