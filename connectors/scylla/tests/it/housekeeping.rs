//! Housekeeping: what every consumer has passed is deleted, what one has not passed is found, and nothing else happens.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use weir_scylla::hub::Hub;
use weir_scylla::reader::token::Position;
use weir_scylla_dev::ScyllaDev;
use weir_sdk::metrics::names;
use weir_sdk::{Checkpoint, Room, Timestamp, To};

use crate::place::{Place, ROOM, Tail, context_of, insert, payload};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const LIMIT: Duration = Duration::from_secs(30);
const CREATE: &str = "CREATE TABLE shop.outbox_passed (outbox text, consumer text, minute timestamp, \
    seconds frozen<map<int, frozen<tuple<bigint, bigint>>>>, begins boolean, looked_until timestamp static, \
    unpassed frozen<list<timestamp>> static, PRIMARY KEY ((outbox, consumer), minute))";

impl Place {
    async fn kept() -> Self {
        Self::start().await.with_ledger().await
    }

    async fn with_ledger(self) -> Self {
        let place = self.unhurried();
        place.run(CREATE).await;
        // The log begins within a minute, and nobody can tell of all of that one.
        place.wait(MINUTE);
        place
    }

    /// One second for late rows, two minutes until rows are looked at.
    fn keeping(&self, consumers: &[&str], delete: bool) -> Value {
        let mut config = self.config();
        config["safety"] = "1s".into();
        config["housekeeping"] = json!({"consumers": consumers, "after": "2m", "delete": delete});
        config
    }

    async fn consumer(&self, name: &str, config: &Value, resume: Checkpoint) -> Tail {
        let (pipeline, sink) = name.split_once('/').unwrap();
        let sources = self.sources(Hub::default());
        self.take(&*sources, context_of(pipeline, sink), config.clone(), resume).await.unwrap()
    }

    async fn count(&self, what: &str) -> i64 {
        let answer = self.session.query_unpaged(format!("SELECT COUNT(*) FROM shop.{what}"), ()).await;
        answer.unwrap().into_rows_result().unwrap().first_row::<(i64,)>().unwrap().0
    }

    /// Lets time pass, for the server and for those who read.
    fn wait(&self, time: Duration) {
        self.server.faults().advance_clock(time);
    }

    /// Writes a row that becomes readable when nobody looks for it any more, beside one that is readable at once, in a
    /// second of their own.
    async fn write_unseen(&self, consumers: &mut [&mut Tail]) {
        self.wait(5 * SECOND);
        let written = self.server.clock().micros();
        self.server.faults().delay_log_rows("shop", "outbox", 1, 30 * SECOND);
        self.run(&insert(77, 1, &format!("USING TIMESTAMP {written}"))).await;
        self.run(&insert(77, 2, &format!("USING TIMESTAMP {}", written + 1))).await;
        self.wait(5 * SECOND);
        until(consumers, "it is settled", async |all| {
            all.iter().all(|one| {
                let main = Position::read(&one.checkpoint).unwrap().unwrap().main;
                main.cut > written && main.waiting.iter().all(|run| run.start * 1_000_000 > written)
            })
        })
        .await;
    }
}

impl Tail {
    /// Does as a host does whose sink is quick: what came is durable and saved.
    async fn commit(&mut self, room: Room) {
        self.poll(room).await.unwrap();
        self.source.commits().unwrap().commit(&self.checkpoint).await.unwrap();
    }

    fn gauge(&self, name: names::Name) -> f64 {
        self.metrics.gauge(name).get()
    }
}

/// Runs consumers until something is so.
async fn until(consumers: &mut [&mut Tail], what: &str, is_so: impl AsyncFn(&[&mut Tail]) -> bool) {
    let begun = Instant::now();
    while !is_so(consumers).await {
        let reasons: Vec<_> = consumers.iter().map(|one| one.conditions.reason()).collect();
        assert!(begun.elapsed() < LIMIT, "{what}: {reasons:?}");
        // Whoever was not asked for a second answers at once that time has passed.
        futures::future::join_all(consumers.iter_mut().map(async |one| {
            one.commit(ROOM).await;
            one.commit(ROOM).await;
        }))
        .await;
    }
}

/// Long enough for the housekeeper to look at whatever it would.
async fn run_for(consumers: &mut [&mut Tail], time: Duration) {
    let begun = Instant::now();
    until(consumers, "time passes", async |_| begun.elapsed() > time).await;
}

async fn until_seen(consumers: &mut [&mut Tail], records: usize) {
    until(consumers, "all records come", async |all| all.iter().all(|one| one.seen.len() >= records)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_not_there_is_told_with_the_statement_that_makes_it() {
    let place = Place::start().await;
    let mut config = place.keeping(&["orders/topic"], true);
    config["housekeeping"]["after"] = "23h 55m".into();
    let Err(refused) = place.open_with(config.clone(), Checkpoint::default()).await else {
        panic!("there is no table, and the log forgets too early")
    };
    let pointers: Vec<_> = refused.problems().iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(pointers, ["/housekeeping/table", "/housekeeping/after"]);
    let advice = refused.operator_advice().unwrap().to_owned();
    let (create, _) = advice.split_once(';').unwrap();
    assert_eq!(create.replace('"', ""), CREATE);
    place.run(create).await;
    config["housekeeping"]["after"] = "1h".into();
    place.open_with(config, Checkpoint::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_all_have_passed_is_deleted_and_a_row_that_nobody_has_passed_is_kept_and_told() {
    let place = Place::kept().await;
    let config = place.keeping(&["a/one", "b/two"], true);
    let mut one = place.consumer("a/one", &config, Checkpoint::default()).await;
    let mut two = place.consumer("b/two", &config, Checkpoint::default()).await;
    place.write_many(10, 0..10).await;
    place.write_unseen(&mut [&mut one, &mut two]).await;
    place.write_many(10, 10..20).await;
    until_seen(&mut [&mut one, &mut two], 201).await;
    place.wait(4 * MINUTE);
    let reported = async |all: &[&mut Tail]| all[0].gauge(names::CDC_UNPASSED_ROWS) as u64 == 1;
    until(&mut [&mut one, &mut two], "the row that nobody has passed is found", reported).await;
    assert_eq!(place.count("outbox").await, 2, "the second in which it was written is kept");
    assert_eq!((one.seen.len(), two.seen.len()), (201, 201), "deletes are no events");
    let reason = one.conditions.reason().unwrap();
    for name in ["a/one", "b/two"] {
        assert!(reason.contains(&format!("{name} has not passed 1 of the outbox's rows")), "{reason}");
    }
    assert_eq!(two.conditions.reason(), None, "the first one does the work");

    // Both are sent back as they are told to be; the first is done alone for a while.
    let (_, time) = reason.trim_end_matches('`').rsplit_once(' ').unwrap();
    let time: jiff::Timestamp = time.parse().unwrap();
    drop((one, two));
    let mut resumed = Vec::new();
    for name in ["a/one", "b/two"] {
        let (pipeline, sink) = name.split_once('/').unwrap();
        let (sources, to) = (place.sources(Hub::default()), To::At(Timestamp(time.as_microsecond())));
        let start = sources.seek(config.clone(), to, context_of(pipeline, sink)).await.unwrap();
        resumed.push(place.consumer(name, &config, start.checkpoint).await);
    }
    let [mut one, mut two] = <[Tail; 2]>::try_from(resumed).ok().unwrap();
    let unseen = payload(77, 1);
    let still =
        async |all: &[&mut Tail]| all[0].payloads().contains(&unseen) && all[0].conditions.reason().is_some();
    until(&mut [&mut one], "the other has not passed it yet", still).await;
    assert_eq!(place.count("outbox").await, 2);
    let done = async |all: &[&mut Tail]| {
        let told = all[0].conditions.reason().is_some() || all[0].gauge(names::CDC_UNPASSED_ROWS) > 0.0;
        !told && place.count("outbox").await == 0
    };
    until(&mut [&mut one, &mut two], "what both have passed now is deleted", done).await;
    assert!([&one, &two].into_iter().all(|all| all.payloads().contains(&unseen)), "each has passed it");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_before_the_last_consumer_has_passed_it_however_late_that_is() {
    let place = Place::kept().await;
    let config = place.keeping(&["a/one", "b/two"], true);
    let mut one = place.consumer("a/one", &config, Checkpoint::default()).await;
    place.write_many(10, 0..10).await;
    until_seen(&mut [&mut one], 100).await;
    place.wait(6 * MINUTE);
    run_for(&mut [&mut one], 4 * SECOND).await;
    assert_eq!((place.count("outbox").await, one.counted(names::HOUSEKEEPING_DELETED.0)), (100, 0));
    assert_eq!(one.conditions.reason(), None, "one that is behind has not passed anything over");
    // All that it reads is settled when it is read, and its memory holds next to nothing of what comes.
    let mut small = config.clone();
    small["unsettled_memory"] = "64B".into();
    let mut two = place.consumer("b/two", &small, Checkpoint::default()).await;
    place.write_many(10, 10..20).await;
    until_seen(&mut [&mut two], 200).await;
    until(&mut [&mut one, &mut two], "the old ones are deleted", async |_| {
        place.count("outbox").await == 100
    })
    .await;
    place.wait(4 * MINUTE);
    until(&mut [&mut one, &mut two], "all are deleted", async |_| place.count("outbox").await == 0).await;
    let deleted = one.counted(names::HOUSEKEEPING_DELETED.0);
    assert_eq!((deleted, two.counted(names::HOUSEKEEPING_DELETED.0)), (200, 0), "once each, by the first");
    assert!(one.gauge(names::HOUSEKEEPING_AGE) < 400.0);
    assert_eq!((one.conditions.reason(), one.seen.len(), two.seen.len()), (None, 200, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_saved_and_not_told_is_told_after_a_restart() {
    let place = Place::kept().await;
    let config = place.keeping(&["a/one"], true);
    let mut one = place.consumer("a/one", &config, Checkpoint::default()).await;
    place.write_many(10, 0..3).await;
    one.until(30).await;
    place.wait(4 * MINUTE);
    one.caught_up(&place.server).await;
    assert_eq!(place.count("outbox_passed").await, 0, "the host has not said that anything is durable");
    let saved = one.checkpoint.clone();
    drop(one);
    let mut one = place.consumer("a/one", &config, saved).await;
    until(&mut [&mut one], "all are deleted", async |_| place.count("outbox").await == 0).await;
    one.caught_up(&place.server).await;
    assert_eq!(one.seen.len(), 0);
    let untold = one.checkpoint.iter().filter(|(name, _)| name.as_str().starts_with("housekeeping/")).count();
    assert!(untold <= 1, "what was told is not saved again: {:?}", one.checkpoint);

    // Without the block, and with it again: what happened meanwhile is not known, and so nothing of it is deleted.
    let saved = std::mem::take(&mut one.checkpoint);
    drop(one);
    let mut without = place.consumer("a/one", &place.config(), saved).await;
    assert!(without.source.commits().is_none());
    place.write_many(10, 3..6).await;
    without.until(30).await;
    let saved = without.checkpoint.clone();
    assert!(saved.iter().all(|(name, _)| !name.as_str().starts_with("housekeeping")), "{saved:?}");
    drop(without);
    let mut one = place.consumer("a/one", &config, saved).await;
    place.wait(4 * MINUTE);
    run_for(&mut [&mut one], 4 * SECOND).await;
    assert_eq!((place.count("outbox").await, one.conditions.reason()), (30, None));
    assert!(one.gauge(names::HOUSEKEEPING_AGE) < 200.0, "it goes on where it was begun again");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_vnodes_a_row_that_was_written_again_stays_and_streams_of_a_former_generation_are_swept() {
    let place = Place::kept().await;
    swept(&place, || place.server.new_generation(place.server.clock().micros() / 1_000 + 10_000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_tablets_a_row_that_was_written_again_stays_and_streams_of_before_a_split_are_swept() {
    let place = Place::on(ScyllaDev::builder(), "{'enabled': true}").await.with_ledger().await;
    let soon = || place.server.clock().micros() / 1_000 + 10_000;
    swept(&place, || place.server.resize_tablets("shop", "outbox", 8, soon()).unwrap()).await;
}

async fn swept(place: &Place, change_streams: impl FnOnce()) {
    let config = place.keeping(&["a/one"], true);
    let mut one = place.consumer("a/one", &config, Checkpoint::default()).await;
    place.write_many(2, 0..5).await;
    until_seen(&mut [&mut one], 10).await;
    change_streams();
    place.wait(100 * SECOND);
    // The first of ten is written anew before the others are looked at.
    place.write(0, 0).await;
    place.wait(90 * SECOND);
    until_seen(&mut [&mut one], 11).await;
    until(&mut [&mut one], "nine are deleted", async |_| place.count("outbox").await == 1).await;
    assert_eq!(one.conditions.reason(), None);
    place.wait(4 * MINUTE);
    until(&mut [&mut one], "and the last", async |_| place.count("outbox").await == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_consumer_was_sent_over_is_reported_until_the_log_forgets_it() {
    let place = Place::kept().await;
    let config = place.keeping(&["a/one"], true);
    let mut one = place.consumer("a/one", &config, Checkpoint::default()).await;
    place.write_many(2, 0..5).await;
    until_seen(&mut [&mut one], 10).await;
    place.wait(4 * MINUTE);
    until(&mut [&mut one], "all are deleted", async |_| place.count("outbox").await == 0).await;
    drop(one);
    place.write_many(2, 5..8).await;
    place.wait(2 * MINUTE);
    let sources = place.sources(Hub::default());
    let forward = sources.seek(config.clone(), To::Latest, context_of("a", "one")).await.unwrap();
    let mut one = place.consumer("a/one", &config, forward.checkpoint).await;
    place.wait(4 * MINUTE);
    let reported = async |all: &[&mut Tail]| all[0].gauge(names::CDC_UNPASSED_ROWS) as u64 == 6;
    until(&mut [&mut one], "what was gone over is found", reported).await;
    for _ in 0..5 {
        place.wait(6 * 60 * MINUTE);
        one.caught_up(&place.server).await;
    }
    let forgotten = async |all: &[&mut Tail]| all[0].conditions.reason().is_none();
    until(&mut [&mut one], "it can be repeated no more", forgotten).await;
    assert_eq!((place.count("outbox").await, one.seen.len()), (6, 0), "nobody has deleted it");
    assert_eq!(one.gauge(names::CDC_UNPASSED_ROWS) as u64, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_delete_it_only_reports_and_its_failures_are_told_and_stop_nobody() {
    let place = Place::kept().await;
    let config = place.keeping(&["a/one"], false);
    let mut one = place.consumer("a/one", &config, Checkpoint::default()).await;
    place.run("DROP TABLE shop.outbox_passed").await;
    place.write_many(2, 0..5).await;
    place.write_unseen(&mut [&mut one]).await;
    until_seen(&mut [&mut one], 11).await;
    place.wait(4 * MINUTE);
    one.caught_up(&place.server).await;
    let fails = async |all: &[&mut Tail]| {
        all[0].conditions.reason().is_some_and(|reason| reason.contains("housekeeping fails"))
    };
    until(&mut [&mut one], "that it fails is told", fails).await;
    place.write(8, 0).await;
    until_seen(&mut [&mut one], 12).await;
    place.run(CREATE).await;
    let reported = async |all: &[&mut Tail]| {
        let reason = all[0].conditions.reason().unwrap_or_default();
        reason.contains("has not passed") && !reason.contains("housekeeping fails")
    };
    until(&mut [&mut one], "it goes on, and finds the row", reported).await;
    assert_eq!((place.count("outbox").await, one.counted(names::HOUSEKEEPING_DELETED.0)), (13, 0));
}
