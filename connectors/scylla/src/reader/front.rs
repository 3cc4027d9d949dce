//! The front: when it looks again, how far, and what is too old to be there.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use weir_sdk::{Error, ErrorKind};

use super::Settings;
use super::pace::Pace;
use super::progress::Progress;
use super::statement::Row;
use super::time::{Micros, SECOND, micros};
use super::window::{Stride, Window};
use crate::hub::reads::Read;
use crate::hub::shared::{Cluster, Shared};
use crate::hub::windows::Next;

/// Decides on the windows.
pub(super) struct Front {
    confidence: Duration,
    stride: Stride,
    pace: Pace,
    next_look: Instant,
    looked: Instant,
    /// The open window ends where there was more to read.
    behind: Option<bool>,
    rows: u64,
}

/// A window to open.
pub(super) enum Open {
    /// Nobody reads it yet.
    New(Window),
    /// Somebody reads it.
    Shared(Window, Arc<Read<Row>>),
}

impl Front {
    pub(super) fn new(settings: &Settings) -> Self {
        let now = Instant::now();
        Self {
            confidence: settings.confidence,
            stride: Stride::default(),
            pace: Pace::new(settings.poll_interval),
            next_look: now,
            looked: now,
            behind: None,
            rows: 0,
        }
    }

    /// When to look for the next window, if none is open.
    pub(super) fn next_look(&self) -> Instant {
        self.next_look
    }

    /// The newest time that may be read.
    pub(super) fn horizon(&self, now: Micros) -> Micros {
        now.saturating_sub(micros(self.confidence))
    }

    /// What to read next, if there is anything: the window that an earlier run left open, one that others read, or a
    /// new one.
    pub(super) fn next_window(
        &mut self,
        now: Micros,
        progress: &mut Progress,
        cluster: &Cluster,
        shared: &Shared,
    ) -> Result<Option<Open>, Error> {
        self.looked = Instant::now();
        self.next_look = self.looked + self.pace.wait();
        self.rows = 0;
        check_age(now, progress, cluster)?;
        let cut = progress.cut();
        let end = cluster.streams.end(cut).unwrap_or(Micros::MAX);
        let horizon = self.horizon(now);
        let limit = horizon.min(cluster.streams.known_until()).min(end);
        let (resumed, windows) = (progress.window().is_some(), shared.windows());
        match windows.next(progress, limit, self.stride.next(cut, limit)) {
            Some(Next::Open(window)) => {
                self.behind = Some(resumed || window.to < horizon);
                Ok(Some(Open::New(window)))
            }
            Some(Next::Join(known)) => {
                // All who read it look for the next one at the same time.
                (self.looked, self.behind) = (known.opened, Some(known.behind));
                Ok(Some(Open::Shared(known.window, known.read.clone())))
            }
            None => {
                self.behind = None;
                self.pace.idle();
                Ok(None)
            }
        }
    }

    /// The window that was opened last ends where there is more to read.
    pub(super) fn behind(&self) -> Option<bool> {
        self.behind
    }

    /// A row of the open window was emitted.
    pub(super) fn count(&mut self) {
        self.rows += 1;
    }

    /// The open window held too much and was halved; this was its length.
    pub(super) fn halved(&mut self, length: Micros) {
        self.stride.shorten(length);
        self.next_look = Instant::now();
    }

    /// The open window was read to its end.
    pub(super) fn closed(&mut self) {
        if self.rows > 0 {
            self.pace.busy();
        } else {
            self.pace.idle();
        }
        if self.behind == Some(true) {
            self.stride.learn(self.rows);
            self.next_look = Instant::now();
        } else {
            self.next_look = self.looked + self.pace.wait();
        }
    }
}

/// What lies before the log's TTL, or before the streams that are remembered, is gone.
fn check_age(now: Micros, progress: &mut Progress, cluster: &Cluster) -> Result<(), Error> {
    let oldest = cluster.oldest(now);
    if progress.fresh().is_some_and(|begun| oldest <= begun) && progress.cut() < oldest {
        // What expired was there before the first start; what has been written since is not lost.
        progress.begin_at(oldest);
    }
    check_unread(now, progress, cluster)
}

/// A window stays open while the sink is away, and what was not read of it may expire like anything before it.
pub(super) fn check_unread(now: Micros, progress: &Progress, cluster: &Cluster) -> Result<(), Error> {
    let oldest = cluster.oldest(now);
    let from = progress.fresh().unwrap_or(progress.cut());
    if from >= oldest {
        return Ok(());
    }
    let hours = (oldest - from) as f64 / (3600 * SECOND) as f64;
    Err(Error::new(
        ErrorKind::Gap,
        format!("the log no longer holds the {hours:.2} hours behind the checkpoint: their rows have expired"),
    )
    .advice("start weir with --accept-gap to go on with the oldest row there is, and raise the log's ttl above the longest pause"))
}
