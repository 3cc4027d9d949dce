//! How much may be on its way: a bound in bytes that waits without spinning.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// What librdkafka keeps for a message beside its bytes, roughly; it keeps a flood of tiny records bounded too.
const OVERHEAD: usize = 256;

/// Bytes handed to the producer and not yet reported on.
#[derive(Debug)]
pub(crate) struct Room {
    limit: usize,
    taken: AtomicUsize,
    waiting: AtomicUsize,
    freed: Notify,
}

impl Room {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, taken: AtomicUsize::new(0), waiting: AtomicUsize::new(0), freed: Notify::new() }
    }

    /// Takes room for a message of so many bytes, if there is any. An empty room takes any message.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let size = bytes + OVERHEAD;
        let before = self.taken.fetch_add(size, Ordering::SeqCst);
        let fits = before == 0 || before + size <= self.limit;
        if !fits {
            self.free(size);
        }
        fits
    }

    /// Gives back what [`Room::take`] took for this message.
    pub(crate) fn give_back(&self, bytes: usize) {
        self.free(bytes + OVERHEAD);
    }

    /// Waits until half of it is free, so that a waiting write goes on for a while and not for a single record.
    pub(crate) async fn half_free(&self) {
        let _waiting = Waiting::new(&self.waiting);
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if self.taken.load(Ordering::SeqCst) <= self.limit / 2 {
                return;
            }
            freed.await;
        }
    }

    fn free(&self, size: usize) {
        let left = self.taken.fetch_sub(size, Ordering::SeqCst) - size;
        if left <= self.limit / 2 && self.waiting.load(Ordering::SeqCst) > 0 {
            self.freed.notify_waiters();
        }
    }
}

/// Counts a waiter for as long as it waits, also when it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::{OVERHEAD, Room};

    #[tokio::test]
    async fn a_full_room_is_waited_for_until_half_of_it_is_free() {
        let room = Room::new(4 * (OVERHEAD + 100));
        assert!((0..4).all(|_| room.take(100)));
        assert!(!room.take(100), "a fifth message of four");
        let waiting = room.half_free();
        tokio::pin!(waiting);
        room.give_back(100);
        assert!(futures_poll(waiting.as_mut()).await.is_none(), "three quarters are taken");
        room.give_back(100);
        waiting.await;
        assert!(room.take(100));
    }

    #[tokio::test]
    async fn an_empty_room_takes_a_message_larger_than_itself() {
        let room = Room::new(10);
        assert!(room.take(1000));
        assert!(!room.take(0));
        room.give_back(1000);
        room.half_free().await;
        assert!(room.take(0));
    }

    /// The result of a future if it is ready now.
    async fn futures_poll<F: Future + Unpin>(future: F) -> Option<F::Output> {
        tokio::select! { biased; output = future => Some(output), () = std::future::ready(()) => None }
    }
}
