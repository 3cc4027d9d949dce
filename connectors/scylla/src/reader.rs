//! The reader of a CDC log: every row once, soon, and none lost that comes late.
//!
//! ScyllaDB has no way to be told of new rows, and a row may become readable after rows that were written later. The
//! reader therefore goes over the log twice. Its *front* reads all streams in common windows up to shortly before now,
//! which is quick. *Visits* come back to what the front read, at growing ages, compare sums, and fetch what is new.
//! So latency does not pay for the slowest write, and a late row is not lost.
//!
//! * [`time`], [`row`]: what a place in the log is
//! * [`streams`], [`directory`]: which streams there are; [`statement`], [`fetch`], [`queue`]: from a query to rows that wait
//! * [`mod@slice`]: a window by time, where the order of streams is not enough; [`change`]: the rows that belong together
//! * [`window`], [`pace`], [`clock`], [`server`]: how far and how often the front reads
//! * [`visits`], [`visit`], [`unsettled`]: when to come back, and how a late row is told from a known one
//! * [`progress`], [`token`]: what was emitted, and the checkpoint that says so
//! * [`passed`], [`tally`]: the same minute by minute, for housekeeping
//! * [`table`], [`watch`]: what must be true of a table for its log to be read
//! * [`config`], [`begin`], [`open`]: from what a source is told to its reader; [`words`]: where it is, for people
//!
//! What it asks the database for goes through the [`hub`](crate::hub), where readers of the same log find each other.

pub mod begin;
pub mod change;
pub mod clock;
pub mod config;
pub mod directory;
mod emit;
pub mod fetch;
pub mod figures;
mod front;
pub mod open;
pub mod pace;
pub mod passed;
pub mod progress;
pub mod queue;
pub mod row;
pub mod server;
pub mod slice;
pub mod statement;
pub mod streams;
pub mod table;
pub mod tally;
pub mod time;
pub mod token;
pub mod unsettled;
pub mod visit;
pub mod visits;
pub mod watch;
pub mod window;
pub mod words;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use weir_sdk::{Batch, Context, Error, ErrorKind, Room};

use change::{Changes, Join};
use figures::Figures;
use front::{Front, Open};
use progress::Progress;
use queue::Queue;
use slice::Slice;
use statement::{Key, Row, Statement};
use tally::{Minute, Tally};
use time::{Bucket, Micros, micros};
use unsettled::Sum;
use visit::{Stage, Visit};
use weir_sdk::{Conditions, Degraded};

use crate::hub::reads::Cursor;
use crate::hub::shared::{Cluster, Seat, Shared};
use crate::hub::windows::Kept;

/// A batch comes at least so often, with or without records: a second, less the time to make one.
const HEARTBEAT: Duration = Duration::from_millis(900);
/// Rows wait at most so long for others to fill their batch.
const LINGER: Duration = Duration::from_millis(20);
/// How often the server is asked for its time and for new streams.
pub(crate) const LOOK: Duration = Duration::from_secs(1);

/// The header of a record that came out of order, because its row became readable late.
pub const LATE: &str = "weir.late";

/// Where the record was read: `stream:time:number`, the same however often it is read.
pub const SOURCE_POSITION: &str = "source_position";
/// The write time of the row in microseconds since 1970.
pub const SOURCE_TIME: &str = "source_time_us";

/// Reads one log.
pub struct Reader {
    seat: Seat,
    progress: Progress,
    front: Front,
    order: RowOrder,
    reading: Option<Queue>,
    visit: Option<Visit>,
    /// What failed last, and has not succeeded since.
    trouble: Trouble,
    /// By our own clock; `None` before the first look of this run.
    looked: Option<Instant>,
    /// The number of that look.
    looks: u64,
    /// When, by our own clock.
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
    /// The sums of names.
    pub sums: Arc<Statement<(Bucket, Sum)>>,
}

/// How a log is read.
#[derive(Clone)]
pub struct Settings {
    /// The front stays so far behind now.
    pub confidence: Duration,
    /// The front looks this often while there is traffic.
    pub poll_interval: Duration,
    /// The order of rows of different streams.
    pub order: RowOrder,
}

/// In which order the rows of a window come.
#[derive(Clone)]
pub enum RowOrder {
    /// Those of each stream in its order.
    OfStreams,
    /// Those of each stream in its order, and those of one change together, joined in this way.
    OfChanges(Join),
    /// All by their time, in windows whose rows take at most so many bytes.
    OfTimes {
        /// The bytes.
        memory: usize,
    },
}

impl RowOrder {
    /// The rows of a window.
    fn window(&self, cursor: Cursor<Row>) -> Queue {
        match self {
            Self::OfTimes { memory } => Queue::sorting(cursor, Slice::new(*memory)),
            Self::OfStreams | Self::OfChanges(_) => self.late(cursor),
        }
    }

    /// Rows that come late, which have no order among each other.
    fn late(&self, cursor: Cursor<Row>) -> Queue {
        match self {
            Self::OfChanges(join) => Queue::joining(cursor, Changes::new(join.clone())),
            Self::OfStreams | Self::OfTimes { .. } => Queue::new(cursor),
        }
    }
}

impl Reader {
    /// Goes on where `progress` is, and says in `context` how it goes.
    pub fn new(seat: Seat, progress: Progress, settings: Settings, context: &Context) -> Self {
        let batched = seat.ours();
        let front = Front::new(&settings);
        let figures = Figures::new(context.metrics(), progress.safety());
        let conditions = context.conditions().clone();
        Self {
            seat,
            progress,
            front,
            order: settings.order,
            reading: None,
            visit: None,
            trouble: Trouble::None,
            looked: None,
            looks: 0,
            batched,
            figures,
            conditions,
            degraded: None,
        }
    }

    /// What was emitted of a minute is written down where others read it: the checkpoint needs not hold it any more.
    pub fn told(&mut self, minute: Minute, tally: &Tally) {
        self.progress.told(minute, tally);
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

    /// Of a statement that is refused, and of an answer that does not look as it did, the table itself tells more: what
    /// became of it, and what to do.
    async fn told_better(&mut self, error: Error) -> Error {
        if error.kind() != ErrorKind::Config {
            return error;
        }
        match self.seat.cluster().await.watch.look_closer().await {
            Err(better) if better.kind() == ErrorKind::Config => better,
            Err(_) => error,
            // It will do, but no longer for what is asked of it: who begins anew asks for the columns there are.
            Ok(()) => Error::new(ErrorKind::Bug, "the table was altered")
                .caused_by(error)
                .advice("nothing to do: the task is built anew and goes on where it was"),
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
            received = receive(&mut self.reading) => match received {
                Ok(()) => {
                    self.halve_window();
                    self.check_unread().await
                }
                Err(error) => Err(error),
            },
            received = advance(&mut self.visit, &mut self.progress, &self.order) => received,
            () = self.seat.news(), if self.reading.is_none() || self.visit.is_none() => return Ok(()),
            () = tokio::time::sleep_until(wake) => return Ok(()),
        };
        self.trouble = if received.is_ok() { Trouble::None } else { Trouble::Reading };
        received
    }

    /// A window whose rows are more than can be sorted is read anew, as far as its middle.
    fn halve_window(&mut self) {
        if self.reading.as_ref().is_some_and(Queue::is_over)
            && let Some(length) = self.progress.halve()
        {
            self.reading = None;
            self.front.halved(length);
        }
    }

    /// While rows are being received, what was not read of them may expire.
    async fn check_unread(&self) -> Result<(), Error> {
        if self.reading.as_ref().is_none_or(Queue::is_done) {
            return Ok(());
        }
        front::check_unread(self.seat.now().shown, &self.progress, &*self.seat.cluster().await)
    }

    /// Asks for whatever it is time for.
    async fn ask(&mut self) -> Result<(), Error> {
        let shared = self.seat.shared();
        let mut cluster = shared.look().await?;
        if cluster.looks != self.looks {
            self.turn_back(&cluster);
            self.figures.skew.set(cluster.server.skew());
            (self.looks, self.looked) = (cluster.looks, Some(self.seat.ours()));
        }
        if self.visit.is_none() {
            self.open_visit(&mut cluster, &shared).await?;
        }
        let offered = || shared.offers(self.progress.cut());
        if self.reading.is_none() && (Instant::now() >= self.front.next_look() || offered()) {
            self.open_window(&mut cluster, &shared).await?;
        }
        Ok(())
    }

    /// A clock that was set back may have been so since the last look; how long ago that was, only this run knows.
    fn turn_back(&mut self, cluster: &Cluster) {
        let now = cluster.server.now().shown;
        let unseen = self.looked.map_or(Micros::MAX, |looked| micros(self.seat.ours() - looked));
        let oldest = cluster.oldest(now);
        if self.progress.turn_back(self.front.horizon(now), unseen, oldest) {
            (self.reading, self.visit) = (None, None);
            tracing::warn!(
                "the server's clock went back by more than `safety`: the log is read again from there, with repeats"
            );
        }
    }

    async fn open_window(&mut self, cluster: &mut Cluster, shared: &Shared) -> Result<(), Error> {
        let now = cluster.server.now();
        let next = self.front.next_window(now.shown, &mut self.progress, cluster, shared)?;
        self.figures.lag.count_from((self.front.horizon(now.shown) - self.progress.cut()) as f64 / 1e6);
        let (window, read) = match next {
            None => return Ok(()),
            Some(Open::Shared(window, read)) => (window, read),
            Some(Open::New(window)) => {
                let parts = cluster.streams.parts(window.from, window.to).await?;
                (window, shared.open(window, parts, now, self.front.behind()))
            }
        };
        if self.progress.window().is_none() {
            self.progress.open(window, read.began());
        }
        self.reading = Some(self.order.window(read.follow()));
        Ok(())
    }

    async fn open_visit(&mut self, cluster: &mut Cluster, shared: &Shared) -> Result<(), Error> {
        let now = cluster.server.now();
        let served = shared.visit(|visit| {
            let runs = self.progress.served(&visit.runs, visit.began(), now);
            (!runs.is_empty()).then_some(runs)
        });
        if let Some((visit, runs)) = served {
            self.visit = Some(Visit::of(visit, runs));
            return Ok(());
        }
        let runs = self.progress.due(now);
        if runs.is_empty() {
            return Ok(());
        }
        let mut parts = Vec::new();
        for run in &runs {
            parts.extend(cluster.streams.parts(time::begin(run.start), time::begin(run.end)).await?);
        }
        let visit = shared.begin_visit(runs.clone(), parts, now);
        self.visit = Some(Visit::of(visit, runs));
        Ok(())
    }

    fn wake(&self) -> Instant {
        let late = match &self.visit {
            Some(Visit { stage: Stage::Rows(queue), .. }) => queue.since(),
            _ => None,
        };
        let lingering =
            self.reading.as_ref().and_then(Queue::since).into_iter().chain(late).map(|since| since + LINGER);
        let look = self.reading.is_none().then(|| self.front.next_look());
        let now = Instant::now();
        let left = (self.batched + HEARTBEAT).saturating_duration_since(self.seat.ours());
        let heartbeat = (self.trouble == Trouble::None).then_some(now + left);
        let last = now + HEARTBEAT;
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

async fn advance(visit: &mut Option<Visit>, progress: &mut Progress, order: &RowOrder) -> Result<(), Error> {
    match visit {
        Some(visit) => visit.advance(progress, order).await,
        None => std::future::pending().await,
    }
}
