//! The snapshot: the rows that a table holds, read once before its log.
//!
//! The log forgets; the table may hold all there ever was. So a pipeline may begin with the table. Its rows are read by
//! ranges of tokens, a few at the same time, and each range remembers how far it is, so that a snapshot goes on where
//! it was stopped. The log is read afterwards, from before the snapshot began by as much as a row may come late: what
//! was written meanwhile comes from there, and what the table showed of it is passed over where that is certain.
//!
//! * [`ranges`]: how far each range is, and the checkpoint that says so
//! * [`scan`]: the statement that reads them

pub mod ranges;
pub mod scan;

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use weir_sdk::metrics::{Counter, Gauge, names};
use weir_sdk::{Batch, Context, Error, ErrorKind, Room};

use crate::reader::fetch::Fetch;
use crate::reader::queue::Filling;
use crate::reader::statement::Page;
use ranges::{Left, Ranges};
use scan::{Content, Found, Scan};

/// The header of a record that was read from the table and not from its log.
pub const SNAPSHOT: &str = "weir.snapshot";

/// A batch comes at least so often, with or without records: a second, less the time to make one.
const HEARTBEAT: Duration = Duration::from_millis(900);
/// Rows wait at most so long for others to fill their batch.
const LINGER: Duration = Duration::from_millis(20);
/// Between two words on how far it is.
const REPORT: Duration = Duration::from_secs(10);

/// A snapshot under way.
pub struct Snapshot {
    ranges: Ranges,
    /// Beginning where the ranges were; after an error the next one is asked for again.
    pages: Fetch<Scan>,
    /// The ranges that they are of.
    reading: Vec<Left>,
    /// What the query failed with, until what came before it is in a batch.
    failed: Option<Error>,
    arrived: VecDeque<Arrived>,
    /// What the rows that have arrived take of a batch.
    bytes: usize,
    since: Option<Instant>,
    /// From then on rows that were written since it began may be missing in the log.
    deadline: Option<Instant>,
    report: Report,
}

struct Arrived {
    range: u32,
    rows: std::vec::IntoIter<Found>,
    last: bool,
}

impl Snapshot {
    /// Goes on where `ranges` are. `left` is how long the log holds what was written since it began; `None` is for ever.
    pub fn new(scan: Scan, ranges: Ranges, left: Option<Duration>, context: &Context) -> Self {
        let now = Instant::now();
        let report = Report {
            rows: context.metrics().counter(names::SNAPSHOT_ROWS),
            incomplete: context.metrics().counter(names::SNAPSHOT_INCOMPLETE),
            done: context.metrics().gauge(names::SNAPSHOT_DONE),
            begun: now,
            said: now,
            at_first: ranges.done(),
            read: 0,
        };
        tracing::info!(done = %percent(ranges.done()), "the table is read before its log");
        let deadline = left.and_then(|left| now.checked_add(left));
        let reading = ranges.left();
        let pages = Fetch::new(scan.into(), reading.clone());
        Self {
            ranges,
            pages,
            reading,
            failed: None,
            arrived: VecDeque::new(),
            bytes: 0,
            since: None,
            deadline,
            report,
        }
    }

    /// The next batch that fits the room; `None` when every row is in an earlier one.
    ///
    /// # Errors
    /// Those of the query; the next call goes on where the last batch ended. `Gap` when it takes longer than the log
    /// holds what was written since it began.
    pub async fn batch(&mut self, room: Room) -> Result<Option<Batch>, Error> {
        if self.ranges.is_done() {
            return Ok(None);
        }
        self.check_deadline()?;
        let heartbeat = Instant::now() + HEARTBEAT;
        while self.failed.is_none() && !self.fills(room) {
            let wake = self.since.map_or(heartbeat, |since| heartbeat.min(since + LINGER));
            tokio::select! {
                biased;
                page = self.pages.next() => match page {
                    Ok(Some((range, page))) => self.receive(range, page),
                    Err(error) => self.failed = Some(error),
                    Ok(None) => break,
                },
                () = sleep_until(wake) => break,
            }
        }
        // What has arrived comes first, or a range that fails again and again would hold up the others for ever.
        if self.arrived.is_empty()
            && let Some(error) = self.failed.take()
        {
            return Err(error);
        }
        Ok(Some(self.fill(room)))
    }

    fn fills(&self, room: Room) -> bool {
        self.rows() >= room.records || self.bytes >= room.bytes
    }

    fn rows(&self) -> usize {
        self.arrived.iter().map(|page| page.rows.len()).sum()
    }

    fn receive(&mut self, range: usize, page: Page<Found>) {
        if !page.rows.is_empty() {
            self.since.get_or_insert_with(Instant::now);
        }
        self.bytes += page.rows.iter().map(|row| row.size).sum::<usize>();
        let range = self.reading[range].number;
        self.arrived.push_back(Arrived { range, rows: page.rows.into_iter(), last: page.next.is_none() });
    }

    fn fill(&mut self, room: Room) -> Batch {
        let mut filling = Filling::new(room, self.rows());
        while let Some(page) = self.arrived.front_mut() {
            let Some(found) = page.rows.as_slice().first() else {
                if page.last {
                    self.ranges.end(page.range);
                }
                self.arrived.pop_front();
                continue;
            };
            if !filling.fits(found.size) {
                break;
            }
            if let Some(found) = page.rows.next() {
                self.bytes -= found.size;
                self.ranges.pass(page.range, found.token);
                self.report.read += 1;
                match found.content {
                    Content::Event(record) => filling.push(record, found.size),
                    Content::Incomplete => self.report.incomplete.add(1),
                    Content::Later => {}
                }
            }
        }
        if self.arrived.is_empty() {
            self.since = None;
        }
        self.report.rows.add(filling.records.len() as u64);
        self.report.tell(&self.ranges);
        Batch { records: filling.records.into(), checkpoint: self.ranges.checkpoint() }
    }

    fn check_deadline(&self) -> Result<(), Error> {
        if self.deadline.is_none_or(|deadline| Instant::now() < deadline) {
            return Ok(());
        }
        let message = "the snapshot takes longer than the log holds what was written since it began";
        Err(Error::new(ErrorKind::Gap, message).advice(
            "raise the log's ttl above the time that a snapshot takes, and start weir with --accept-gap: the snapshot is \
             then taken anew, and nothing is lost",
        ))
    }
}

/// How it goes, for people.
struct Report {
    rows: Counter,
    incomplete: Counter,
    done: Gauge,
    begun: Instant,
    said: Instant,
    at_first: f64,
    read: u64,
}

impl Report {
    fn tell(&mut self, ranges: &Ranges) {
        let done = ranges.done();
        self.done.set(done);
        if ranges.is_done() {
            tracing::info!(rows = self.read, took = ?self.begun.elapsed(), "the table is read; its log follows");
        } else if self.said.elapsed() >= REPORT {
            self.said = Instant::now();
            let (took, gained) = (self.begun.elapsed().as_secs_f64(), done - self.at_first);
            let left = (gained > 0.0).then(|| Duration::from_secs((took * (1.0 - done) / gained) as u64));
            tracing::info!(done = %percent(done), rows = self.read, ?left, "the table is being read");
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
