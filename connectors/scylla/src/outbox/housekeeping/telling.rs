//! Telling others what a consumer has passed, once it is durable and saved.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use weir_sdk::{Checkpoint, Commits, Conditions, Error, async_trait};

use super::ledger::Ledger;
use super::trouble::Trouble;
use crate::reader::tally::{Minute, Word};
use crate::reader::token::tallies::Tallies;

/// What is to be told, and what was.
#[derive(Debug, Default)]
pub struct Telling {
    lists: Mutex<Lists>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Lists {
    waiting: BTreeMap<Minute, Word>,
    told: Vec<(Minute, Word)>,
}

impl Telling {
    /// These are saved, and wait to be told.
    pub fn add(&self, whole: BTreeMap<Minute, Word>) {
        if !whole.is_empty() {
            self.lists().waiting.extend(whole);
            self.news.notify_one();
        }
    }

    /// What was told since the last call.
    pub fn take_told(&self) -> Vec<(Minute, Word)> {
        std::mem::take(&mut self.lists().told)
    }

    fn first(&self) -> Option<(Minute, Word)> {
        self.lists().waiting.first_key_value().map(|(minute, word)| (*minute, word.clone()))
    }

    fn done(&self, minute: Minute, word: Word) {
        let mut lists = self.lists();
        // It may have been read again meanwhile, and then it is told again.
        if lists.waiting.get(&minute) == Some(&word) {
            lists.waiting.remove(&minute);
        }
        lists.told.push((minute, word));
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Commits for Telling {
    async fn commit(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        self.add(Tallies::whole(checkpoint)?);
        Ok(())
    }
}

/// Writes what is to be told into the ledger, minute after minute, as often as it takes.
pub async fn tell(consumer: String, ledger: Arc<Ledger>, telling: Arc<Telling>, conditions: Conditions) {
    let mut trouble = Trouble::new(conditions);
    loop {
        let Some((minute, word)) = telling.first() else {
            telling.news.notified().await;
            continue;
        };
        match ledger.tell(&consumer, minute, &word).await {
            Ok(()) => {
                telling.done(minute, word);
                trouble.over();
            }
            Err(error) => trouble.wait(&error).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Telling;
    use crate::reader::tally::Tally;
    use crate::reader::token::tallies;
    use weir_sdk::{Checkpoint, Commits};

    #[tokio::test]
    async fn what_is_read_again_while_it_is_told_is_told_again() {
        let telling = Telling::default();
        let tally = |hash| {
            let mut tally = Tally::default();
            tally.add(60, hash);
            tally
        };
        let commit = async |hash| {
            let mut checkpoint = Checkpoint::default();
            checkpoint.set(tallies::of(1), tallies::put_whole(&tally(hash)));
            checkpoint.set(tallies::of(2), tallies::put_open(&Tally::default()));
            telling.commit(&checkpoint).await.unwrap();
        };
        commit(7).await;
        let (minute, first) = telling.first().unwrap();
        commit(8).await;
        telling.done(minute, first.clone());
        assert_eq!(telling.take_told(), [(1, first)]);
        let (minute, second) = telling.first().unwrap();
        assert_eq!((minute, &second.tally), (1, &tally(8)));
        telling.done(minute, second);
        assert_eq!((telling.first(), telling.take_told().len()), (None, 1), "what may change is not told");
    }
}
