//! `Troubled`: a sink that keeps what it is given in memory, and goes wrong as it is told.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use weir_sdk::config::Problem;
use weir_sdk::{
    Context, Error, ErrorKind, Failed, Record, Records, Sink, SinkFactory, WriteError, async_trait,
};

/// What goes wrong in a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    None,
    Panics,
    Hangs,
    /// Each write takes so much longer than the one before.
    LeaksTime(Duration),
    /// One write of three is refused in part.
    FailsInPart,
    Fails,
    /// One write of three goes wrong, at random.
    Random,
}

/// The connector and the open sink alike; clones share everything.
#[derive(Clone)]
pub(super) struct Troubled(Arc<Shared>);

struct Shared {
    trouble: Mutex<Trouble>,
    writes: AtomicU32,
    chance: Mutex<SmallRng>,
    records: Mutex<Vec<Record>>,
}

impl Troubled {
    pub(super) const NAME: &str = "troubled";

    pub(super) fn new(trouble: Trouble) -> Self {
        Self(Arc::new(Shared {
            trouble: Mutex::new(trouble),
            writes: AtomicU32::new(0),
            chance: Mutex::new(SmallRng::seed_from_u64(4)),
            records: Mutex::default(),
        }))
    }

    /// From now on all is well.
    pub(super) fn heal(&self) {
        *lock(&self.0.trouble) = Trouble::None;
    }

    /// Everything written so far, in the order in which it came.
    pub(super) fn records(&self) -> Vec<Record> {
        lock(&self.0.records).clone()
    }

    /// How many records were written so far.
    pub(super) fn len(&self) -> usize {
        lock(&self.0.records).len()
    }

    fn keep(&self, records: impl IntoIterator<Item = Record>) {
        lock(&self.0.records).extend(records);
    }

    /// Refuses the record at `index` and the later ones of its key, and keeps the others.
    fn refuse_from(&self, records: &[Record], index: usize) -> Result<(), WriteError> {
        let key = &records[index].key;
        let is_held_up = |at: usize| at >= index && records[at].key == *key;
        self.keep((0..records.len()).filter(|at| !is_held_up(*at)).map(|at| records[at].clone()));
        let failed = (index..records.len()).filter(|at| is_held_up(*at));
        Err(WriteError::Some(failed.map(|index| Failed { index, error: trouble() }).collect()))
    }

    async fn at_random(&self, records: &Records) -> Result<(), WriteError> {
        let (kind, at) = {
            let mut chance = lock(&self.0.chance);
            let goes_wrong = chance.random_ratio(1, 3);
            (goes_wrong.then(|| chance.random_range(0..5)), chance.random_range(0..records.len()))
        };
        match kind {
            None => self.keep(records.to_vec()),
            Some(0) => return Err(trouble().into()),
            Some(1) => return self.refuse_from(records, at),
            Some(2) => {
                self.keep(records.to_vec());
                return Err(Error::new(ErrorKind::Timeout, "the answer is lost").into());
            }
            Some(3) => std::future::pending().await,
            Some(_) => {
                self.keep(records.to_vec());
                std::future::pending::<()>().await;
            }
        }
        Ok(())
    }
}

/// That every key's records came in order: one may go back, as a repeat does, but forward only one at a time.
pub(super) fn whole(records: &[Record], keys: usize) -> Whole {
    let (mut seen, mut next) = (HashSet::new(), std::collections::HashMap::<Bytes, u64>::new());
    for record in records {
        let (key, number) = (record.key.clone().unwrap(), record.headers.get("sequence_number").unwrap());
        let number: u64 = std::str::from_utf8(number).unwrap().parse().unwrap();
        let due = next.entry(key.clone()).or_default();
        assert!(number <= *due, "{number} of {key:?} came before {due}");
        *due = number + 1;
        seen.insert((key, number));
    }
    assert!(next.len() <= keys, "{} keys", next.len());
    Whole { distinct: seen.len(), repeated: records.len() - seen.len() }
}

/// What came, counted.
pub(super) struct Whole {
    pub(super) distinct: usize,
    pub(super) repeated: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn trouble() -> Error {
    Error::new(ErrorKind::Transient, "no luck, by order of the test")
}

#[async_trait]
impl Sink for Troubled {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
        let write = self.0.writes.fetch_add(1, Ordering::Relaxed);
        let now = *lock(&self.0.trouble);
        match now {
            Trouble::Panics => panic!("out of luck, by order of the test"),
            Trouble::Hangs => std::future::pending().await,
            Trouble::Fails => return Err(trouble().into()),
            Trouble::FailsInPart if write % 3 == 2 => return self.refuse_from(&records, records.len() / 2),
            Trouble::Random => return self.at_random(&records).await,
            Trouble::LeaksTime(more) => tokio::time::sleep(more * write).await,
            Trouble::None | Trouble::FailsInPart => {}
        }
        self.keep(records.into_vec());
        Ok(())
    }

    async fn probe(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[async_trait]
impl SinkFactory for Troubled {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn config_schema(&self) -> Value {
        serde_json::json!({ "type": "object" })
    }

    fn check(&self, _config: &Value) -> Vec<Problem> {
        Vec::new()
    }

    async fn open(&self, _config: Value, _context: Context) -> Result<Arc<dyn Sink>, Error> {
        Ok(Arc::new(self.clone()))
    }
}
