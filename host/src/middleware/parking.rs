//! `Parking`: who in a task is waiting for a far side that is down; the task is PARKED while anybody is.
//!
//! The one who waits for the sink is its circuit breaker, however many lanes wait in it; the one who waits for the
//! source is its reader.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weir_sdk::Conditions;

use crate::state::{Pen, State};

/// Shared by a task's reader and lanes. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Parking {
    pen: Pen,
    /// Stands in front of every reason, where who waits does not show in it.
    who: Option<Arc<str>>,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    reasons: BTreeMap<u64, String>,
}

/// One who waits; dropped when the waiting ends.
#[derive(Debug)]
pub struct Parked {
    parking: Parking,
    number: u64,
}

impl Parking {
    /// Nobody waits yet; `pen` shows the state.
    pub fn new(pen: Pen) -> Self {
        Self { pen, who: None, waiting: Arc::default() }
    }

    /// The same, for one whose reasons are to begin with `who`.
    #[must_use]
    pub fn of(&self, who: &str) -> Self {
        Self { who: Some(who.into()), ..self.clone() }
    }

    /// Where connectors say that a guarantee is weaker.
    pub fn conditions(&self) -> &Conditions {
        self.pen.conditions()
    }

    /// Hides in a text what no reason may show.
    pub fn hide(&self, text: &str) -> String {
        self.pen.hide(text)
    }

    /// Begins to wait, because of `reason`.
    pub fn park(&self, reason: String) -> Parked {
        let reason = self.who.iter().fold(reason, |reason, who| format!("{who}: {reason}"));
        let mut waiting = self.waiting();
        let number = waiting.next;
        waiting.next += 1;
        self.pen.because(State::Parked, reason.clone());
        waiting.reasons.insert(number, reason);
        Parked { parking: self.clone(), number }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        let mut waiting = self.parking.waiting();
        waiting.reasons.remove(&self.number);
        if self.parking.pen.state() != State::Parked {
            return;
        }
        match waiting.reasons.first_key_value() {
            Some((_, reason)) => self.parking.pen.because(State::Parked, reason.clone()),
            None => self.parking.pen.running(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Parking;
    use crate::state::{Board, State};
    use weir_sdk::TaskId;
    use weir_sdk::metrics::Metrics;

    #[test]
    fn parked_while_anybody_waits() {
        let board = Board::default();
        let task = TaskId { pipeline: "p".into(), sink: "s".into() };
        let pen = board.enter(task.clone(), Metrics::default());
        pen.running();
        let shown = || {
            let status = board.tasks().remove(&task).unwrap();
            (status.state, status.reason)
        };
        let parking = Parking::new(pen);
        let first = parking.park("broker down".into());
        let second = parking.park("database down".into());
        drop(parking.of("dead-letter sink topic").park("broker down".into()));
        assert_eq!(shown(), (State::Parked, Some("broker down".into())));
        drop(first);
        assert_eq!(shown(), (State::Parked, Some("database down".into())));
        drop(second);
        assert_eq!(shown(), (State::Running, None));
    }
}
