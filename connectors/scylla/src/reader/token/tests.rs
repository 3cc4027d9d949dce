//! What is written reads back, and what is damaged is refused.

use std::collections::BTreeMap;

use proptest::prelude::*;
use scylla::value::CqlTimeuuid;
use weir_sdk::{Checkpoint, ErrorKind};

use super::tallies::{self, Tallies};
use super::{Main, Position, at, ids, put_ids, put_places, put_sums, sums};
use crate::reader::row::{Place, StreamId};
use crate::reader::tally;
use crate::reader::unsettled::Sum;

fn written(position: &Position) -> Checkpoint {
    let mut checkpoint = Checkpoint::default();
    let (name, offset) = position.main.put();
    checkpoint.set(name, offset);
    for part in &position.parts {
        checkpoint.set(at(*part), put_places(&position.places));
    }
    for (chunk, rows) in &position.ids {
        checkpoint.set(ids(*chunk), put_ids(rows));
    }
    checkpoint.set(sums(), put_sums(position.sums.clone()));
    if let Some(Tallies { next, begun, minutes }) = &position.tallies {
        checkpoint.set(tallies::next(), tallies::put_next(*next, *begun));
        for (minute, (tally, is_whole)) in minutes {
            let put = if *is_whole { tallies::put_whole } else { tallies::put_open };
            checkpoint.set(tallies::of(*minute), put(tally));
        }
    }
    checkpoint
}

fn any_tallies() -> impl Strategy<Value = Tallies> {
    let sum = (0..60i64, (1..u64::MAX, any::<u64>()));
    let minute = (-90..90i64, prop::collection::vec(sum, 0..5), any::<bool>());
    let minutes = prop::collection::vec(minute, 0..4).prop_map(|minutes| {
        let minute = |(minute, sums, is_whole): (i64, Vec<_>, bool)| {
            let second = |at| tally::seconds(minute).start + at;
            let sums = sums.into_iter().map(|(at, (rows, hashes))| (second(at), Sum { rows, hashes }));
            (minute, (sums.collect(), is_whole))
        };
        minutes.into_iter().map(minute).collect()
    });
    (any::<i64>(), any::<Option<i64>>(), minutes).prop_map(|(next, begun, minutes)| Tallies {
        next,
        begun,
        minutes,
    })
}

fn any_position() -> impl Strategy<Value = Position> {
    let place = (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<i32>());
    let id = (any::<i64>(), any::<u64>());
    (
        (
            any::<i64>(),
            any::<Option<i64>>(),
            prop::option::of(any::<(i64, i64)>()),
            prop::collection::vec(any::<(i64, i64)>(), 0..3),
        ),
        prop::collection::vec(place, 0..5),
        prop::collection::btree_map(any::<u64>(), prop::collection::vec(id, 0..9), 0..4),
        prop::collection::vec((any::<i64>(), any::<(u64, u64)>()), 0..4),
        prop::option::of(any_tallies()),
    )
        .prop_map(|((cut, fresh, window, runs), places, ids, sums, tallies)| Position {
            main: Main {
                cut,
                fresh,
                window,
                waiting: runs.into_iter().map(|(start, end)| start..end).collect(),
            },
            parts: if places.is_empty() { vec![] } else { vec![3] },
            places: places
                .into_iter()
                .map(|(stream, time, seq)| {
                    (StreamId(stream), Place { time: CqlTimeuuid::from_bytes(time), seq })
                })
                .collect(),
            ids,
            sums: sums.into_iter().map(|(second, (rows, hashes))| (second, Sum { rows, hashes })).collect(),
            tallies,
        })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(position in any_position()) {
        prop_assert_eq!(Position::read(&written(&position)).unwrap(), Some(position));
    }

    #[test]
    fn a_cut_off_value_is_refused_or_read_short_but_never_a_panic(position in any_position(), keep in 0usize..60) {
        let damaged: Checkpoint = written(&position)
            .iter()
            .map(|(name, offset)| {
                let bytes = offset.unwrap().as_bytes();
                (name.clone(), bytes.slice(..keep.min(bytes.len())))
            })
            .collect();
        let main = position.main.put().1;
        let read = Position::read(&damaged);
        prop_assert!(keep >= main.as_bytes().len() || read.is_err());
    }
}

#[test]
fn nothing_is_none_and_a_checkpoint_without_its_head_is_refused() {
    assert_eq!(Position::read(&Checkpoint::default()).unwrap(), None);
    let headless: Checkpoint = [(ids(1), put_ids(&[(1, 2)]))].into_iter().collect();
    assert_eq!(Position::read(&headless).unwrap_err().kind(), ErrorKind::Config);
    let position = Position { ids: BTreeMap::from([(1, vec![])]), ..Position::default() };
    let mut other = written(&position);
    other.set(ids(2), vec![9, 0]);
    let error = Position::read(&other).unwrap_err();
    assert!(error.to_string().contains("`log/ids/2`"), "{error}");
    assert!(error.operator_advice().is_some());
    let mut other = written(&position);
    other.set(tallies::next(), tallies::put_next(7, None));
    other.set(tallies::of(6), vec![1, 3]);
    let error = Position::read(&other).unwrap_err();
    assert!(error.to_string().contains("`housekeeping/6`"), "{error}");
}

#[test]
fn tallies_begin_behind_what_was_read_and_end_without_a_rest() {
    let main = Main { cut: 61_000_000, window: Some((119_000_000, 0)), ..Main::default() };
    let mut position = Position { main, ..Position::default() };
    let mut saved = written(&position);
    position.tally_from_here();
    position.tally(&mut saved);
    let begun = position.tallies.clone().unwrap();
    assert_eq!((begun.next, begun.begun), (2, Some(2)), "an earlier run has read of the window what it has");
    saved.set(tallies::of(2), tallies::put_open(&[(120, Sum { rows: 1, hashes: 5 })].into_iter().collect()));
    let mut position = Position::read(&saved).unwrap().unwrap();
    position.tally_from_here();
    assert_eq!(position.tallies.as_ref().unwrap().minutes.len(), 1, "they have begun");
    position.tally_no_more(&mut saved);
    assert_eq!((Position::read(&saved).unwrap().unwrap(), position.tallies.is_none()), (position, true));
}
