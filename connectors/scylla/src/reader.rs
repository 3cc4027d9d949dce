//! The reader of a CDC log: every row once, soon, and none lost that comes late.
//!
//! ScyllaDB has no way to be told of new rows, and a row may become readable after rows that were written later. The
//! reader therefore goes over the log twice. Its *front* reads all streams in common windows up to shortly before now,
//! which is quick. *Visits* come back to what the front read, at growing ages, compare names, and fetch what is new.
//! So latency does not pay for the slowest write, and a late row is not lost.
//!
//! * [`time`], [`row`]: what a place in the log is
//! * [`streams`], [`directory`]: which streams there are; [`statement`], [`fetch`], [`queue`]: from a query to rows that wait
//! * [`window`], [`pace`], [`clock`], [`server`]: how far and how often the front reads
//! * [`visits`], [`visit`], [`unsettled`]: when to come back, and how a late row is told from a known one
//! * [`progress`], [`token`]: what was emitted, and the checkpoint that says so
//! * [`table`], [`watch`]: what must be true of a table for its log to be read

pub mod clock;
pub mod directory;
mod emit;
pub mod fetch;
pub mod figures;
mod front;
pub mod pace;
pub mod progress;
pub mod queue;
pub mod row;
pub mod server;
pub mod statement;
pub mod streams;
pub mod table;
pub mod time;
pub mod token;
pub mod unsettled;
pub mod visit;
pub mod visits;
pub mod watch;
pub mod window;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use weir_sdk::{Batch, Context, Error, ErrorKind, Room};

use figures::Figures;
use front::Front;
use progress::Progress;
use queue::Queue;
use server::Server;
use statement::{Key, Row, Statement};
use streams::Streams;
use time::{Micros, micros};
use visit::{Found, Stage, Visit};
use watch::Watch;
use weir_sdk::{Conditions, Degraded};

/// A batch comes at least so often, with or without records: a second, less the time to make one.
const HEARTBEAT: Duration = Duration::from_millis(900);
/// Rows wait at most so long for others to fill their batch.
const LINGER: Duration = Duration::from_millis(20);
/// How often the server is asked for its time and for new streams.
const LOOK: Duration = Duration::from_secs(1);

/// The header of a record that came out of order, because its row became readable late.
pub const LATE: &str = "weir.late";

/// Reads one log.
pub struct Reader {
    log: Log,
    cluster: Cluster,
    progress: Progress,
    front: Front,
    reading: Option<Queue>,
    visit: Option<Visit>,
    /// What failed last, and has not succeeded since.
    trouble: Trouble,
    /// `None` before the first look of this run.
    looked: Option<Instant>,
    batched: Instant,
    figures: Figures,
    conditions: Conditions,
    /// Held while late rows bring repeats.
    degraded: Option<Degraded>,
}

/// The statements that read the log.
pub struct Log {
    /// Whole rows.
    pub rows: Arc<Statement<Row>>,
    /// Names only.
    pub names: Arc<Statement<Key>>,
}

/// What is asked of the cluster beside the log.
pub struct Cluster {
    /// Its time.
    pub server: Server,
    /// The log's streams.
    pub streams: Streams,
    /// The table.
    pub watch: Watch,
}

/// How a log is read.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The front stays so far behind now.
    pub confidence: Duration,
    /// The front looks this often while there is traffic.
    pub poll_interval: Duration,
}

impl Reader {
    /// Goes on where `progress` is, and says in `context` how it goes.
    pub fn new(
        log: Log,
        cluster: Cluster,
        progress: Progress,
        settings: Settings,
        context: &Context,
    ) -> Self {
        let now = Instant::now();
        let front = Front::new(settings);
        let figures = Figures::new(context.metrics(), progress.safety());
        let conditions = context.conditions().clone();
        Self {
            log,
            cluster,
            progress,
            front,
            reading: None,
            visit: None,
            trouble: Trouble::None,
            looked: None,
            batched: now,
            figures,
            conditions,
            degraded: None,
        }
    }

    /// The next batch that fits the room. After an error the next call goes on where the last batch ended.
    pub async fn batch(&mut self, room: Room) -> Result<Batch, Error> {
        loop {
            if let Some(batch) = self.flush(room) {
                return Ok(batch);
            }
            if let Err(error) = self.step().await {
                return Err(self.told_better(error).await);
            }
        }
    }

    /// Of a statement that is refused, the table itself tells more: what became of it, and what to do.
    async fn told_better(&mut self, error: Error) -> Error {
        if error.kind() != ErrorKind::Config {
            return error;
        }
        match self.cluster.watch.look_closer().await {
            Err(better) if better.kind() == ErrorKind::Config => better,
            Ok(()) | Err(_) => error,
        }
    }

    /// Waits for one thing to happen.
    async fn step(&mut self) -> Result<(), Error> {
        let before = std::mem::replace(&mut self.trouble, Trouble::Asking);
        self.ask().await?;
        self.trouble = if before == Trouble::Asking { Trouble::None } else { before };
        let wake = self.wake();
        let received = tokio::select! {
            biased;
            received = receive(&mut self.reading) => received.and_then(|()| {
                if self.reading.as_ref().is_some_and(|queue| !queue.is_done()) {
                    let now = self.cluster.server.now().shown;
                    front::check_unread(now, &self.progress, &self.cluster)?;
                }
                Ok(())
            }),
            received = advance(&mut self.visit, &mut self.progress, &self.log) => received,
            () = tokio::time::sleep_until(wake) => return Ok(()),
        };
        self.trouble = if received.is_ok() { Trouble::None } else { Trouble::Reading };
        received
    }

    /// Asks for whatever it is time for.
    async fn ask(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        if self.looked.is_none_or(|looked| now.saturating_duration_since(looked) >= LOOK) {
            self.look().await?;
        }
        if self.visit.is_none() {
            self.open_visit().await?;
        }
        if self.reading.is_none() && now >= self.front.next_look() {
            self.open_window().await?;
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<(), Error> {
        // The time first: the list of streams is then good for at least that time.
        self.cluster.server.ask().await?;
        let now = self.cluster.server.now().shown;
        self.cluster.streams.refresh(now).await?;
        self.cluster.watch.look(now).await?;
        self.turn_back(now);
        self.looked = Some(Instant::now());
        Ok(())
    }

    /// A clock that was set back may have been so since the last look; how long ago that was, only this run knows.
    fn turn_back(&mut self, now: Micros) {
        let unseen = self.looked.map_or(Micros::MAX, |looked| micros(looked.elapsed()));
        let oldest = front::oldest(now, &self.cluster);
        if self.progress.turn_back(self.front.horizon(now), unseen, oldest) {
            (self.reading, self.visit) = (None, None);
            tracing::warn!(
                "the server's clock went back by more than `safety`: the log is read again from there, with repeats"
            );
        }
    }

    async fn open_window(&mut self) -> Result<(), Error> {
        let now = self.cluster.server.now();
        let window = self.front.next_window(now.shown, &mut self.progress, &self.cluster)?;
        self.figures.lag.count_from((self.front.horizon(now.shown) - self.progress.cut()) as f64 / 1e6);
        if let Some(window) = window {
            let parts = self.cluster.streams.parts(window.from, window.to).await?;
            self.front.opened(window, &mut self.progress, now);
            self.reading = Some(Queue::new(fetch::Fetch::new(self.log.rows.clone(), parts)));
        }
        Ok(())
    }

    async fn open_visit(&mut self) -> Result<(), Error> {
        let began = self.cluster.server.now();
        let runs = self.progress.due(began);
        if runs.is_empty() {
            return Ok(());
        }
        let mut parts = Vec::new();
        for run in &runs {
            parts.extend(self.cluster.streams.parts(time::begin(run.start), time::begin(run.end)).await?);
        }
        let names = fetch::Fetch::new(self.log.names.clone(), parts);
        self.visit = Some(Visit { runs, began, stage: Stage::Names(names, Found::default()) });
        Ok(())
    }

    fn wake(&self) -> Instant {
        let late = match &self.visit {
            Some(Visit { stage: Stage::Rows(queue, _), .. }) => queue.since(),
            _ => None,
        };
        let lingering =
            self.reading.as_ref().and_then(Queue::since).into_iter().chain(late).map(|since| since + LINGER);
        let look = self.reading.is_none().then(|| self.front.next_look());
        let heartbeat = (self.trouble == Trouble::None).then_some(self.batched + HEARTBEAT);
        let last = Instant::now() + HEARTBEAT;
        lingering.chain(look).chain(heartbeat).fold(last, Instant::min)
    }
}

/// What failed and was not done since: while there is any, a batch without rows would say that all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    /// The cluster beside the log.
    Asking,
    /// The log.
    Reading,
}

async fn receive(queue: &mut Option<Queue>) -> Result<(), Error> {
    match queue {
        Some(queue) if !queue.is_done() => queue.receive().await,
        _ => std::future::pending().await,
    }
}

/// Moves a visit by one page; from names to rows, and to its end.
async fn advance(visit: &mut Option<Visit>, progress: &mut Progress, log: &Log) -> Result<(), Error> {
    let Some(Visit { runs, began, stage }) = visit else { return std::future::pending().await };
    match stage {
        Stage::Names(names, found) => match names.next().await? {
            Some((part, page)) => page.rows.iter().for_each(|key| found.meet(part, key, progress)),
            None => {
                let (parts, again) = found.parts(&names.parts(), progress);
                if parts.is_empty() {
                    progress.visited(runs, *began);
                    *visit = None;
                } else {
                    *stage = Stage::Rows(Queue::new(fetch::Fetch::new(log.rows.clone(), parts)), again);
                }
            }
        },
        Stage::Rows(queue, _) if !queue.is_done() => queue.receive().await?,
        Stage::Rows(..) => return std::future::pending().await,
    }
    Ok(())
}
