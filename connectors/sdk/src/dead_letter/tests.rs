//! Dead letters come apart into what they were made of, whatever carried them.

use bytes::Bytes;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{DeadLetter, Facts, Failure, Id, Stage, headers};
use crate::checkpoint::{Offset, Partition};
use crate::error::{Error, ErrorKind};
use crate::record::{Headers, Origin, Record, Timestamp};
use crate::store::TaskId;
use crate::testing::{RecordExt, record};

fn bytes() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from)
}

fn any_headers() -> impl Strategy<Value = Headers> {
    let names = select(vec!["", "event_type", headers::ID, headers::OFFSET, "__connect.errors.topic"]);
    let name = prop_oneof![names.prop_map(str::to_owned), ".{0,8}"];
    let header = (name, option::of(bytes())).prop_map(|(name, value)| (name.into(), value));
    proptest::collection::vec(header, 0..6).prop_map(Headers::from_iter)
}

prop_compose! {
    fn any_record()(
        key in option::of(bytes()), value in option::of(bytes()), headers in any_headers(), timestamp: i64,
        partition in ".{0,12}", offset in bytes(),
    ) -> Record {
        let origin = Origin { partition: Partition::from(partition), offset: Offset::from(offset) };
        Record { key, value, headers, timestamp: Timestamp(timestamp), origin }
    }
}

prop_compose! {
    fn any_facts()(
        bits: u128, names in (".{0,9}", ".{0,9}", ".{0,9}"), texts in (".{0,40}", ".{0,40}"),
        stage in select(Stage::ALL.to_vec()), kind in select(ErrorKind::ALL.to_vec()),
        attempts: u32, replays: u32, times: (i64, i64),
    ) -> Facts {
        Facts {
            id: Id::from_u128(bits),
            task: TaskId { pipeline: names.0, sink: names.1 },
            stage,
            refused_by: names.2,
            kind,
            message: texts.0,
            advice: texts.1,
            attempts,
            first_failed: Timestamp(times.0),
            last_failed: Timestamp(times.1),
            replays,
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_lost(record in any_record(), facts in any_facts()) {
        let letter = DeadLetter { record, facts };
        prop_assert_eq!(DeadLetter::from_record(letter.clone().into_record()).unwrap(), letter);
    }

    /// A broker rounds times, has offsets of its own, and its source may add headers.
    #[test]
    fn nothing_is_lost_on_the_way_over_another_far_side(record in any_record(), facts in any_facts()) {
        let letter = DeadLetter { record, facts };
        let mut carried = letter.clone().into_record();
        carried.timestamp = Timestamp(carried.timestamp.as_millis());
        carried.origin = Origin { partition: "dead/0".into(), offset: "7".into() };
        carried.headers.push("kafka.topic", "dead");
        let mut read = DeadLetter::from_record(carried).unwrap();
        prop_assert_eq!(read.record.headers.get("kafka.topic"), Some(&b"dead"[..]));
        let own = letter.record.headers.len();
        read.record.headers = read.record.headers.iter().take(own).collect();
        prop_assert_eq!(read, letter);
    }

    #[test]
    fn what_is_no_dead_letter_is_an_error_and_no_panic(record in any_record()) {
        if let Err(error) = DeadLetter::from_record(record) {
            prop_assert_eq!(error.kind(), ErrorKind::Record);
        }
    }
}

fn refusal(error: &Error, at: i64) -> Failure<'_> {
    let at = Timestamp(at);
    Failure { stage: Stage::Sink, refused_by: "redpanda", error, advice: "repair the record", at }
}

fn task() -> TaskId {
    TaskId { pipeline: "orders".into(), sink: "topic".into() }
}

#[test]
fn the_tools_of_kafka_connect_find_their_headers() {
    let error = Error::new(ErrorKind::Record, "1.2 MiB is larger than the topic takes");
    let poison = record("k", "v").at("p", "7").header("event_type", "OrderCreated");
    let dead = DeadLetter::new(poison.clone(), &task(), refusal(&error, 5)).into_record();
    let shown = |name: &str| {
        let value = dead.headers.get(&format!("__connect.errors.{name}")).expect(name);
        String::from_utf8(value.to_vec()).unwrap()
    };
    assert_eq!([shown("topic"), shown("partition"), shown("offset")], ["p", "p", "7"]);
    assert_eq!([shown("connector.name"), shown("task.id"), shown("stage")], ["orders", "topic", "TASK_PUT"]);
    assert_eq!([shown("class.name"), shown("exception.class.name")], ["redpanda", "record"]);
    assert_eq!(shown("exception.message"), "1.2 MiB is larger than the topic takes");
    assert_eq!((&dead.key, &dead.value, dead.timestamp), (&poison.key, &poison.value, poison.timestamp));
    assert_eq!(dead.headers.iter().next(), poison.headers.iter().next());
}

#[test]
fn a_replayed_record_that_fails_again_is_the_same_dead_letter() {
    let no_answer = Error::new(ErrorKind::Timeout, "no answer");
    let error = Error::new(ErrorKind::Record, "given up").caused_by(no_answer).attempted(5);
    let first = DeadLetter::new(record("k", "v").at("p", "7"), &task(), refusal(&error, 100));
    assert_eq!(
        (first.facts.attempts, first.facts.replays, first.facts.advice.as_str()),
        (5, 0, "repair the record")
    );
    assert_eq!((first.facts.kind, first.facts.message.as_str()), (ErrorKind::Timeout, "given up: no answer"));
    let replay = first.clone().into_replay();
    assert_eq!(headers::replays(&replay.headers), 1);
    let again = DeadLetter::new(replay, &task(), refusal(&error, 900));
    assert_eq!(again.record, first.record);
    let expected = Facts { last_failed: Timestamp(900), replays: 1, ..first.facts };
    assert_eq!(again.facts, expected);
    assert_eq!(headers::replays(&again.into_replay().headers), 2);
}

#[test]
fn a_long_message_is_cut_at_a_character() {
    let error = Error::new(ErrorKind::Record, "ä".repeat(5000));
    let message = DeadLetter::new(record("k", "v"), &task(), refusal(&error, 0)).facts.message;
    assert!(message.len() <= DeadLetter::LONGEST_TEXT && message.ends_with("ä…"), "{}", message.len());
}
