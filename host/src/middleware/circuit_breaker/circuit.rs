//! `Circuit`: the breaker's decisions as a value. It reads no clock, waits for nobody and writes nothing.
//!
//! Every time is a duration since the circuit was made, given by the caller, and never goes back.

use std::time::Duration;

use super::window::{Calls, Window};

/// When the circuit opens and how it closes again.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Opens after so many failed calls in a row; at least 1.
    pub failures: u32,
    /// Opens when this share of the calls in the window failed, or was slow; above 0, at most 1.
    pub rate: f64,
    /// The fewest calls in the window that a share is taken of; at least 1.
    pub calls: u32,
    /// The time over which the share is taken.
    pub window: Duration,
    /// A call that took longer counts as slow; without it none does.
    pub slow_call: Option<Duration>,
    /// How long it stays open the first time; doubles each time that it opens before it has done a write while closed.
    pub open_for: Duration,
    /// The longest that it stays open.
    pub open_for_max: Duration,
    /// Successful calls that close it; at least 1.
    pub successes: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            failures: 5,
            rate: 0.5,
            calls: 10,
            window: Duration::from_secs(10),
            slow_call: None,
            open_for: Duration::from_secs(30),
            open_for_max: Duration::from_secs(300),
            successes: 3,
        }
    }
}

/// What it does with calls. The order is that of the metric `circuit_breaker_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Calls pass.
    Closed,
    /// One call at a time passes, to try.
    HalfOpen,
    /// Calls wait.
    Open,
}

/// The decisions of one breaker.
#[derive(Clone, Debug, PartialEq)]
pub struct Circuit {
    settings: Settings,
    phase: Phase,
    /// How often it has opened: what was admitted before tells nothing after.
    epoch: u64,
    /// How often it has opened since a call succeeded while it was closed.
    openings: u32,
    window: Window,
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    Closed { failures: u32 },
    Open { until: Duration },
    HalfOpen { in_trial: bool, successes: u32, since: Duration },
}

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Make the call, then report.
    Call(Ticket),
    /// Ask whether the far side is there: if so make the call, if not report [`Outcome::Down`].
    Probe(Ticket),
    /// Ask again at this time, or after a change.
    Until(Duration),
    /// Ask again after a change.
    Later,
}

/// Stands for one admitted call; to be reported once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    epoch: u64,
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did something durable.
    Success,
    /// It failed, and that may be the far side's doing.
    Failure,
    /// The far side is not there.
    Down,
    /// It tells nothing about the far side.
    Nothing,
}

impl Circuit {
    /// While half-open, so long without a call: nothing is held back, so nothing is left to try.
    pub const QUIET: Duration = Duration::from_secs(1);

    /// Closed, with nothing counted.
    pub fn new(settings: Settings) -> Self {
        let window = Window::new(settings.window);
        Self { settings, phase: Phase::Closed { failures: 0 }, epoch: 0, openings: 0, window }
    }

    /// What it does with calls now.
    pub fn mode(&self) -> Mode {
        match self.phase {
            Phase::Closed { .. } => Mode::Closed,
            Phase::Open { .. } => Mode::Open,
            Phase::HalfOpen { .. } => Mode::HalfOpen,
        }
    }

    /// May a call be made now?
    pub fn admit(&mut self, now: Duration) -> Admission {
        let ticket = Ticket { epoch: self.epoch };
        match &mut self.phase {
            Phase::Closed { .. } => Admission::Call(ticket),
            Phase::Open { until } if now < *until => Admission::Until(*until),
            Phase::Open { .. } => {
                self.phase = Phase::HalfOpen { in_trial: true, successes: 0, since: now };
                Admission::Probe(ticket)
            }
            Phase::HalfOpen { in_trial: true, .. } => Admission::Later,
            Phase::HalfOpen { in_trial, .. } => {
                *in_trial = true;
                Admission::Call(ticket)
            }
        }
    }

    /// An admitted call has ended after `took`; dropped before its end, it tells [`Outcome::Nothing`].
    pub fn report(&mut self, ticket: Ticket, outcome: Outcome, took: Duration, now: Duration) {
        if ticket.epoch != self.epoch {
            return;
        }
        match self.phase {
            Phase::Closed { failures } => self.counted(failures, outcome, took, now),
            Phase::HalfOpen { successes, .. } => self.tried(successes, outcome, now),
            Phase::Open { .. } => {}
        }
    }

    /// Opens it for a reason that no call told; one that is not closed stays as it is.
    pub fn trip(&mut self, now: Duration) {
        if self.mode() == Mode::Closed {
            self.open(now);
        }
    }

    /// Closes it if it is half-open and nobody has wanted to call for [`Circuit::QUIET`].
    pub fn rest(&mut self, now: Duration) {
        if let Phase::HalfOpen { in_trial: false, since, .. } = self.phase
            && now >= since + Self::QUIET
        {
            self.close();
        }
    }

    /// A call ended while closed.
    fn counted(&mut self, failures: u32, outcome: Outcome, took: Duration, now: Duration) {
        let failed = match outcome {
            Outcome::Nothing => return,
            Outcome::Down => return self.open(now),
            Outcome::Failure => true,
            Outcome::Success => false,
        };
        let slow = self.settings.slow_call.is_some_and(|limit| took > limit);
        let calls = self.window.count(Calls { all: 1, failed: failed.into(), slow: slow.into() }, now);
        let failures = if failed { failures + 1 } else { 0 };
        self.phase = Phase::Closed { failures };
        if !failed {
            self.openings = 0;
        }
        let enough = calls.all >= self.settings.calls;
        let most = |part: u32| f64::from(part) >= self.settings.rate * f64::from(calls.all);
        if failures >= self.settings.failures || enough && (most(calls.failed) || most(calls.slow)) {
            self.open(now);
        }
    }

    /// The call that tries whether the far side is back has ended.
    fn tried(&mut self, successes: u32, outcome: Outcome, now: Duration) {
        let successes = match outcome {
            Outcome::Down | Outcome::Failure => return self.open(now),
            Outcome::Nothing => successes,
            Outcome::Success => successes + 1,
        };
        self.phase = Phase::HalfOpen { in_trial: false, successes, since: now };
        if successes >= self.settings.successes {
            self.openings = 0;
            self.close();
        }
    }

    fn open(&mut self, now: Duration) {
        let doubled = 2u32.saturating_pow(self.openings);
        let wait = self.settings.open_for.saturating_mul(doubled).min(self.settings.open_for_max);
        self.openings = self.openings.saturating_add(1);
        self.epoch += 1;
        self.phase = Phase::Open { until: now + wait };
    }

    fn close(&mut self) {
        self.phase = Phase::Closed { failures: 0 };
        self.window.clear();
    }
}
