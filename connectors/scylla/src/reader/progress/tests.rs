//! A model of the log with late rows and crashes: nothing is lost, and nothing doubled that was saved.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use proptest::prelude::*;
use scylla::value::CqlTimeuuid;
use weir_sdk::Checkpoint;

use super::{Kept, Limits, Progress};
use crate::reader::clock::Now;
use crate::reader::row::{Place, RowId, StreamId};
use crate::reader::tally::{Minute, Tally, minute, minute_at};
use crate::reader::time::{Bucket, Micros, SECOND, bucket, first_at, micros_of};
use crate::reader::token::tallies::Tallies;
use crate::reader::token::{Main, Position};
use crate::reader::unsettled::{Compared, Sum};
use crate::reader::visits::{runs, within};
use crate::reader::window::Window;

const SAFETY: i64 = 20;

/// A row of the model's log: when it was written, and when it can be read.
#[derive(Clone, Copy, Debug)]
struct Written {
    id: RowId,
    visible: Micros,
}

fn limits(memory: usize) -> Limits {
    Limits { safety: Duration::from_secs(SAFETY as u64), memory }
}

fn begin(at: Micros) -> Progress {
    Progress::new(
        Position { main: Main { cut: at, ..Main::default() }, ..Position::default() },
        limits(1 << 20),
    )
}

struct Model {
    log: Vec<Written>,
    progress: Progress,
    saved: Checkpoint,
    now: Micros,
    memory: usize,
    emitted: BTreeMap<usize, usize>,
    /// Where others read what was emitted.
    told: BTreeMap<Minute, Tally>,
}

impl Model {
    fn new(log: Vec<Written>, memory: usize) -> Self {
        let main = Main { cut: 0, fresh: Some(0), ..Main::default() };
        let mut saved: Checkpoint = [main.put()].into_iter().collect();
        let mut position = Position { main, ..Position::default() };
        position.tally(&mut saved);
        let progress = Progress::new(position, limits(memory));
        Self { log, progress, saved, now: 0, memory, emitted: BTreeMap::new(), told: BTreeMap::new() }
    }

    /// Reads the open window or a new one up to `now`, at most `room` rows of it.
    fn front(&mut self, room: usize) {
        if self.progress.window().is_none() {
            if self.now <= self.progress.cut() {
                return;
            }
            self.progress.open(Window { from: self.progress.cut(), to: self.now }, Now::at(self.now));
        }
        let window = self.progress.window().expect("opened above");
        let mut left = room;
        for row in 0..self.log.len() {
            let written = self.log[row];
            let time = written.id.micros();
            if written.visible > self.now || time < window.from || time >= window.to {
                continue;
            }
            if self.progress.emitted_before(&written.id) || self.done_here(row) {
                continue;
            }
            if left == 0 {
                return self.save();
            }
            left -= 1;
            self.progress.emit(0, &written.id, Kept::Yes);
            *self.emitted.entry(row).or_default() += 1;
        }
        self.progress.close();
        self.save();
    }

    /// The paging state of a running reader: rows of this stream up to its last place were passed.
    fn done_here(&self, row: usize) -> bool {
        let id = self.log[row].id;
        let open = self.progress.open.as_ref();
        let places = open.and_then(|open| open.parts.get(&0)).map(|part| &part.places);
        places.and_then(|places| places.get(&id.stream)).is_some_and(|last| id.place <= *last)
    }

    fn readable(&self, seconds: &[Range<Bucket>]) -> Vec<usize> {
        let readable = (0..self.log.len()).filter(|row| self.log[*row].visible <= self.now);
        readable.filter(|row| within(seconds, self.log[*row].id.bucket())).collect()
    }

    /// Sums, names and rows are read at three times, `pause` apart.
    fn visit(&mut self, pause: Micros) {
        let began = Now::at(self.now);
        let due = self.progress.due(began);
        let mut there = Tally::default();
        for row in self.readable(&due) {
            there.add(self.log[row].id.bucket(), self.log[row].id.hash());
        }
        let differ = |compared| {
            let differ =
                there.iter().filter(|(second, sum)| self.progress.compare(*second, *sum) == compared);
            runs(differ.map(|(second, _)| second))
        };
        let (by_name, again) = (differ(Compared::ByName), differ(Compared::AsWhole));
        self.now += pause;
        let names = self.readable(&by_name);
        self.now += pause;
        for row in names {
            let id = self.log[row].id;
            if !self.progress.knows(&id) {
                self.progress.emit_late(&id);
                *self.emitted.entry(row).or_default() += 1;
            }
        }
        let mut sums: BTreeMap<Bucket, Sum> =
            again.iter().cloned().flatten().map(|second| (second, Sum::default())).collect();
        for row in self.readable(&again) {
            let id = self.log[row].id;
            sums.entry(id.bucket()).or_default().add(id.hash());
            *self.emitted.entry(row).or_default() += 1;
        }
        for (second, sum) in sums {
            self.progress.set_sum(second, sum);
        }
        self.progress.visited(&due, began);
        self.progress.fold();
        self.save();
    }

    fn save(&mut self) {
        self.saved.merge(self.progress.checkpoint());
    }

    /// Writes down what is whole and saved; the reader hears of it, unless it crashes first.
    fn tell(&mut self) {
        for (minute, word) in Tallies::whole(&self.saved).unwrap() {
            self.progress.told(minute, &word.tally);
            self.told.insert(minute, word.tally);
        }
    }

    /// What was emitted, as others would read it if all of it were told.
    fn tallies(&self) -> BTreeMap<Minute, Tally> {
        let mut tallies: BTreeMap<Minute, Tally> = BTreeMap::new();
        for row in self.emitted.keys() {
            let id = self.log[*row].id;
            tallies.entry(minute(id.bucket())).or_default().add(id.bucket(), id.hash());
        }
        tallies
    }

    fn crash(&mut self) {
        let saved = self.saved.clone().without_retired();
        let position = Position::read(&saved).unwrap().expect("the start was saved");
        self.progress = Progress::new(position, limits(self.memory));
    }
}

fn log() -> impl Strategy<Value = Vec<Written>> {
    log_late_by(SAFETY * SECOND)
}

fn log_late_by(most: Micros) -> impl Strategy<Value = Vec<Written>> {
    let row = (0u8..3, 0..100 * SECOND, any::<[u8; 8]>(), prop_oneof![Just(0), 0..most]);
    prop::collection::vec(row, 1..80).prop_map(|rows| {
        let mut log: Vec<Written> = rows
            .into_iter()
            .map(|(stream, at, low, late)| {
                let (a, b, c, _) = first_at(at).as_fields();
                let place = Place { time: CqlTimeuuid::from_fields(a, b, c, &low), seq: 0 };
                Written { id: RowId { stream: StreamId([stream; 16]), place }, visible: at + late }
            })
            .collect();
        log.sort_by_key(|row| (row.id.stream, row.id.place));
        log.dedup_by_key(|row| row.id);
        log
    })
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Front(usize),
    Visit(Micros),
    Crash,
    Tell,
    /// Nothing is read for so long, so that what is read then is too old to be visited.
    Away(Micros),
}

fn steps() -> impl Strategy<Value = Vec<(Step, Micros)>> {
    let step = prop_oneof![
        5 => (1usize..9).prop_map(Step::Front),
        4 => prop_oneof![Just(0), 0..SECOND].prop_map(Step::Visit),
        1 => Just(Step::Crash),
        1 => Just(Step::Tell),
        1 => (0..70 * SECOND).prop_map(Step::Away),
    ];
    prop::collection::vec((step, 0..4 * SECOND), 0..60)
}

fn run(log: Vec<Written>, steps: Vec<(Step, Micros)>, memory: usize) -> Model {
    let mut model = Model::new(log, memory);
    for (step, wait) in steps {
        model.now += wait;
        match step {
            Step::Front(room) => model.front(room),
            Step::Visit(pause) => model.visit(pause),
            Step::Crash => model.crash(),
            Step::Tell => model.tell(),
            Step::Away(time) => model.now += time,
        }
    }
    for _ in 0..40 {
        model.now += 6 * SECOND;
        model.front(usize::MAX);
        model.visit(0);
    }
    model.tell();
    model.save();
    model
}

proptest! {
    /// A checkpoint is saved with every batch here, so a crash repeats nothing either.
    #[test]
    fn every_row_is_emitted_exactly_once_over_restarts(log in log(), steps in steps()) {
        let model = run(log, steps, 1 << 20);
        for row in 0..model.log.len() {
            prop_assert_eq!(model.emitted.get(&row), Some(&1), "row {}: {:?}", row, model.log[row]);
        }
        let left = model.saved.without_retired();
        let long_settled = model.now - (SAFETY + 10) * SECOND;
        let position = Position::read(&left).unwrap().unwrap();
        prop_assert!(position.main.waiting.iter().all(|run| run.start >= bucket(long_settled)));
        prop_assert!(position.ids.is_empty() && position.parts.is_empty(), "what is settled is retired");
    }

    /// With hardly any memory it repeats, but loses nothing.
    #[test]
    fn over_the_budget_nothing_is_lost(log in log(), steps in steps()) {
        let model = run(log, steps, 16);
        for row in 0..model.log.len() {
            prop_assert!(model.emitted.contains_key(&row), "row {}: {:?}", row, model.log[row]);
        }
    }

    /// Rows may come later than anybody looks, so that not all of them are emitted.
    #[test]
    fn what_is_told_is_exactly_what_was_emitted(
        log in log_late_by(4 * SAFETY * SECOND), steps in steps(), memory in prop_oneof![Just(16usize), Just(1 << 20)]
    ) {
        let model = run(log, steps, memory);
        let emitted = model.tallies();
        let last = minute_at(model.now - (SAFETY + 10) * SECOND);
        prop_assert!(last > 2, "all that was written is settled");
        for minute in 0..last {
            let emitted = emitted.get(&minute).cloned().unwrap_or_default();
            prop_assert_eq!(model.told.get(&minute), Some(&emitted), "minute {}", minute);
        }
        let tallies = Position::read(&model.saved.clone().without_retired()).unwrap().unwrap().tallies.unwrap();
        prop_assert!(tallies.minutes.keys().all(|minute| *minute >= last), "{:?} was told", tallies);
    }
}

#[test]
fn a_batch_names_only_what_changed() {
    let mut progress = begin(0);
    progress.open(Window { from: 0, to: 2 * SECOND }, Now::at(2 * SECOND));
    let row = RowId { stream: StreamId([1; 16]), place: Place { time: first_at(5), seq: 0 } };
    progress.emit(0, &row, Kept::Yes);
    let names = |checkpoint: Checkpoint| -> Vec<String> {
        checkpoint
            .iter()
            .map(|(name, offset)| format!("{name}{}", if offset.is_some() { "" } else { " retired" }))
            .collect()
    };
    assert_eq!(names(progress.checkpoint()), ["log", "log/at/0", "log/ids/0"]);
    assert!(progress.checkpoint().is_empty());
    progress.close();
    assert_eq!(names(progress.checkpoint()), ["log", "log/at/0 retired"]);
    assert_eq!((progress.cut(), micros_of(&first_at(5))), (2 * SECOND, 5));
    let runs = progress.due(Now::at(40 * SECOND));
    progress.visited(&runs, Now::at(40 * SECOND));
    assert_eq!(names(progress.checkpoint()), ["log", "log/ids/0 retired"]);
}

#[test]
fn a_clock_set_back_is_followed_only_where_no_visit_would_find_what_it_stamps() {
    let read_to = |from: Micros, to: Micros| {
        let mut progress = begin(from);
        progress.open(Window { from, to }, Now::at(to));
        progress.close();
        progress
    };
    let (now, then) = (1000 * SECOND, 1000 * SECOND + 3600 * SECOND);
    let mut progress = read_to(now, then);
    assert!(!progress.turn_back(then - 10 * SECOND, 0, 0), "its seconds wait for visits");
    assert!(progress.turn_back(now, 7 * SECOND, 0));
    assert_eq!(progress.cut(), now - (7 + SAFETY) * SECOND);
    assert!(progress.main().waiting.is_empty(), "all of it is read again");
    let mut progress = read_to(now, then);
    assert!(progress.turn_back(now, Micros::MAX, 5 * SECOND));
    assert_eq!(progress.cut(), 5 * SECOND, "after a restart nobody knows since when");
    let mut position = Position { main: progress.main(), ..Position::default() };
    position.tally(&mut Checkpoint::default());
    let mut tallied = Progress::new(position, limits(1 << 20));
    tallied.open(Window { from: 5 * SECOND, to: then }, Now::at(then));
    tallied.close();
    assert!(tallied.turn_back(now, 7 * SECOND, 0));
    assert_eq!(tallied.cut(), 960 * SECOND, "what is told is told of whole minutes");
    let mut latest = read_to(now, now + SECOND / 10);
    assert!(
        !latest.turn_back(now - SECOND, Micros::MAX, 0),
        "nodes differ a little, and what lies before was not asked for"
    );
    assert!(!begin(then).turn_back(now, Micros::MAX, 0), "a start in the time to come");
}
