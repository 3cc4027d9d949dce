//! `Show`: the demonstration, from the first record to the last.

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use uuid::Uuid;
use weir_host::state::Board;
use weir_host::stop::Stop;

use super::receive::Received;
use super::screen::Screen;
use super::tally::{Summary, Tally};

/// Counts and shows what is written and what arrives.
pub(crate) struct Show {
    screen: Screen,
    tally: Tally,
    board: Board,
    received: (UnboundedSender<Received>, UnboundedReceiver<Received>),
    written: (UnboundedSender<Uuid>, UnboundedReceiver<Uuid>),
    status: Interval,
}

impl Show {
    /// So long without a new event, and what is still missing counts as lost.
    const PATIENCE: Duration = Duration::from_secs(60);

    pub(crate) fn new(screen: Screen, board: Board) -> Self {
        let mut status = interval(Duration::from_secs(1));
        status.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (received, written) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        Self { screen, tally: Tally::default(), board, received, written, status }
    }

    /// Where the consumer puts what it received.
    pub(crate) fn received(&self) -> UnboundedSender<Received> {
        self.received.0.clone()
    }

    /// Where the application puts the ids of what it wrote.
    pub(crate) fn written(&self) -> UnboundedSender<Uuid> {
        self.written.0.clone()
    }

    /// Shows what happens until `done`.
    pub(crate) async fn until<T>(&mut self, done: impl Future<Output = T>) -> T {
        tokio::pin!(done);
        loop {
            tokio::select! {
                done = &mut done => return done,
                () = self.step() => {}
            }
        }
    }

    /// Shows what happens until all that was written has arrived, nothing new comes for a minute, or the deadline of
    /// `stop` passes.
    pub(crate) async fn catch_up(&mut self, stop: &Stop) {
        let (mut missing, mut progress) = (usize::MAX, Instant::now());
        loop {
            while let Ok(event) = self.written.1.try_recv() {
                self.tally.wrote(event);
            }
            if self.tally.missing() == 0 {
                return;
            }
            if self.tally.missing() != missing {
                (missing, progress) = (self.tally.missing(), Instant::now());
            }
            tokio::select! {
                () = self.step() => {}
                () = stop.deadline() => return,
                () = tokio::time::sleep_until(progress + Self::PATIENCE) => return,
            }
        }
    }

    /// Shows what is still under way from the broker: until nothing has come for a moment.
    pub(crate) async fn settle(&mut self) {
        while let Ok(Some(record)) =
            tokio::time::timeout(Duration::from_millis(300), self.received.1.recv()).await
        {
            self.arrived(&record);
        }
    }

    /// The end: says and gives what arrived of what was written; `dead` are the events in the dead-letter table.
    pub(crate) fn summary(&mut self, dead: &HashSet<Uuid>) -> Summary {
        let summary = self.tally.summary(dead);
        self.screen.done(&summary);
        summary
    }

    async fn step(&mut self) {
        tokio::select! {
            biased;
            Some(event) = self.written.1.recv() => self.tally.wrote(event),
            Some(record) = self.received.1.recv() => self.arrived(&record),
            _ = self.status.tick() => self.screen.status(&self.tally, &self.board),
        }
    }

    fn arrived(&mut self, record: &Received) {
        self.tally.received(record);
        self.screen.received(record);
    }
}
