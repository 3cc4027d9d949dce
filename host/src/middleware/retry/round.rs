//! `Round`: what is known of one write between two attempts.

use weir_sdk::{Backoff, Error, ErrorKind, Failed, Records, WriteError};

use super::Settings;
use crate::middleware::policy::{self, Decision};

/// One write that has failed at least once.
pub(super) struct Round {
    records: Records,
    /// Indexes of the records that are not settled, in pieces, each an attempt of its own. The last piece is the next
    /// to be sent, and pieces are sent in the order of their records.
    pieces: Vec<Vec<usize>>,
    /// Refused for good.
    dead: Vec<Failed>,
    /// Failed attempts of the piece that is being sent.
    pub(super) failures: u32,
    pub(super) backoff: Backoff,
}

/// What the answer to an attempt leaves to do.
pub(super) enum Next {
    /// Every record is settled.
    Done,
    /// The next piece is to be sent.
    Onward,
    /// The piece was refused as a whole: its halves are to be sent.
    Split,
    /// What is left of the piece failed in a way that is not the records' own.
    Unsettled(Error),
}

impl Round {
    pub(super) fn new(records: Records, settings: &Settings) -> Self {
        let backoff = Backoff::new(settings.initial, settings.factor, settings.max);
        let all = (0..records.len()).collect();
        Self { records, pieces: vec![all], dead: Vec::new(), failures: 0, backoff }
    }

    /// The records of the next attempt.
    pub(super) fn attempt(&self) -> Records {
        match self.pieces.last() {
            Some(piece) if piece.len() < self.records.len() => self.records.pick(piece.iter().copied()),
            _ => self.records.clone(),
        }
    }

    /// Takes in the answer to the last attempt.
    pub(super) fn settle(&mut self, answer: Result<(), WriteError>) -> Next {
        let piece = self.pieces.pop().unwrap_or_default();
        let failed = match answer {
            Ok(()) => Vec::new(),
            Err(WriteError::All(error)) if policy::decide(error.kind()) != Decision::Dead => {
                self.pieces.push(piece);
                return Next::Unsettled(error);
            }
            Err(WriteError::All(_)) if piece.len() > 1 => {
                self.split(piece);
                return Next::Split;
            }
            Err(WriteError::All(error)) => vec![Failed { index: 0, error }],
            Err(WriteError::Some(failed)) => failed,
        };
        let (mut left, mut first) = (Vec::new(), None);
        for Failed { index, error } in failed {
            let index = piece[index];
            if policy::decide(error.kind()) == Decision::Dead {
                self.dead.push(Failed { index, error });
            } else {
                left.push(index);
                first.get_or_insert(error);
            }
        }
        if left.len() < piece.len() {
            self.begin_anew();
        }
        if !left.is_empty() {
            self.pieces.push(left);
        }
        match first {
            Some(error) => Next::Unsettled(error),
            None if self.pieces.is_empty() => Next::Done,
            None => Next::Onward,
        }
    }

    /// The far side works, or was waited for: attempts and delays begin anew.
    pub(super) fn begin_anew(&mut self) {
        self.failures = 0;
        self.backoff.reset();
    }

    /// Gives up what was sent last as if it were the records' own fault; whether anything else is left.
    pub(super) fn bury(&mut self, error: &Error) -> bool {
        let failures = self.failures;
        let dead = Error::new(ErrorKind::Record, format!("given up after {failures} attempts"));
        let dead = dead.caused_by(error.clone()).attempted(failures);
        let piece = self.pieces.pop().unwrap_or_default();
        self.dead.extend(piece.into_iter().map(|index| Failed { index, error: dead.clone() }));
        self.begin_anew();
        !self.pieces.is_empty()
    }

    /// Gives up all that is left, for this reason.
    pub(super) fn give_up(mut self, error: &Error) -> Result<(), WriteError> {
        let left = self.pieces.iter().flatten();
        self.dead.extend(left.map(|index| Failed { index: *index, error: error.clone() }));
        self.finish()
    }

    /// The answer for all records.
    pub(super) fn finish(mut self) -> Result<(), WriteError> {
        if self.dead.is_empty() {
            return Ok(());
        }
        self.dead.sort_by_key(|failed| failed.index);
        Err(WriteError::Some(self.dead))
    }

    fn split(&mut self, mut first: Vec<usize>) {
        let second = first.split_off(first.len().div_ceil(2));
        self.pieces.push(second);
        self.pieces.push(first);
    }
}
