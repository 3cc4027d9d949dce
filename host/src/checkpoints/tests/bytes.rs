//! Cut anywhere, a journal says what was saved before; changed anywhere, it says nothing false.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert_eq, proptest};
use weir_sdk::{Checkpoint, Partition};

use super::super::format::{self, Refusal, Save, State};
use super::{at, task};

/// Up to three partitions of three, some of them retired.
fn checkpoints() -> impl Strategy<Value = Checkpoint> {
    vec((0..3u8, proptest::option::of(vec(any::<u8>(), 0..40))), 0..3).prop_map(|moves| {
        let mut checkpoint = Checkpoint::default();
        for (partition, offset) in moves {
            let partition = Partition::from(format!("partition {partition}"));
            match offset {
                Some(offset) => checkpoint.set(partition, offset),
                None => checkpoint.retire(partition),
            }
        }
        checkpoint
    })
}

/// Some appends, each of some saves, of three tasks.
fn appends() -> impl Strategy<Value = Vec<Vec<Save>>> {
    let save = ((0..3u8), checkpoints()).prop_map(|(sink, checkpoint)| Save {
        task: task(&format!("sink {sink}")),
        identity: format!("table {sink}"),
        checkpoint,
    });
    vec(vec(save, 1..3), 1..6)
}

/// A journal whose first `settled` appends were there when it was written as a whole: its bytes, and for each append
/// that followed where it ends and what the journal then says.
fn journal(appends: &[Vec<Save>], settled: usize) -> (Vec<u8>, Vec<(usize, State)>) {
    let mut state = State::new();
    for save in appends[..settled].iter().flatten() {
        format::apply(&mut state, save.clone()).unwrap();
    }
    let mut bytes = format::whole(&state);
    let mut steps = vec![(bytes.len(), state.clone())];
    for append in &appends[settled..] {
        bytes.extend(format::group(append));
        for save in append {
            format::apply(&mut state, save.clone()).unwrap();
        }
        steps.push((bytes.len(), state.clone()));
    }
    (bytes, steps)
}

proptest! {
    #[test]
    fn cut_anywhere_it_says_what_was_whole(appends in appends(), settled in 0..6usize) {
        let (bytes, steps) = journal(&appends, settled.min(appends.len()));
        for cut in 0..=bytes.len() {
            let whole = steps.iter().rev().find(|(end, _)| *end <= cut);
            let read = format::read(&bytes[..cut]);
            prop_assert_eq!(read.ok(), whole.map(|(end, state)| (state.clone(), *end)), "cut at {}", cut);
        }
    }

    #[test]
    fn a_page_that_never_reached_the_disk_drops_only_the_last_append(appends in appends(), hole in any::<(u16, u16)>()) {
        let (mut bytes, steps) = journal(&appends, 0);
        let (begin, before) = &steps[steps.len() - 2];
        let last = bytes.len() - begin;
        let (from, to) = (begin + hole.0 as usize % last, begin + hole.1 as usize % last);
        let (from, to) = (from.min(to), from.max(to) + 1);
        let kept = bytes[from..to].iter().all(|byte| *byte == 0);
        bytes[from..to].fill(0);
        let expected = if kept { steps.last().cloned() } else { Some((*begin, before.clone())) };
        prop_assert_eq!(format::read(&bytes).ok(), expected.map(|(end, state)| (state, end)));
    }

    #[test]
    fn changed_anywhere_it_is_refused_or_drops_the_last_append(appends in appends(), settled in 0..6usize, flip in 1..=255u8) {
        let (mut bytes, steps) = journal(&appends, settled.min(appends.len()));
        let droppable = steps.len().checked_sub(2).map(|last| steps[last].clone());
        for place in 0..bytes.len() {
            bytes[place] ^= flip;
            match &droppable {
                Some((end, state)) if place >= *end => {
                    prop_assert_eq!(format::read(&bytes), Ok((state.clone(), *end)), "changed at {}", place);
                }
                _ => assert!(format::read(&bytes).is_err(), "changed at {place}"),
            }
            bytes[place] ^= flip;
        }
    }
}

#[test]
fn what_is_no_journal_of_this_version_is_told_apart() {
    assert_eq!(format::read(b""), Err(Refusal::NoJournal));
    assert_eq!(format::read(b"{\"offset\": 1}\n"), Err(Refusal::NoJournal));
    assert_eq!(format::read(b"weir checkpoints 2\nrest"), Err(Refusal::Version("2".to_owned())));
    assert_eq!(
        format::read(b"weir checkpoints 1\n123"),
        Err(Refusal::Damaged(22, "the file ends before its time"))
    );
}

#[test]
fn an_entry_of_sound_bytes_without_sense_is_damage() {
    let save =
        |identity: &str| Save { task: task("a"), identity: identity.to_owned(), checkpoint: at("p", "1") };
    let mut bytes = format::whole(&State::new());
    let end = bytes.len();
    bytes.extend(format::group(&[save("one"), save("another")]));
    assert_eq!(format::read(&bytes), Err(Refusal::Damaged(end, "an entry makes no sense")));
}
