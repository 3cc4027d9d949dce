//! Reads of the log that several seats follow, each at its own pace.
//!
//! Nobody drives a read but those who want its pages: whoever comes first to the end of what has arrived waits for the
//! next page, on behalf of all, and the others find it kept. So there is no task to supervise, a read goes on when one
//! of its seats goes away, and it stops with the last. Who is so far behind that a page is not kept any more goes on
//! alone, from the very place where it is: a page knows where the next one of its part begins.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use scylla::response::PagingState;
use tokio::time::Instant;
use weir_sdk::Error;

use super::failure::Failure;
use super::ring::{At, Ring};
use super::windows::Kept;
use crate::reader::clock::Now;
use crate::reader::fetch::Fetch;
use crate::reader::statement::{Page, Part, Statement};

/// What a part takes of memory beside its pages, about.
const PART: usize = 200;
/// What a page takes beside its rows, about.
const PAGE: usize = 200;

/// The reads of one statement.
pub struct Reads<R> {
    statement: Arc<Statement<R>>,
    ring: Mutex<Ring<Given<R>>>,
    /// What the rows of a page take of memory, about.
    weigh: fn(&Given<R>) -> usize,
    seats: Arc<AtomicUsize>,
}

/// One read, followed by any number of seats.
pub struct Read<R: Send + 'static> {
    reads: Arc<Reads<R>>,
    number: u64,
    parts: Arc<[Part]>,
    began: Now,
    source: tokio::sync::Mutex<Lead<R>>,
}

struct Lead<R: Send + 'static> {
    fetch: Fetch<Statement<R>>,
    failure: Failure,
}

/// A page as seats get it.
#[derive(Debug)]
pub struct Given<R> {
    /// The index of its part.
    pub part: usize,
    /// Its rows, shared with whoever else reads them.
    pub rows: Arc<Vec<R>>,
    /// Bytes of the answer.
    pub bytes: usize,
    next: Option<PagingState>,
}

impl<R> Clone for Given<R> {
    fn clone(&self) -> Self {
        Self { part: self.part, rows: self.rows.clone(), bytes: self.bytes, next: self.next.clone() }
    }
}

impl<R> From<(usize, Page<R>)> for Given<R> {
    fn from((part, page): (usize, Page<R>)) -> Self {
        Self { part, rows: page.rows.into(), bytes: page.bytes, next: page.next }
    }
}

impl<R: Send + Sync + 'static> Reads<R> {
    /// Keeps pages of at most `budget` bytes, as `weigh` tells of each, while there is more than one seat.
    pub fn new(
        statement: Arc<Statement<R>>,
        budget: usize,
        weigh: fn(&Given<R>) -> usize,
        seats: Arc<AtomicUsize>,
    ) -> Arc<Self> {
        Arc::new(Self { statement, ring: Mutex::new(Ring::new(budget)), weigh, seats })
    }

    /// A new read of these parts; what it finds is what was there at `began` or later.
    pub fn read(self: &Arc<Self>, parts: Vec<Part>, began: Now) -> Arc<Read<R>> {
        let number = self.ring().begin(PAGE + parts.len() * PART);
        let fetch = Fetch::new(self.statement.clone(), parts.clone());
        let source = tokio::sync::Mutex::new(Lead { fetch, failure: Failure::default() });
        Arc::new(Read { reads: self.clone(), number, parts: parts.into(), began, source })
    }

    /// Forgets what is kept.
    pub fn clear(&self) {
        self.ring().clear();
    }

    fn arrived(&self, read: u64, page: &Given<R>) {
        if self.seats.load(Ordering::Relaxed) > 1 {
            self.ring().keep(read, page.clone(), PAGE + (self.weigh)(page));
        } else {
            self.ring().pass(read);
        }
    }
}

impl<R> Reads<R> {
    fn ring(&self) -> MutexGuard<'_, Ring<Given<R>>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Send + Sync + 'static> Read<R> {
    /// Follows it from its begin.
    pub fn follow(self: &Arc<Self>) -> Cursor<R> {
        let next = vec![Some(PagingState::start()); self.parts.len()];
        Cursor { read: self.clone(), at: 0, next, alone: None }
    }

    /// Its parts.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn at(&self, at: usize) -> At<Given<R>> {
        self.reads.ring().at(self.number, at)
    }

    /// Waits for the page behind the first `at`, which nobody has seen yet; `None` when there is something to find.
    /// Safe to drop.
    async fn lead(&self, at: usize, asked: Instant) -> Result<Option<Given<R>>, Error> {
        let mut lead = self.source.lock().await;
        lead.failure.since(asked)?;
        if !matches!(self.at(at), At::Open) {
            return Ok(None);
        }
        match lead.fetch.next().await {
            Ok(Some(page)) => {
                lead.failure.clear();
                let page = Given::from(page);
                self.reads.arrived(self.number, &page);
                Ok(Some(page))
            }
            Ok(None) => {
                self.reads.ring().end(self.number);
                Ok(None)
            }
            Err(error) => {
                lead.failure.set(&error);
                Err(error)
            }
        }
    }
}

/// The last who could come for it is gone, so what is kept of it is of no use.
impl<R: Send + 'static> Drop for Read<R> {
    fn drop(&mut self) {
        self.reads.ring().forget(self.number);
    }
}

impl<R: Send + Sync + 'static> Kept for Arc<Read<R>> {
    fn began(&self) -> Now {
        self.began
    }

    fn is_whole(&self) -> bool {
        self.reads.ring().is_whole(self.number)
    }
}

/// One seat's place in a read.
pub struct Cursor<R: Send + 'static> {
    read: Arc<Read<R>>,
    at: usize,
    /// Where each part goes on; `None` where it is read to its end.
    next: Vec<Option<PagingState>>,
    /// Goes on where what was kept ends for us.
    alone: Option<Fetch<Statement<R>>>,
}

impl<R: Send + Sync + 'static> Cursor<R> {
    /// The parts, by index.
    pub fn parts(&self) -> &[Part] {
        self.read.parts()
    }

    /// The next page; `None` when every part is read. Safe to drop; after an error the next call goes on behind the
    /// last page.
    pub async fn next(&mut self) -> Result<Option<Given<R>>, Error> {
        let page = self.wait().await?;
        if let Some(page) = &page {
            self.at += 1;
            self.next[page.part].clone_from(&page.next);
        }
        Ok(page)
    }

    async fn wait(&mut self) -> Result<Option<Given<R>>, Error> {
        let asked = Instant::now();
        while self.alone.is_none() {
            match self.read.at(self.at) {
                At::Page(page) => return Ok(Some(page)),
                At::End => return Ok(None),
                At::Gone => self.alone = Some(self.rest()),
                At::Open => {
                    if let Some(page) = self.read.lead(self.at, asked).await? {
                        return Ok(Some(page));
                    }
                }
            }
        }
        match &mut self.alone {
            Some(alone) => Ok(alone.next().await?.map(Given::from)),
            None => Ok(None),
        }
    }

    fn rest(&self) -> Fetch<Statement<R>> {
        let parts = self.read.parts.iter().cloned().zip(self.next.iter().cloned()).collect();
        Fetch::from_within(self.read.reads.statement.clone(), parts)
    }
}
