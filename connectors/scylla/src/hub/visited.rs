//! A visit as seats share it: what it asks for first is the same for all, and what follows is one read for all who ask
//! for the same.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::reads::{Read, Reads};
use super::windows::Kept;
use crate::reader::clock::Now;
use crate::reader::statement::{Key, Part, Row};
use crate::reader::time::Bucket;
use crate::reader::unsettled::Sum;

/// A visit that any seat may take part in.
pub struct Visited {
    /// The seconds it visits.
    pub runs: Vec<Range<Bucket>>,
    /// What is there of each, part by part and page by page.
    pub sums: Arc<Read<(Bucket, Sum)>>,
    names: Asked<Key>,
    rows: Asked<Row>,
}

impl Visited {
    /// A visit of these seconds that begins with this read.
    pub fn new(
        runs: Vec<Range<Bucket>>,
        sums: Arc<Read<(Bucket, Sum)>>,
        names: Arc<Reads<Key>>,
        rows: Arc<Reads<Row>>,
    ) -> Self {
        Self { runs, sums, names: Asked::of(names), rows: Asked::of(rows) }
    }

    /// When it began, by the server's clock: what had become readable by then is found.
    pub fn began(&self) -> Now {
        self.sums.began()
    }

    /// A read of the names of these parts, of which the sums showed that something else is there than was emitted.
    pub fn names(&self, parts: Vec<Part>) -> Arc<Read<Key>> {
        self.names.read(parts, self.began())
    }

    /// A read of the rows of these parts, which the names showed to be worth one.
    pub fn rows(&self, parts: Vec<Part>) -> Arc<Read<Row>> {
        self.rows.read(parts, self.began())
    }
}

/// The reads that were asked for so far, as long as all of them can be had.
struct Asked<R: Send + 'static> {
    reads: Arc<Reads<R>>,
    asked: Mutex<Vec<Arc<Read<R>>>>,
}

impl<R: Send + Sync + 'static> Asked<R> {
    fn of(reads: Arc<Reads<R>>) -> Self {
        Self { reads, asked: Mutex::default() }
    }

    fn read(&self, parts: Vec<Part>, began: Now) -> Arc<Read<R>> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|read| read.is_whole());
        if let Some(read) = asked.iter().find(|read| same(read.parts(), &parts)) {
            return read.clone();
        }
        let read = self.reads.read(parts, began);
        asked.push(read.clone());
        read
    }
}

fn same(a: &[Part], b: &[Part]) -> bool {
    let equal = |(a, b): (&Part, &Part)| (&a.streams, a.from, a.to) == (&b.streams, b.from, b.to);
    a.len() == b.len() && a.iter().zip(b).all(equal)
}
