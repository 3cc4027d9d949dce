//! `Show`: the demonstration, from the first record to the last.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use scylla::client::session::Session;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use uuid::Uuid;
use weir_host::state::{Board, State};
use weir_host::stop::Stop;

use super::receive::Received;
use super::screen::Screen;
use super::tables::{LastWords, Shown, Word};
use super::tally::{Summary, Tally};

/// Counts and shows what is written and what arrives.
pub(crate) struct Show {
    screen: Screen,
    tally: Tally,
    words: LastWords,
    session: Arc<Session>,
    board: Board,
    received: (UnboundedSender<Received>, UnboundedReceiver<Received>),
    written: (UnboundedSender<Word>, UnboundedReceiver<Word>),
    status: Interval,
}

impl Show {
    /// So long without a new event, and what is still missing counts as lost.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// How often the tables are read while they are waited for.
    const LOOK: Duration = Duration::from_millis(100);
    /// The sink that the topic is filled by.
    const PUBLISHER: &str = "redpanda-publisher";

    pub(crate) fn new(screen: Screen, board: Board, session: Arc<Session>) -> Self {
        let mut status = interval(Duration::from_secs(1));
        status.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (received, written) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let (tally, words) = (Tally::default(), LastWords::default());
        Self { screen, tally, words, session, board, received, written, status }
    }

    /// Where the consumer puts what it received.
    pub(crate) fn received(&self) -> UnboundedSender<Received> {
        self.received.0.clone()
    }

    /// Where the application puts what it wrote.
    pub(crate) fn written(&self) -> UnboundedSender<Word> {
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

    /// Shows what happens until all that was written is at every destination, nothing new comes for a minute, or the
    /// deadline of `stop` passes.
    pub(crate) async fn catch_up(&mut self, stop: &Stop) {
        let (mut missing, mut progress) = (usize::MAX, Instant::now());
        loop {
            let now = self.missing().await;
            if now == 0 {
                return;
            }
            if now != missing {
                (missing, progress) = (now, Instant::now());
            }
            tokio::select! {
                () = self.until(tokio::time::sleep(Self::LOOK)) => {}
                () = stop.deadline() => return,
                () = tokio::time::sleep_until(progress + Self::PATIENCE) => return,
            }
        }
    }

    /// What the consumers still owe; one that was held by the operator, or needs one, is not waited for.
    async fn missing(&mut self) -> usize {
        self.hear();
        let topic = if self.is_held(Self::PUBLISHER) { 0 } else { self.tally.missing() };
        if topic > 0 {
            return topic;
        }
        let tables = self.words.shown(&self.session).await;
        tables.iter().filter(|table| !self.is_held(&table.sink())).map(|table| table.wrong).sum()
    }

    fn is_held(&self, sink: &str) -> bool {
        let held = |state| matches!(state, State::Paused | State::Failed | State::Gap | State::Stopped);
        self.board.tasks().iter().any(|(id, task)| id.sink == sink && held(task.state))
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
    pub(crate) async fn summary(&mut self, dead: &HashSet<Uuid>) -> Summary {
        self.hear();
        let tables: Vec<Shown> = self.words.shown(&self.session).await;
        let summary = self.tally.summary(dead, self.words.orders(), tables);
        self.screen.done(&summary);
        summary
    }

    async fn step(&mut self) {
        tokio::select! {
            biased;
            Some(word) = self.written.1.recv() => self.wrote(word),
            Some(record) = self.received.1.recv() => self.arrived(&record),
            _ = self.status.tick() => self.screen.status(&self.tally, &self.board),
        }
    }

    /// Takes in what was written and is not counted yet.
    fn hear(&mut self) {
        while let Ok(word) = self.written.1.try_recv() {
            self.wrote(word);
        }
    }

    fn wrote(&mut self, word: Word) {
        self.tally.wrote(word.event_id);
        self.words.heard(word);
    }

    fn arrived(&mut self, record: &Received) {
        self.tally.received(record);
        self.screen.received(record);
    }
}
