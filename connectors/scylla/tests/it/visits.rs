//! What visits ask for: the sums of everything, the names where sums differ, and the rows that are new.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use weir_scylla::hub::Told;
use weir_scylla::hub::shared::Seat;
use weir_scylla::hub::visited::Visited;
use weir_scylla::outbox::OutboxConfig;
use weir_scylla::outbox::mapping::Mapping;
use weir_scylla::outbox::record;
use weir_scylla::reader::RowOrder;
use weir_scylla::reader::clock::Now;
use weir_scylla::reader::open::{Logs, Wanted};
use weir_scylla::reader::progress::{Limits, Progress};
use weir_scylla::reader::statement::KEY_COLUMNS;
use weir_scylla::reader::time::{Bucket, SECOND, begin, bucket};
use weir_scylla::reader::token::{Main, Position};
use weir_scylla::reader::visit::{Stage, Visit};
use weir_scylla::reader::window::Window;
use weir_scylla_dev::{Asked, ScyllaDev};

use crate::place::{Place, insert};

/// Keys with an event in each of the seconds.
const KEYS: u128 = 30;
const SECONDS: i64 = 5;

/// A log of some seconds, more streams than one query may name, and nobody who reads it but the test.
struct Log {
    place: Place,
    logs: Logs,
    first: Bucket,
}

impl Log {
    async fn written() -> Self {
        let place = Place::on(ScyllaDev::builder().vnodes(128), "{'enabled': false}").await.unhurried();
        place.server.faults().advance_clock(Duration::from_secs(60));
        let first = bucket(place.server.clock().micros()) - 30;
        let log = Self { place, logs: Logs::default(), first };
        for second in 0..SECONDS {
            for key in 0..KEYS {
                log.write(key, second, 100_000).await;
            }
        }
        log
    }

    /// Writes an event as of so many microseconds into one of the seconds.
    async fn write(&self, key: u128, second: i64, at: i64) {
        let time = begin(self.first + second) + at;
        self.place.run(&insert(key, second * SECOND + at, &format!("USING TIMESTAMP {time}"))).await;
    }

    async fn seat(&self) -> Seat {
        let config: OutboxConfig = weir_sdk::config::read(&self.place.config()).unwrap();
        let log = self.logs.find(config.log()).await.unwrap();
        let mapping = Mapping::find(&config, &log.table).unwrap();
        let selected = format!("{KEY_COLUMNS}{}", mapping.selected());
        let check = Box::new(|_: &_| Ok(()));
        let wanted = Wanted { selected, decode: record::decode(mapping), counted: record::COUNTED, check };
        self.logs.seat(&log, Told::outbox(&config), wanted).await.unwrap()
    }

    fn runs(&self) -> Vec<Range<Bucket>> {
        let run = self.first..self.first + SECONDS;
        vec![run]
    }

    fn now(&self) -> Now {
        Now::at(begin(self.first + SECONDS) + 2 * SECOND)
    }

    /// Books of one who has read these seconds and found nothing, since all of it came late.
    fn books(&self, memory: usize) -> Progress {
        let main = Main { cut: begin(self.first), ..Main::default() };
        let limits = Limits { safety: Duration::from_secs(120), memory };
        let mut progress = Progress::new(Position { main, ..Position::default() }, limits);
        let window = Window { from: begin(self.first), to: begin(self.first + SECONDS) };
        progress.open(window, self.now());
        progress.close();
        progress
    }

    async fn begin(&self, seat: &Seat) -> Arc<Visited> {
        let (from, to) = (begin(self.first), begin(self.first + SECONDS));
        let parts = seat.look().await.unwrap().streams.parts(from, to).await.unwrap();
        assert_eq!(parts.len(), 2, "of up to 100 streams each");
        seat.begin_visit(self.runs(), parts, self.now())
    }

    /// Takes part in a visit until it is over; the rows that it read, all of which are emitted.
    async fn visit(&self, visited: &Arc<Visited>, progress: &mut Progress) -> usize {
        let mut visit = Visit::of(visited.clone(), self.runs());
        loop {
            if let Stage::Rows(queue) = &mut visit.stage
                && queue.is_done()
            {
                let mut read = 0;
                while let Some((_, row)) = queue.take_if(|_| true) {
                    read += 1;
                    match visit.again.get_mut(&row.id.bucket()) {
                        Some(sum) => sum.add(row.id.hash()),
                        None => progress.emit_late(&row.id),
                    }
                }
                visit.again.into_iter().for_each(|(second, sum)| progress.set_sum(second, sum));
                progress.visited(&visit.runs, visit.began);
                progress.fold();
                return read;
            }
            visit.advance(progress, &RowOrder::OfStreams).await.unwrap();
        }
    }

    /// What was asked so far, by sums and names together, and by rows.
    fn asked(&self) -> [Asked; 2] {
        [" FROM", ","].map(|next| self.place.server.asked(&format!("SELECT {KEY_COLUMNS}{next}")))
    }

    /// A visit of one's own: rows that it read, and the statements for them, by sums and names and by rows.
    async fn visit_alone(&self, seat: &Seat, progress: &mut Progress) -> (usize, [u64; 2]) {
        let before = self.asked().map(|asked| asked.statements);
        let visited = self.begin(seat).await;
        let read = self.visit(&visited, progress).await;
        let after = self.asked().map(|asked| asked.statements);
        (read, [after[0] - before[0], after[1] - before[1]])
    }
}

const ALL: usize = KEYS as usize * SECONDS as usize;

#[tokio::test(flavor = "multi_thread")]
async fn where_sums_agree_no_names_are_read_and_one_late_row_is_found_by_those_of_its_second() {
    let log = Log::written().await;
    let (seat, mut progress) = (log.seat().await, log.books(1 << 20));
    // One query for each second and part that has rows that are missing.
    assert_eq!(log.visit_alone(&seat, &mut progress).await, (ALL, [4, 2 * SECONDS as u64]));
    assert_eq!(
        log.visit_alone(&seat, &mut progress).await,
        (0, [2, 0]),
        "the sums of both parts, and no more"
    );
    log.write(7, 3, 999_999).await;
    let partitions = log.asked().map(|asked| asked.partitions);
    assert_eq!(log.visit_alone(&seat, &mut progress).await, (1, [4, 1]));
    assert_eq!(log.asked()[1].partitions - partitions[1], 1, "its stream alone");
    let mut progress = {
        let position = Position::read(&progress.checkpoint()).unwrap().unwrap();
        Progress::new(position, Limits { safety: Duration::from_secs(120), memory: 1 << 20 })
    };
    assert_eq!(log.visit_alone(&seat, &mut progress).await, (0, [2, 0]), "after a restart too");
}

#[tokio::test(flavor = "multi_thread")]
async fn late_rows_of_two_seconds_at_the_two_ends_are_found_while_those_between_agree() {
    let log = Log::written().await;
    let (seat, mut progress) = (log.seat().await, log.books(1 << 20));
    log.visit_alone(&seat, &mut progress).await;
    log.write(0, 0, 0).await;
    log.write(1, SECONDS - 1, SECOND - 1).await;
    assert_eq!(log.visit_alone(&seat, &mut progress).await, (2, [6, 2]), "names of two seconds in two parts");
    assert_eq!(log.visit_alone(&seat, &mut progress).await, (0, [2, 0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_that_is_only_a_sum_is_read_again_as_a_whole_and_without_names() {
    let log = Log::written().await;
    let (seat, mut progress) = (log.seat().await, log.books(0));
    assert_eq!(log.visit_alone(&seat, &mut progress).await.0, ALL);
    assert!(progress.is_degraded());
    assert_eq!(log.visit_alone(&seat, &mut progress).await, (0, [2, 0]));
    log.write(7, 3, 500_000).await;
    assert_eq!(log.visit_alone(&seat, &mut progress).await, (KEYS as usize + 1, [2, 2]));
    assert_eq!(log.visit_alone(&seat, &mut progress).await, (0, [2, 0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn seats_that_miss_the_same_rows_read_sums_names_and_rows_once() {
    let log = Log::written().await;
    let seats = [log.seat().await, log.seat().await];
    let mut books = [log.books(1 << 20), log.books(1 << 20)];
    for (written, wanted) in [(false, (ALL, [4, 2 * SECONDS as u64])), (true, (1, [4, 1]))] {
        if written {
            log.write(7, 3, 999_999).await;
        }
        let before = log.asked().map(|asked| asked.statements);
        let visited = log.begin(&seats[0]).await;
        let mut read = Vec::new();
        for progress in &mut books {
            read.push(log.visit(&visited, progress).await);
        }
        let after = log.asked().map(|asked| asked.statements);
        assert_eq!((read, [after[0] - before[0], after[1] - before[1]]), (vec![wanted.0; 2], wanted.1));
    }
    // One of them misses what the other has.
    log.write(8, 1, 5).await;
    let visited = log.begin(&seats[1]).await;
    assert_eq!(log.visit(&visited, &mut books[0]).await, 1);
    let before = log.asked().map(|asked| asked.statements);
    assert_eq!(log.visit_alone(&seats[0], &mut books[0]).await, (0, [2, 0]));
    assert_eq!(log.visit(&visited, &mut books[1]).await, 1);
    assert_eq!(
        log.asked().map(|asked| asked.statements),
        [before[0] + 2, before[1]],
        "it finds all of it kept"
    );
}
