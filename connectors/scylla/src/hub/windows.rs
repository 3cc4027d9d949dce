//! Which windows of the log are being read or were just now, so that seats at the same place read the same ones.
//!
//! Windows follow each other, and a seat that goes by them stays with the others without knowing of them. One that is
//! elsewhere ends its next window where one of them begins.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::reader::clock::Now;
use crate::reader::progress::Progress;
use crate::reader::time::Micros;
use crate::reader::window::Window;

/// So many windows are remembered: the last minute at least.
const MOST: usize = 1_000;

/// The windows, by their begin; of two that begin at one place the newer one.
#[derive(Debug)]
pub struct Windows<R> {
    known: BTreeMap<Micros, Known<R>>,
    next: u64,
}

/// A window that was opened.
#[derive(Clone, Debug)]
pub struct Known<R> {
    /// Its bounds.
    pub window: Window,
    /// Who reads it, and keeps its pages.
    pub read: R,
    /// When.
    pub opened: Instant,
    /// There was more to read behind it.
    pub behind: bool,
    number: u64,
}

/// A read of a window, as far as it matters to those who come later.
pub trait Kept {
    /// A time before its first answer.
    fn began(&self) -> Now;
    /// Can all of it be had?
    fn is_whole(&self) -> bool;
}

/// What to read next.
#[derive(Debug)]
pub enum Next<'w, R> {
    /// This window, which nobody reads.
    Open(Window),
    /// One that somebody reads.
    Join(&'w Known<R>),
}

impl<R> Default for Windows<R> {
    fn default() -> Self {
        Self { known: BTreeMap::new(), next: 0 }
    }
}

impl<R> Windows<R> {
    /// The window that begins at `from`.
    fn at(&self, from: Micros) -> Option<&Known<R>> {
        self.known.get(&from)
    }

    /// What one reads next whose books are `progress`: the window that an earlier run left open, one that others read if
    /// it does not pass `limit`, or else what is `wanted`, up to where another one begins.
    pub fn next(&self, progress: &Progress, limit: Micros, wanted: Option<Window>) -> Option<Next<'_, R>>
    where
        R: Kept,
    {
        let known = self.at(progress.cut()).filter(|known| known.read.is_whole());
        if let (Some(window), Some(began)) = (progress.window(), progress.opened()) {
            // What was read of it was there when it began, so who reads the rest must not have begun before.
            let fits = known.filter(|known| known.window == window && known.read.began().shown >= began);
            return Some(fits.map_or(Next::Open(window), Next::Join));
        }
        if let Some(known) = known.filter(|known| known.window.to <= limit) {
            return Some(Next::Join(known));
        }
        wanted.map(|wanted| Next::Open(self.align(wanted)))
    }

    /// The window that one should read who wants this one: as far as the newest place where another one ends.
    fn align(&self, wanted: Window) -> Window {
        let ends = self.known.range(..wanted.to).map(|(_, known)| known.window.to);
        let last = ends.filter(|to| (wanted.from + 1..=wanted.to).contains(to)).max();
        Window { to: last.unwrap_or(wanted.to), ..wanted }
    }

    /// Does a window that others read begin here?
    pub fn offers(&self, from: Micros) -> bool
    where
        R: Kept,
    {
        self.at(from).is_some_and(|known| known.read.is_whole())
    }

    /// A window is opened now.
    pub fn open(&mut self, window: Window, read: R, behind: bool) -> &Known<R> {
        let number = self.next;
        self.next += 1;
        if let Some(last) = number.checked_sub(MOST as u64) {
            self.known.retain(|_, known| known.number > last);
        }
        let known = Known { window, read, opened: Instant::now(), behind, number };
        self.known.insert(window.from, known);
        &self.known[&window.from]
    }

    /// Forgets all windows.
    pub fn clear(&mut self) {
        self.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Windows};
    use crate::reader::window::Window;

    fn window(from: i64, to: i64) -> Window {
        Window { from, to }
    }

    #[test]
    fn who_is_elsewhere_ends_where_another_one_begins() {
        let mut windows = Windows::default();
        for bounds in [(10, 20), (20, 30), (30, 40)] {
            windows.open(window(bounds.0, bounds.1), (), false);
        }
        assert_eq!(windows.at(20).unwrap().window, window(20, 30));
        assert!(windows.at(25).is_none());
        let aligned = |from, to| windows.align(window(from, to)).to;
        assert_eq!(aligned(0, 99), 40, "the newest place");
        assert_eq!(aligned(0, 35), 30);
        assert_eq!(aligned(25, 35), 30);
        assert_eq!(aligned(0, 15), 15, "no other one ends there");
        assert_eq!(aligned(40, 99), 99, "it is the first");
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut windows = Windows::default();
        let many = i64::try_from(MOST).unwrap() + 10;
        for at in 0..many {
            assert_eq!(windows.open(window(at, at + 1), (), false).window.from, at);
        }
        assert_eq!(windows.known.len(), MOST);
        assert!(windows.at(9).is_none() && windows.at(many - 1).is_some());
    }
}
