//! The pages that are kept for those who come for them later, within a budget: the pure half of shared reading.
//!
//! A read is a sequence of pages. They are kept in the order in which they came and given up in the same order, over
//! all reads, so that a seat that is a little behind finds everything and one that is far behind costs no memory.

use std::collections::{BTreeMap, VecDeque};

/// Reads and what is kept of them.
#[derive(Debug)]
pub struct Ring<P> {
    reads: BTreeMap<u64, Kept<P>>,
    next: u64,
    bytes: usize,
    budget: usize,
}

#[derive(Debug)]
struct Kept<P> {
    /// Pages that are not kept any more.
    gone: usize,
    pages: VecDeque<(P, usize)>,
    ended: bool,
    /// What the read takes beside its pages.
    own: usize,
}

/// What there is at a place of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At<P> {
    /// This page.
    Page(P),
    /// Nothing yet.
    Open,
    /// The end.
    End,
    /// Nobody knows any more.
    Gone,
}

impl<P: Clone> Ring<P> {
    /// Keeps at most so many bytes.
    pub fn new(budget: usize) -> Self {
        Self { reads: BTreeMap::new(), next: 0, bytes: 0, budget }
    }

    /// A new read begins, which takes so many bytes beside its pages; its number.
    pub fn begin(&mut self, own: usize) -> u64 {
        let number = self.next;
        self.next += 1;
        self.reads.insert(number, Kept { gone: 0, pages: VecDeque::new(), ended: false, own });
        self.bytes += own;
        self.trim();
        number
    }

    /// The next page of a read.
    pub fn keep(&mut self, read: u64, page: P, bytes: usize) {
        if let Some(kept) = self.reads.get_mut(&read) {
            kept.pages.push_back((page, bytes));
            self.bytes += bytes;
            self.trim();
        }
    }

    /// The next page of a read is kept for nobody: there is nobody else.
    pub fn pass(&mut self, read: u64) {
        if let Some(kept) = self.reads.get_mut(&read) {
            kept.gone += kept.pages.len() + 1;
            self.bytes -= kept.pages.drain(..).map(|(_, bytes)| bytes).sum::<usize>();
        }
    }

    /// A read has no more pages.
    pub fn end(&mut self, read: u64) {
        if let Some(kept) = self.reads.get_mut(&read) {
            kept.ended = true;
        }
    }

    /// Nobody will come for a read any more.
    pub fn forget(&mut self, read: u64) {
        if let Some(kept) = self.reads.remove(&read) {
            self.bytes -= kept.own + kept.pages.iter().map(|(_, bytes)| bytes).sum::<usize>();
        }
    }

    /// What there is behind the first `at` pages of a read.
    pub fn at(&self, read: u64, at: usize) -> At<P> {
        let Some(kept) = self.reads.get(&read) else { return At::Gone };
        let Some(index) = at.checked_sub(kept.gone) else { return At::Gone };
        match kept.pages.get(index) {
            Some((page, _)) => At::Page(page.clone()),
            None if kept.ended => At::End,
            None => At::Open,
        }
    }

    /// Can a read be had from its begin?
    pub fn is_whole(&self, read: u64) -> bool {
        self.reads.get(&read).is_some_and(|kept| kept.gone == 0)
    }

    /// Forgets all reads.
    pub fn clear(&mut self) {
        self.reads.clear();
        self.bytes = 0;
    }

    fn trim(&mut self) {
        while self.bytes > self.budget {
            let Some(mut oldest) = self.reads.first_entry() else { return };
            let kept = oldest.get_mut();
            if let Some((_, bytes)) = kept.pages.pop_front() {
                kept.gone += 1;
                self.bytes -= bytes;
            } else {
                self.bytes -= oldest.remove().own;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{At, Ring};
    use proptest::prelude::*;

    #[test]
    fn pages_are_found_again_until_the_budget_takes_the_oldest() {
        let mut ring = Ring::new(10);
        let (a, b) = (ring.begin(1), ring.begin(1));
        ring.keep(a, "a0", 3);
        ring.keep(b, "b0", 3);
        assert_eq!((ring.at(a, 0), ring.at(a, 1), ring.is_whole(a)), (At::Page("a0"), At::Open, true));
        ring.end(b);
        assert_eq!(ring.at(b, 1), At::End);
        ring.keep(a, "a1", 3);
        assert_eq!((ring.at(a, 0), ring.at(a, 1), ring.is_whole(a)), (At::Gone, At::Page("a1"), false));
        ring.keep(b, "b1", 9);
        assert_eq!((ring.at(a, 1), ring.at(b, 0), ring.at(b, 1)), (At::Gone, At::Gone, At::Page("b1")));
    }

    #[test]
    fn a_read_that_is_forgotten_makes_room_for_others() {
        let mut ring = Ring::new(10);
        let (a, b) = (ring.begin(1), ring.begin(1));
        ring.keep(a, "a0", 4);
        ring.keep(b, "b0", 4);
        ring.forget(a);
        ring.forget(a);
        ring.keep(b, "b1", 5);
        assert_eq!((ring.at(a, 0), ring.at(b, 0), ring.at(b, 1)), (At::Gone, At::Page("b0"), At::Page("b1")));
        assert_eq!(ring.bytes, 10, "and not a byte is counted twice");
    }

    #[test]
    fn what_is_kept_for_nobody_is_gone_for_who_comes() {
        let mut ring = Ring::new(10);
        let a = ring.begin(0);
        ring.keep(a, "a0", 1);
        ring.pass(a);
        assert_eq!((ring.at(a, 0), ring.at(a, 1), ring.at(a, 2)), (At::Gone, At::Gone, At::Open));
        ring.keep(a, "a2", 1);
        assert_eq!(ring.at(a, 2), At::Page("a2"));
        ring.clear();
        assert_eq!(ring.at(a, 2), At::Gone);
    }

    proptest! {
        #[test]
        fn what_is_there_is_what_was_put_there_and_fits_the_budget(puts in prop::collection::vec((0u64..6, 1usize..9), 0..80)) {
            let mut ring = Ring::new(30);
            let mut model = vec![Vec::new(); 6];
            (0..6).for_each(|read| assert_eq!(ring.begin(1), read));
            for (read, bytes) in puts {
                let page = (read, model[usize::try_from(read).unwrap()].len(), bytes);
                model[usize::try_from(read).unwrap()].push(page);
                ring.keep(read, page, bytes);
                let mut kept = 0;
                for (read, pages) in (0u64..).zip(&model) {
                    let found: Vec<_> = (0..pages.len()).map(|at| ring.at(read, at)).collect();
                    let lost = found.iter().take_while(|at| **at == At::Gone).count();
                    for (at, page) in pages.iter().enumerate().skip(lost) {
                        prop_assert_eq!(&found[at], &At::Page(*page));
                        kept += page.2;
                    }
                }
                prop_assert!(kept <= 30);
            }
        }
    }
}
