//! The front: when it looks again, how far, and what is too old to be there.

use tokio::time::Instant;
use weir_sdk::{Error, ErrorKind};

use super::clock::Now;
use super::pace::Pace;
use super::progress::Progress;
use super::time::{Micros, SECOND, micros};
use super::window::{Stride, Window};
use super::{Cluster, Settings};

/// Decides on the windows.
pub(super) struct Front {
    settings: Settings,
    stride: Stride,
    pace: Pace,
    next_look: Instant,
    looked: Instant,
    /// The open window ends where there was more to read.
    behind: Option<bool>,
    rows: u64,
}

impl Front {
    pub(super) fn new(settings: Settings) -> Self {
        let now = Instant::now();
        Self {
            settings,
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
        now.saturating_sub(micros(self.settings.confidence))
    }

    /// The next window, if there is anything to read: the one that an earlier run left open, or a new one.
    pub(super) fn next_window(
        &mut self,
        now: Micros,
        progress: &mut Progress,
        cluster: &Cluster,
    ) -> Result<Option<Window>, Error> {
        self.looked = Instant::now();
        self.next_look = self.looked + self.pace.wait();
        check_age(now, progress, cluster)?;
        if let Some(window) = progress.window() {
            self.behind = Some(true);
            return Ok(Some(window));
        }
        let cut = progress.cut();
        let end = cluster.streams.end(cut).unwrap_or(Micros::MAX);
        let horizon = self.horizon(now);
        let window = self.stride.next(cut, horizon.min(cluster.streams.known_until()).min(end));
        self.behind = window.map(|window| window.to < horizon);
        if window.is_none() {
            self.pace.idle();
        }
        Ok(window)
    }

    /// A window is open.
    pub(super) fn opened(&mut self, window: Window, progress: &mut Progress, now: Now) {
        self.rows = 0;
        if progress.window().is_none() {
            progress.open(window, now);
        }
    }

    /// A row of the open window was emitted.
    pub(super) fn count(&mut self) {
        self.rows += 1;
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
    let oldest = oldest(now, cluster);
    if progress.fresh().is_some_and(|begun| oldest <= begun) && progress.cut() < oldest {
        // What expired was there before the first start; what has been written since is not lost.
        progress.begin_at(oldest);
    }
    check_unread(now, progress, cluster)
}

/// A window stays open while the sink is away, and what was not read of it may expire like anything before it.
pub(super) fn check_unread(now: Micros, progress: &Progress, cluster: &Cluster) -> Result<(), Error> {
    let oldest = oldest(now, cluster);
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

/// The oldest time of which the log can still hold every row.
pub(super) fn oldest(now: Micros, cluster: &Cluster) -> Micros {
    let kept = cluster.watch.ttl().map_or(Micros::MIN, |ttl| now.saturating_sub(micros(ttl)));
    kept.max(cluster.streams.oldest().unwrap_or(Micros::MIN))
}
