//! `Fault`: the ways in which one call of `write` can go wrong.

use std::collections::HashMap;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Failed};
use crate::record::Record;
use crate::testing::records::order_key;

/// What one call of `write` does. All but [`Fault::Panic`] keep the contract of a sink.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing goes wrong.
    None,
    /// Nothing is written; the answer is `All(error)`.
    Refuse(Error),
    /// The records at these indexes fail, the others are written. Where the error is not the record's own fault, the
    /// later records of its key fail with it.
    Fail(Vec<(usize, Error)>),
    /// The first `after` records are written, the rest fails.
    Stop {
        /// How many are written.
        after: usize,
        /// Why the rest is not.
        error: Error,
    },
    /// All is written, but the answer is [`ErrorKind::Timeout`].
    Lose,
    /// No answer at all; the caller has to drop the call.
    Hang(Effect),
    /// So long on tokio's clock, then another fault.
    Delay(Duration, Box<Fault>),
    /// A panic before anything is written.
    Panic,
}

/// What becomes of the records of a call that hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// They are never written.
    None,
    /// They are written before the call hangs.
    Before,
    /// They are written just before the next call, or on close.
    Late,
}

impl Fault {
    /// The call takes so long and then works.
    pub fn slow(wait: Duration) -> Self {
        Self::Delay(wait, Box::new(Self::None))
    }

    /// Nothing is written; `All` of this kind.
    pub fn refuse(kind: ErrorKind) -> Self {
        Self::Refuse(scripted(kind))
    }

    /// The record at `index` fails with this kind.
    pub fn fail(index: usize, kind: ErrorKind) -> Self {
        Self::Fail(vec![(index, scripted(kind))])
    }
}

/// An error that says where it comes from.
pub(super) fn scripted(kind: ErrorKind) -> Error {
    Error::new(kind, format!("a {kind} error by the script of the test"))
}

/// `faults` that are among the records, and the later records of their keys where the fault is not the record's own.
pub(super) fn held_up(records: &[Record], faults: &[(usize, Error)]) -> Vec<Failed> {
    let mut failed = Vec::new();
    let mut holding: HashMap<_, Error> = HashMap::new();
    for (index, record) in records.iter().enumerate() {
        let own = faults.iter().find(|(at, _)| *at == index).map(|(_, error)| error);
        let held = holding.get(&order_key(record));
        let Some(error) = own.or(held).cloned() else { continue };
        if error.kind() != ErrorKind::Record {
            holding.entry(order_key(record)).or_insert_with(|| error.clone());
        }
        failed.push(Failed { index, error });
    }
    failed
}

/// Every record from the index `after` on.
pub(super) fn all_from(records: &[Record], after: usize, error: &Error) -> Vec<Failed> {
    let failed = |index| Failed { index, error: error.clone() };
    (after..records.len()).map(failed).collect()
}
