//! What the housekeeper has heard from all consumers of one minute.

use weir_sdk::Error;

use super::ledger::Ledger;
use crate::reader::tally::{Minute, Tally};

/// What consumers have told of a minute.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// Each has told: what each has passed, in the order of the list.
    All(Vec<Tally>),
    /// One of them has told nothing of it nor of later ones: its place in the list.
    WaitsFor(usize),
    /// One of them has begun, or begun to tell, with this later minute: what it has passed before nobody knows.
    BeginsWith(Minute),
}

impl Heard {
    /// Asks the ledger.
    pub async fn of(minute: Minute, consumers: &[String], ledger: &Ledger) -> Result<Self, Error> {
        let (mut tallies, mut begin) = (Vec::with_capacity(consumers.len()), minute);
        for (index, consumer) in consumers.iter().enumerate() {
            match ledger.told(consumer, minute).await? {
                None => return Ok(Self::WaitsFor(index)),
                Some((told, word)) if told == minute => tallies.push(word.tally),
                Some((later, word)) if word.begins => begin = begin.max(later),
                // It was sent beyond this minute, and has passed nothing of it; or it is younger.
                Some((later, _)) => match ledger.told(consumer, 0).await? {
                    Some((first, _)) if first < minute => tallies.push(Tally::default()),
                    Some(_) | None => begin = begin.max(later),
                },
            }
        }
        Ok(if begin > minute { Self::BeginsWith(begin) } else { Self::All(tallies) })
    }
}
