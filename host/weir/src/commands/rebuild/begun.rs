//! `Begun`: the task runs until it has caught up, or somebody stops it; and what that comes to.

use std::pin::pin;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use weir_host::control::Control;
use weir_host::rebuild::Rebuild;
use weir_host::rebuild::state::{Phase, State, Way};
use weir_host::stop::{Stop, Stopper};
use weir_host::supervisor::{Outcome, supervise};
use weir_host::task::{Ended, Spec};
use weir_sdk::Error;
use weir_sdk::config::HumanDuration;
use weir_sdk::metrics::names;

use super::DRAIN;
use super::caught_up::CaughtUp;
use super::progress::Progress;
use super::sink::Sink;
use crate::exit::Exit;
use crate::output;

/// A rebuild whose checkpoint has begun.
pub(super) struct Begun<'a> {
    pub(super) sink: Sink<'a>,
    pub(super) rebuild: Rebuild,
    pub(super) state: State,
    pub(super) spec: Spec,
}

/// How it ended.
pub(super) struct Told {
    pub(super) exit: Exit,
    pub(super) words: String,
    pub(super) object: Value,
}

/// Why the task stopped.
enum End {
    CaughtUp,
    Asked,
    ByItself(Outcome),
}

/// Lets the task settle what it has read, and waits for its end.
async fn settle(task: impl Future<Output = Outcome>, stopper: &Stopper, stop: &Stop) -> Outcome {
    if !stop.is_requested() {
        stopper.stop(DRAIN);
    }
    tokio::select! {
        outcome = task => outcome,
        never = stopper.follow(stop) => match never {},
    }
}

impl Begun<'_> {
    /// Runs the task.
    ///
    /// # Errors
    /// Why it ended by itself, or cannot tell how far it is.
    pub(super) async fn run(mut self, follow: bool, stop: &Stop) -> Result<Told, Error> {
        let began = Instant::now();
        let control = Control::default();
        let (pen, orders) = control.enter(self.spec.id.clone(), self.spec.metrics.clone());
        let pen = pen.hiding(self.sink.pipeline.mask().clone());
        let (stopper, ends) = Stopper::new();
        let mut task = pin!(supervise(self.spec.clone(), pen, ends, orders));
        let (at, checkpoints) = (CaughtUp::of(&self.sink), self.spec.checkpoints.clone());
        let progress = Progress {
            task: self.spec.id.clone(),
            metrics: self.spec.metrics.clone(),
            board: control.board().clone(),
        };
        let mut end = {
            let mut show = pin!(progress.show(&at, &*checkpoints));
            let end = tokio::select! {
                outcome = &mut task => End::ByItself(outcome),
                passed = at.wait(&*checkpoints, &self.spec.id) => passed.map(|()| End::CaughtUp)?,
                () = stop.requested() => End::Asked,
                never = &mut show => match never {},
            };
            if matches!(end, End::CaughtUp | End::ByItself(Outcome::Ended(Ended::Exhausted))) {
                self.state.phase = Phase::CaughtUp;
                if self.state.way == Way::Beside {
                    self.rebuild.keep(&self.state)?;
                }
            }
            match end {
                End::CaughtUp if follow => {
                    output::note(self.words(began));
                    output::note("it goes on until it is stopped");
                    tokio::select! {
                        outcome = &mut task => End::ByItself(outcome),
                        () = stop.requested() => End::Asked,
                        never = &mut show => match never {},
                    }
                }
                end => end,
            }
        };
        if !matches!(end, End::ByItself(_))
            && let retired @ Outcome::Retired(_) = settle(task, &stopper, stop).await
        {
            end = End::ByItself(retired);
        }
        drop(checkpoints);
        self.told(end, began)
    }

    fn told(self, end: End, began: Instant) -> Result<Told, Error> {
        if let End::ByItself(Outcome::Down(error) | Outcome::Retired(error)) = end {
            return Err(error);
        }
        let is_done = self.state.phase == Phase::CaughtUp;
        let (words, object) = (self.words(began), self.object(began));
        let Self { rebuild, spec, state, .. } = self;
        drop(spec);
        if is_done && state.way == Way::InPlace {
            rebuild.forget()?;
        }
        Ok(Told { exit: if is_done { Exit::Ok } else { Exit::Failed }, words, object })
    }

    fn words(&self, began: Instant) -> String {
        let written = self.spec.metrics.counter(names::RECORDS_WRITTEN).get();
        let took = match began.elapsed() {
            took if took < Duration::from_secs(10) => HumanDuration::from_millis(took.as_millis() as u64),
            took => HumanDuration::from_secs(took.as_secs()),
        };
        let place = &self.state.place.name;
        let wrote = format!("{written} records written in {took}");
        match (self.state.phase, self.state.way) {
            (Phase::CaughtUp, Way::InPlace) => format!("`{place}` is rebuilt: {wrote}"),
            (Phase::CaughtUp, Way::Beside) => {
                format!("`{place}` has caught up: {wrote}\n{}", self.next())
            }
            _ => format!("stopped before `{place}` has caught up: {wrote}\n{}", self.next()),
        }
    }

    /// What to do now.
    fn next(&self) -> String {
        let (pipeline, place) = (self.sink.pipeline, &self.state.place);
        let data = "the same data directory";
        match self.state.phase {
            Phase::CaughtUp if place.is_named_in(&self.sink.sink_config()) => {
                format!("start `weir run` again on {data}: its task goes on where this rebuild is")
            }
            Phase::CaughtUp => format!(
                "set `{}: {}` at {} and start `weir run` again on {data}: its task goes on where this rebuild is",
                place.pointer.rsplit('/').next().unwrap_or_default(),
                place.name,
                pipeline.line(&self.sink.sink.sink, &place.pointer),
            ),
            _ => "the same command, without --anew, goes on where it is".to_owned(),
        }
    }

    fn object(&self, began: Instant) -> Value {
        let count = |name| self.spec.metrics.counter(name).get();
        let is_done = self.state.phase == Phase::CaughtUp;
        json!({
            "pipeline": self.spec.id.pipeline,
            "sink": self.spec.id.sink,
            "place": self.state.place.name,
            "way": self.state.way,
            "caught_up": is_done,
            "read": count(names::RECORDS_READ),
            "written": count(names::RECORDS_WRITTEN),
            "dead_letters": count(names::DLQ_MESSAGES),
            "seconds": began.elapsed().as_secs_f64(),
            "next": (!is_done || self.state.way == Way::Beside).then(|| self.next()),
        })
    }
}
