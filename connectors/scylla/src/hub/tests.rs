//! Seats that fall behind, die and come back at any moment, against a model of a log whose rows become readable late:
//! each row comes once to each seat. The books, windows and rings are the real ones, only the database is not.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use weir_sdk::Checkpoint;

use super::ring::{At, Ring};
use super::windows::{Kept, Next, Windows};
use crate::reader::clock::Now;
use crate::reader::progress::{self, Limits, Progress};
use crate::reader::row::{Place, RowId, StreamId};
use crate::reader::tally::Tally;
use crate::reader::time::{Bucket, Micros, SECOND, first_at};
use crate::reader::token::{Main, Position};
use crate::reader::unsettled::Compared;
use crate::reader::visits::{self, within};
use crate::reader::window::{Stride, Window};

const STREAMS: u8 = 3;
const SAFETY: Micros = 20 * SECOND;
const CONFIDENCE: Micros = SECOND / 5;
/// Rows are written until then.
const END: Micros = 40 * SECOND;

/// The rows of one stream in one stretch of time, as they were when they were asked for.
type Page = Rc<[RowId]>;

#[derive(Clone)]
struct Read {
    ring: Rc<RefCell<Ring<Page>>>,
    number: u64,
    began: Now,
}

impl Kept for Read {
    fn began(&self) -> Now {
        self.began
    }

    fn is_whole(&self) -> bool {
        self.ring.borrow().is_whole(self.number)
    }
}

struct World {
    /// With the time from which each can be read.
    rows: Vec<(RowId, Micros)>,
    now: Micros,
    ring: Rc<RefCell<Ring<Page>>>,
    windows: Windows<Read>,
    /// The newest ones, with what their reads hold.
    visits: Vec<Visited>,
}

/// A visit as seats share it: a read of sums, and reads of the names of those seconds of which sums differ.
#[derive(Clone)]
struct Visited {
    sums: Read,
    runs: Rc<[Range<Bucket>]>,
    names: Rc<RefCell<Vec<Named>>>,
}

type Named = (Rc<[Range<Bucket>]>, Read);

impl World {
    fn read(&self) -> Read {
        let number = self.ring.borrow_mut().begin(1);
        Read { ring: self.ring.clone(), number, began: Now::at(self.now) }
    }

    /// What is behind the first `at` pages of a read of what is `wanted`.
    fn page(&self, read: &Read, at: usize, wanted: impl Fn(&RowId) -> bool) -> Option<Page> {
        let kept = read.ring.borrow().at(read.number, at);
        let asked = || {
            let stream = StreamId([u8::try_from(at).unwrap(); 16]);
            let there = self.rows.iter().filter(|(row, since)| row.stream == stream && *since <= self.now);
            there.map(|(row, _)| *row).filter(|row| wanted(row)).collect::<Page>()
        };
        match kept {
            At::Page(page) => Some(page),
            _ if at == usize::from(STREAMS) => None,
            At::Open => {
                let page = asked();
                read.ring.borrow_mut().keep(read.number, page.clone(), 1);
                Some(page)
            }
            At::Gone => Some(asked()),
            At::End => None,
        }
    }
}

impl Visited {
    /// The read of the names of these seconds that seats share, as long as all of it can be had.
    fn named(&self, seconds: Vec<Range<Bucket>>, world: &World) -> Named {
        let mut names = self.names.borrow_mut();
        names.retain(|(_, read)| read.is_whole());
        if let Some(named) = names.iter().find(|(by, _)| **by == *seconds) {
            return named.clone();
        }
        names.push((seconds.into(), world.read()));
        names[names.len() - 1].clone()
    }
}

struct Seat {
    progress: Progress,
    checkpoint: Checkpoint,
    came: BTreeMap<u64, usize>,
    reading: Option<(Read, Window, usize)>,
    visit: Option<Visit>,
}

struct Visit {
    visited: Visited,
    runs: Vec<Range<Bucket>>,
    at: usize,
    there: Tally,
    /// Once the sums have been compared.
    named: Option<Named>,
    missing: Vec<RowId>,
}

fn resumed(checkpoint: &Checkpoint) -> Progress {
    let position = Position::read(checkpoint).unwrap().unwrap();
    Progress::new(
        position,
        Limits { safety: Duration::from_micros(SAFETY.unsigned_abs()), memory: usize::MAX },
    )
}

impl Seat {
    fn new() -> Self {
        let checkpoint = [Main::default().put()].into_iter().collect();
        let progress = resumed(&checkpoint);
        Self { progress, checkpoint, came: BTreeMap::new(), reading: None, visit: None }
    }

    fn dies(&mut self) {
        self.progress = resumed(&self.checkpoint);
        (self.reading, self.visit) = (None, None);
    }

    fn saves(&mut self) {
        self.checkpoint.merge(self.progress.checkpoint());
        self.checkpoint = std::mem::take(&mut self.checkpoint).without_retired();
    }

    fn opens_window(&mut self, world: &mut World) {
        let limit = world.now - CONFIDENCE;
        let wanted = Stride::default().next(self.progress.cut(), limit);
        let (window, read) = match world.windows.next(&self.progress, limit, wanted) {
            None => return,
            Some(Next::Join(known)) => (known.window, known.read.clone()),
            Some(Next::Open(window)) => {
                let read = world.read();
                world.windows.open(window, read.clone(), false);
                (window, read)
            }
        };
        if self.progress.window().is_none() {
            self.progress.open(window, read.began);
        }
        self.reading = Some((read, window, 0));
    }

    fn reads(&mut self, world: &World) {
        let Some((read, window, at)) = &mut self.reading else { return };
        match world.page(read, *at, |row| (window.from..window.to).contains(&row.micros())) {
            Some(page) => {
                for row in page.iter().filter(|row| !self.progress.emitted_before(row)).collect::<Vec<_>>() {
                    self.progress.emit(*at as u64, row, progress::Kept::Yes);
                    *self.came.entry(row.hash()).or_default() += 1;
                }
                *at += 1;
            }
            None => {
                self.progress.close();
                self.reading = None;
            }
        }
        self.saves();
    }

    fn opens_visit(&mut self, world: &mut World) {
        let served =
            world.visits.iter().rev().filter(|visited| visited.sums.is_whole()).find_map(|visited| {
                let runs = self.progress.served(&visited.runs, visited.sums.began, Now::at(world.now));
                (!runs.is_empty()).then(|| (visited.clone(), runs))
            });
        let (visited, runs) = served.unwrap_or_else(|| {
            let runs = self.progress.due(Now::at(world.now));
            let visited = Visited { sums: world.read(), runs: runs.clone().into(), names: Rc::default() };
            if !runs.is_empty() {
                world.visits.push(visited.clone());
                world.visits.drain(..world.visits.len().saturating_sub(8));
            }
            (visited, runs)
        });
        let (there, named, missing) = (Tally::default(), None, Vec::new());
        self.visit = (!runs.is_empty()).then_some(Visit { visited, runs, at: 0, there, named, missing });
    }

    fn visits(&mut self, world: &World) {
        let Some(Visit { visited, runs, at, there, named, missing }) = &mut self.visit else { return };
        let Some((by, names)) = named else {
            if let Some(page) = world.page(&visited.sums, *at, |row| within(&visited.runs, row.bucket())) {
                let ours = page.iter().filter(|row| within(runs, row.bucket()));
                ours.for_each(|row| there.add(row.bucket(), row.hash()));
                *at += 1;
            } else {
                let differ = there.iter().filter(|(second, sum)| {
                    // Nothing is folded here.
                    self.progress.compare(*second, *sum) == Compared::ByName
                });
                *named = Some(visited.named(visits::runs(differ.map(|(second, _)| second)), world));
                *at = 0;
            }
            return;
        };
        if let Some(page) = world.page(names, *at, |row| within(by, row.bucket())) {
            missing.extend(page.iter().filter(|row| !self.progress.knows(row)));
            *at += 1;
            return;
        }
        for row in std::mem::take(missing) {
            if !self.progress.knows(&row) {
                self.progress.emit_late(&row);
                *self.came.entry(row.hash()).or_default() += 1;
            }
        }
        self.progress.visited(runs, visited.sums.began);
        self.visit = None;
        self.saves();
    }

    fn acts(&mut self, what: u8, world: &mut World) {
        match what {
            0 => self.dies(),
            1..=5 if self.reading.is_none() => self.opens_window(world),
            1..=9 => self.reads(world),
            10..=13 if self.visit.is_none() => self.opens_visit(world),
            _ => self.visits(world),
        }
    }

    fn is_done(&self) -> bool {
        let main = self.progress.main();
        main.cut > END && main.waiting.first().is_none_or(|run| run.start * SECOND > END)
    }
}

fn rows() -> impl Strategy<Value = Vec<(RowId, Micros)>> {
    let late = prop_oneof![3 => Just(0), 1 => 0..SECOND, 1 => 0..SAFETY];
    let row = (0..STREAMS, 0..END, late).prop_map(|(stream, at, late)| {
        (RowId { stream: StreamId([stream; 16]), place: Place { time: first_at(at), seq: 0 } }, at + late)
    });
    prop::collection::vec(row, 0..60).prop_map(|mut rows| {
        rows.sort_by_key(|(row, _)| (row.stream, row.place));
        rows.dedup_by_key(|(row, _)| (row.stream, row.place));
        rows
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn each_row_comes_once_to_each_seat(
        rows in rows(),
        kept in prop_oneof![0usize..40, Just(usize::MAX)],
        asleep in (0usize..400, 0usize..500),
        steps in prop::collection::vec((0usize..3, 0u8..18, 0..SECOND / 4), 0..800),
    ) {
        let ring = Rc::new(RefCell::new(Ring::new(kept)));
        let mut world = World { rows, now: SECOND, ring, windows: Windows::default(), visits: Vec::new() };
        let mut seats = [Seat::new(), Seat::new(), Seat::new()];
        for (step, (seat, what, time)) in steps.into_iter().enumerate() {
            // The last one may sleep for so long that what it wakes up to is settled for the others.
            if seat < 2 || !(asleep.0..asleep.0 + asleep.1).contains(&step) {
                seats[seat].acts(what, &mut world);
            }
            world.now += time;
        }
        // And then all of them get on.
        while !seats.iter().all(Seat::is_done) {
            prop_assert!(world.now < 4 * END, "they do not get on");
            for what in 1..18 {
                seats.iter_mut().for_each(|seat| seat.acts(what, &mut world));
            }
            world.now += SECOND / 2;
        }
        for seat in seats {
            let once: BTreeMap<u64, usize> = world.rows.iter().map(|(row, _)| (row.hash(), 1)).collect();
            prop_assert_eq!(&seat.came, &once);
        }
    }
}
