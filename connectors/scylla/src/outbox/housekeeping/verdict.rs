//! The verdict on each second of the log: every consumer has passed exactly its rows, or one has not.

use std::collections::BTreeMap;

use super::names::Named;
use crate::reader::row::RowId;
use crate::reader::tally::Tally;
use crate::reader::time::Bucket;
use crate::reader::unsettled::Sum;

/// What the names of the log are against what consumers have told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The rows of the seconds that every consumer has passed.
    pub passed: Vec<Named>,
    /// Of the other seconds, who has not passed how many.
    pub unpassed: Vec<Unpassed>,
}

/// A consumer has not passed all rows of a second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpassed {
    /// Its place in the list of consumers.
    pub consumer: usize,
    /// The second.
    pub second: Bucket,
    /// How many rows more there are than it has passed; at least one.
    pub rows: u64,
    /// One of them, where it can be told which.
    pub row: Option<RowId>,
}

impl Verdict {
    /// Compares all rows of some seconds with what each consumer has passed of them.
    pub fn on(rows: Vec<Named>, consumers: &[Tally]) -> Self {
        let mut seconds: BTreeMap<Bucket, Vec<Named>> = BTreeMap::new();
        for row in rows {
            seconds.entry(row.id.bucket()).or_default().push(row);
        }
        let mut verdict = Self::default();
        for (second, rows) in seconds {
            let told = verdict.unpassed.len();
            let there = sum(&rows);
            for (consumer, tally) in consumers.iter().enumerate() {
                let passed = tally.of(second);
                if passed != there {
                    let more = there.rows.saturating_sub(passed.rows).max(1);
                    verdict.unpassed.push(Unpassed {
                        consumer,
                        second,
                        rows: more,
                        row: missing(&rows, there, passed),
                    });
                }
            }
            if verdict.unpassed.len() == told {
                verdict.passed.extend(rows);
            }
        }
        verdict
    }
}

fn sum(rows: &[Named]) -> Sum {
    let mut sum = Sum::default();
    rows.iter().for_each(|row| sum.add(row.id.hash()));
    sum
}

/// A row that is missing: any, where nothing was passed; the one that makes the difference, where it is a single one.
fn missing(rows: &[Named], there: Sum, passed: Sum) -> Option<RowId> {
    let missing = there.hashes.wrapping_sub(passed.hashes);
    let is_missing = |row: &&Named| passed.rows == 0 || row.id.hash() == missing;
    let single = passed.rows == 0 || there.rows == passed.rows + 1;
    rows.iter().find(|row| single && is_missing(row)).map(|row| row.id)
}

#[cfg(test)]
mod tests {
    use super::{Unpassed, Verdict};
    use crate::outbox::housekeeping::names::Named;
    use crate::reader::row::{Place, RowId, StreamId};
    use crate::reader::tally::Tally;
    use crate::reader::time::{SECOND, first_at};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn row(second: i64, stream: u8) -> Named {
        let place = Place { time: first_at(second * SECOND + 5), seq: 0 };
        Named { id: RowId { stream: StreamId([stream; 16]), place }, key: None }
    }

    fn tally<'a>(rows: impl IntoIterator<Item = &'a Named>) -> Tally {
        let mut tally = Tally::default();
        rows.into_iter().for_each(|row| tally.add(row.id.bucket(), row.id.hash()));
        tally
    }

    #[test]
    fn a_row_that_one_has_not_passed_keeps_its_second_and_is_named() {
        let rows = vec![row(1, 1), row(1, 2), row(2, 1), row(3, 1)];
        let (all, less) = (tally(&rows), tally([&rows[1], &rows[2]]));
        let verdict = Verdict::on(rows.clone(), &[all, less]);
        assert_eq!(verdict.passed, [rows[2].clone()]);
        let unpassed = |second, row: &Named| Unpassed { consumer: 1, second, rows: 1, row: Some(row.id) };
        assert_eq!(verdict.unpassed, [unpassed(1, &rows[0]), unpassed(3, &rows[3])]);
    }

    #[test]
    fn one_that_tells_of_more_rows_than_there_are_is_not_believed() {
        let rows = vec![row(1, 1), row(1, 2)];
        let verdict = Verdict::on(rows[..1].to_vec(), &[tally(&rows)]);
        assert_eq!((verdict.passed.len(), verdict.unpassed[0].rows), (0, 1));
        assert_eq!(
            Verdict::on(Vec::new(), &[tally(&rows)]),
            Verdict::default(),
            "nothing is there to delete"
        );
    }

    proptest! {
        /// Whoever passed what: a row is deleted exactly when each consumer has passed all of its second and no more.
        #[test]
        fn only_what_all_have_passed_is_deleted(
            there in prop::collection::btree_set((0i64..4, 0u8..5), 0..12),
            missed in prop::collection::vec(prop::collection::btree_set((0i64..4, 0u8..5), 0..3), 1..4),
        ) {
            let rows: Vec<_> = there.iter().map(|(second, stream)| row(*second, *stream)).collect();
            let passed = |missed: &BTreeSet<(i64, u8)>| -> Vec<Named> {
                there.difference(missed).map(|(second, stream)| row(*second, *stream)).collect()
            };
            let tallies: Vec<_> = missed.iter().map(|missed| tally(&passed(missed))).collect();
            let verdict = Verdict::on(rows.clone(), &tallies);
            let spoiled: BTreeSet<i64> =
                missed.iter().flatten().filter(|row| there.contains(row)).map(|(second, _)| *second).collect();
            let wanted: Vec<_> = rows.into_iter().filter(|row| !spoiled.contains(&row.id.bucket())).collect();
            prop_assert_eq!(verdict.passed, wanted);
            let told: BTreeSet<i64> = verdict.unpassed.iter().map(|unpassed| unpassed.second).collect();
            prop_assert_eq!(told, spoiled);
            for unpassed in &verdict.unpassed {
                let of_second = |set: &BTreeSet<(i64, u8)>| {
                    set.iter().filter(|row| row.0 == unpassed.second && there.contains(row)).count() as u64
                };
                prop_assert_eq!(unpassed.rows, of_second(&missed[unpassed.consumer]));
            }
        }
    }
}
