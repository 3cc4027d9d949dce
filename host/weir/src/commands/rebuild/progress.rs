//! How a rebuild goes, for whoever watches: a bar on a terminal, elsewhere a line every few seconds, and every change of
//! the task's state with its reason.

use std::convert::Infallible;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, sleep};
use weir_host::state::{Board, State};
use weir_sdk::config::HumanDuration;
use weir_sdk::metrics::{Metrics, names};
use weir_sdk::{CheckpointStore, TaskId};

use super::caught_up::CaughtUp;
use crate::output;

/// The bar has so many parts.
const PARTS: u64 = 1000;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// Between two lines, where there is no terminal.
const LINE: Duration = Duration::from_secs(5);

/// What is shown of a rebuild.
pub(super) struct Progress {
    pub(super) task: TaskId,
    pub(super) metrics: Metrics,
    pub(super) board: Board,
}

impl Progress {
    /// Shows it for as long as it is awaited.
    pub(super) async fn show(&self, at: &CaughtUp, checkpoints: &dyn CheckpointStore) -> Infallible {
        let (bar, mut shown, mut line) = (Bar::new(), (State::Running, None), Instant::now());
        let (begun, mut at_first) = (Instant::now(), None);
        loop {
            sleep(LOOK).await;
            self.tell_state(&bar, &mut shown);
            let share = self.metrics.gauge(names::SNAPSHOT_DONE).get();
            if bar.is_hidden() && line.elapsed() < LINE {
                continue;
            }
            line = Instant::now();
            let written = self.metrics.counter(names::RECORDS_WRITTEN).get();
            let rate = written as f64 / begun.elapsed().as_secs_f64();
            let position = at.position(checkpoints, &self.task).await.ok().flatten();
            let position = position.map(|position| position.words).unwrap_or_default();
            let place = match share {
                share if share > 0.0 && share < 1.0 => {
                    // One that goes on does not begin with nothing.
                    let (since, from) = *at_first.get_or_insert((Instant::now(), share));
                    format!("{:.1} % of the table{}", share * 100.0, left(since.elapsed(), share, from))
                }
                _ => position,
            };
            bar.set(share, format!("{place}; {written} written, {rate:.0}/s{}", self.dead()));
        }
    }

    /// Says how the task is when that has changed; that it is built and runs at the start is no news.
    fn tell_state(&self, bar: &Bar, shown: &mut (State, Option<String>)) {
        let Some(status) = self.board.tasks().remove(&self.task) else { return };
        let now = (status.state, status.reason);
        let is_built_first = now.0 == State::Restarting && !status.has_run;
        if is_built_first || now == *shown {
            return;
        }
        bar.say(&format!("{} {}", now.0.as_str(), now.1.as_deref().unwrap_or_default()));
        *shown = now;
    }

    fn dead(&self) -> String {
        match self.metrics.counter(names::DLQ_MESSAGES).get() {
            0 => String::new(),
            dead => format!(", {dead} dead letters"),
        }
    }
}

/// `, 3m left`, once that can be told.
fn left(took: Duration, share: f64, from: f64) -> String {
    if share <= from || took < Duration::from_secs(1) {
        return String::new();
    }
    let seconds = took.as_secs_f64() * (1.0 - share) / (share - from);
    format!(", {} left", HumanDuration::from_secs(seconds.ceil() as u64))
}

/// On a terminal a bar, elsewhere lines.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{bar:30} {msg}");
        Self(ProgressBar::new(PARTS).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    fn is_hidden(&self) -> bool {
        self.0.is_hidden()
    }

    fn set(&self, share: f64, message: String) {
        if self.is_hidden() {
            output::note(message);
        } else {
            self.0.set_position((share * PARTS as f64) as u64);
            self.0.set_message(message);
        }
    }

    fn say(&self, line: &str) {
        if self.is_hidden() { output::note(line) } else { self.0.println(line) }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::left;
    use std::time::Duration;

    #[test]
    fn what_is_left_goes_by_what_this_run_has_read() {
        let told = |seconds, share, from| left(Duration::from_secs(seconds), share, from);
        assert_eq!(told(10, 0.75, 0.5), ", 10s left");
        assert_eq!(told(60, 0.5, 0.0), ", 1m left");
        assert_eq!(told(10, 0.5, 0.5), "");
        assert_eq!(told(0, 0.5, 0.0), "");
    }
}
