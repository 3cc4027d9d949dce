//! `Chance`: faults drawn at random from a seed.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::fault::scripted;
use super::{Effect, Fault};
use crate::error::ErrorKind;
use crate::record::Record;

/// Draws a fault for one call in so many.
pub(super) struct Chance {
    random: SmallRng,
    one_in: u32,
}

impl Chance {
    pub(super) fn new(seed: u64, one_in: u32) -> Self {
        Self { random: SmallRng::seed_from_u64(seed), one_in: one_in.max(1) }
    }

    /// A fault that the same records, sent again, may survive.
    pub(super) fn fault(&mut self, records: &[Record]) -> Option<Fault> {
        if records.is_empty() || !self.random.random_ratio(1, self.one_in) {
            return None;
        }
        let at = self.random.random_range(0..records.len());
        Some(match self.random.random_range(0..7) {
            0 => Fault::refuse(ErrorKind::Transient),
            1 => Fault::fail(at, ErrorKind::Transient),
            2 => Fault::Stop { after: at, error: scripted(ErrorKind::Transient) },
            3 => Fault::Lose,
            4 => Fault::Hang(Effect::None),
            5 => Fault::Hang(Effect::Before),
            _ => Fault::Hang(Effect::Late),
        })
    }
}
