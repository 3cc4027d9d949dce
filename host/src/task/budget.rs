//! `Budget`: how much a task may have read but not settled, in records and in bytes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use weir_sdk::Room;

/// Bounds what is in flight, so that memory stays flat behind a slow sink. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: Room,
    taken: Mutex<Taken>,
    given_back: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    records: usize,
    bytes: usize,
}

impl Budget {
    /// A budget of so many records and bytes.
    pub fn new(records: usize, bytes: usize) -> Self {
        let limit = Room { records, bytes };
        Self(Arc::new(Shared { limit, taken: Mutex::default(), given_back: Notify::new() }))
    }

    /// Waits until anything may be read, and says how much.
    pub async fn room(&self) -> Room {
        loop {
            let given_back = self.0.given_back.notified();
            if let Some(room) = self.free() {
                return room;
            }
            given_back.await;
        }
    }

    /// Takes what was read; it may be more than there was room for, by the last record.
    pub fn take(&self, records: usize, bytes: usize) -> Share {
        let mut taken = self.taken();
        taken.records += records;
        taken.bytes += bytes;
        Share { budget: self.clone(), records, bytes }
    }

    /// Records read but not settled.
    pub fn records_taken(&self) -> usize {
        self.taken().records
    }

    fn free(&self) -> Option<Room> {
        let (limit, taken) = (self.0.limit, self.taken());
        let records = limit.records.saturating_sub(taken.records);
        let bytes = limit.bytes.saturating_sub(taken.bytes);
        (records > 0 && bytes > 0).then_some(Room { records, bytes })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one batch takes of the budget, given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    records: usize,
    bytes: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.budget.taken();
        taken.records -= self.records;
        taken.bytes -= self.bytes;
        drop(taken);
        self.budget.0.given_back.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;
    use futures::FutureExt;
    use weir_sdk::Room;

    #[tokio::test]
    async fn waits_while_either_limit_is_reached() {
        let budget = Budget::new(10, 100);
        let first = budget.take(4, 20);
        assert_eq!(budget.room().await, Room { records: 6, bytes: 80 });
        let large = budget.take(1, 500);
        assert!(budget.room().now_or_never().is_none());
        drop(large);
        let rest = budget.take(6, 1);
        assert!(budget.room().now_or_never().is_none());
        drop(first);
        assert_eq!(budget.room().await, Room { records: 4, bytes: 99 });
        drop(rest);
        assert_eq!(budget.records_taken(), 0);
    }
}
