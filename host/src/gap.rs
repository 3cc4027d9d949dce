//! `Acceptance`: the operator's word that what a gap of a task has lost is lost. It holds for one gap.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shared by a task's supervisor and its lives. Cloning shares it; by default nothing is accepted.
#[derive(Clone, Debug, Default)]
pub struct Acceptance(Arc<Mutex<Word>>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Word {
    #[default]
    Refused,
    Given,
    /// A gap was found, and the next source that opens may pass over it.
    InUse,
}

impl Acceptance {
    /// One gap is accepted.
    pub fn given() -> Self {
        Self(Arc::new(Mutex::new(Word::Given)))
    }

    /// A gap was found: may the task go on over it? A second gap, or the same one again, may not.
    pub fn take_up(&self) -> bool {
        let mut word = self.word();
        let accepted = *word == Word::Given;
        *word = if accepted { Word::InUse } else { Word::Refused };
        accepted
    }

    /// The source that opens now may pass over the gap.
    pub fn is_in_use(&self) -> bool {
        *self.word() == Word::InUse
    }

    /// A source has opened, and where it begins is saved: the gap lies behind.
    pub fn passed(&self) {
        let mut word = self.word();
        if *word == Word::InUse {
            *word = Word::Refused;
        }
    }

    fn word(&self) -> MutexGuard<'_, Word> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Acceptance;

    #[test]
    fn the_word_holds_for_one_gap() {
        let word = Acceptance::given();
        word.passed();
        assert!(!word.is_in_use() && word.take_up(), "a life without a gap does not use it up");
        assert!(word.is_in_use());
        word.passed();
        assert!(!word.is_in_use() && !word.take_up());
        let ignored = Acceptance::given();
        assert!(
            ignored.take_up() && !ignored.take_up() && !ignored.is_in_use(),
            "the source does not heed it"
        );
        assert!(!Acceptance::default().take_up());
    }
}
