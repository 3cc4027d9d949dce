//! Which delivery report belongs to which record of which write.
//!
//! Each message carries one number through librdkafka. A write takes as many numbers in a row as it has records, so a
//! number tells both, and a record costs no allocation.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::error::RDKafkaErrorCode;
use tokio::sync::Notify;

/// The records of one write in one producer: how many reports are missing, and which were bad.
#[derive(Debug)]
pub(crate) struct Batch {
    first: usize,
    len: usize,
    /// Reports to come, and one for the write itself as long as it is handing over.
    missing: AtomicUsize,
    failures: Mutex<Vec<(usize, RDKafkaErrorCode)>>,
    settled: Notify,
}

impl Batch {
    /// The number that the record at this index carries.
    pub(crate) fn ticket(&self, index: usize) -> usize {
        self.first + index
    }

    fn holds(&self, ticket: usize) -> bool {
        (self.first..self.first + self.len).contains(&ticket)
    }

    /// Every record that was handed over has its report.
    pub(crate) fn is_settled(&self) -> bool {
        self.missing.load(Ordering::Acquire) == 0
    }

    /// Waits for the last report.
    pub(crate) async fn settled(&self) {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            if self.is_settled() {
                return;
            }
            settled.await;
        }
    }

    /// The bad reports so far, by index. Complete once the batch is settled.
    pub(crate) fn failures(&self) -> MutexGuard<'_, Vec<(usize, RDKafkaErrorCode)>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The batches of one producer that are not settled.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    open: Mutex<Open>,
    /// The batch of the last report: nearly always that of the next.
    last: Mutex<Option<Arc<Batch>>>,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Open {
    next: usize,
    /// In the order of their numbers.
    batches: VecDeque<Arc<Batch>>,
}

impl Tickets {
    /// Numbers for so many records. The batch settles only after [`Tickets::handed_over`].
    pub(crate) fn issue(&self, len: usize) -> Arc<Batch> {
        let mut open = self.open();
        let batch = Arc::new(Batch {
            first: open.next,
            len,
            missing: AtomicUsize::new(len + 1),
            failures: Mutex::default(),
            settled: Notify::new(),
        });
        open.next += len;
        open.batches.push_back(Arc::clone(&batch));
        batch
    }

    /// So many of the batch's records went to the producer; no more will.
    pub(crate) fn handed_over(&self, batch: &Arc<Batch>, sent: usize) {
        self.count_down(batch, batch.len - sent + 1);
    }

    /// A report arrived; a failure is recorded under the record's index.
    pub(crate) fn report(&self, ticket: usize, failure: Option<RDKafkaErrorCode>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if !last.as_ref().is_some_and(|batch| batch.holds(ticket)) {
            *last = self.find(ticket);
        }
        let Some(batch) = last.as_ref() else {
            tracing::error!(ticket, "a delivery report that nobody waits for");
            return;
        };
        if let Some(code) = failure {
            batch.failures().push((ticket - batch.first, code));
        }
        self.count_down(batch, 1);
    }

    /// Waits until nothing is on its way.
    pub(crate) async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            if self.open().batches.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    fn count_down(&self, batch: &Arc<Batch>, by: usize) {
        if batch.missing.fetch_sub(by, Ordering::AcqRel) > by {
            return;
        }
        let mut open = self.open();
        let place = open.batches.binary_search_by_key(&batch.first, |open| open.first);
        // A batch of no records shares its number with the next one.
        let same = |open: &VecDeque<Arc<Batch>>| open.iter().position(|open| Arc::ptr_eq(open, batch));
        let place = place.ok().filter(|&place| Arc::ptr_eq(&open.batches[place], batch));
        if let Some(place) = place.or_else(|| same(&open.batches)) {
            open.batches.remove(place);
        }
        let empty = open.batches.is_empty();
        drop(open);
        batch.settled.notify_waiters();
        if empty {
            self.emptied.notify_waiters();
        }
    }

    fn find(&self, ticket: usize) -> Option<Arc<Batch>> {
        let open = self.open();
        let behind = open.batches.partition_point(|batch| batch.first <= ticket);
        open.batches.range(..behind).rev().find(|batch| batch.holds(ticket)).cloned()
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Tickets;
    use rdkafka::error::RDKafkaErrorCode::{self, MessageSizeTooLarge};

    #[tokio::test]
    async fn reports_find_their_write_in_any_order() {
        let tickets = Tickets::default();
        let (first, second) = (tickets.issue(2), tickets.issue(3));
        tickets.handed_over(&first, 2);
        tickets.handed_over(&second, 2);
        tickets.report(second.ticket(0), None);
        tickets.report(first.ticket(1), Some(MessageSizeTooLarge));
        assert!(!first.is_settled());
        tickets.report(second.ticket(1), None);
        second.settled().await;
        tickets.report(first.ticket(0), None);
        first.settled().await;
        tickets.emptied().await;
        assert_eq!(*first.failures(), [(1, MessageSizeTooLarge)]);
        assert_eq!(*second.failures(), Vec::<(usize, RDKafkaErrorCode)>::new());
    }

    #[tokio::test]
    async fn a_write_that_sends_nothing_settles_and_hides_no_other() {
        let tickets = Tickets::default();
        let (none, some, unsent) = (tickets.issue(0), tickets.issue(1), tickets.issue(5));
        tickets.handed_over(&some, 1);
        tickets.handed_over(&unsent, 0);
        unsent.settled().await;
        tickets.handed_over(&none, 0);
        none.settled().await;
        assert!(!some.is_settled());
        tickets.report(some.ticket(0), None);
        tickets.emptied().await;
    }
}
