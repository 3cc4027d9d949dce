//! `Position` and `To`: what a checkpoint says to the operator, and where the operator may send a task.

use std::fmt;

use crate::checkpoint::{Checkpoint, Offset};
use crate::record::Timestamp;

/// What a checkpoint says, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// In words.
    pub words: String,
    /// Everything of before this time was read, where the source goes by time.
    pub time: Option<Timestamp>,
}

/// Where the operator sends a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// To the oldest record that there is.
    Earliest,
    /// To the oldest record, with what the source holds beside its records before it: the rows of the table whose log it
    /// reads. Where there is nothing of the kind it is the same as the oldest record.
    Everything,
    /// Behind the newest one, or less than a second before: a source may go by whole seconds.
    Latest,
    /// To the first record of this time or later, likewise.
    At(Timestamp),
}

/// So many partitions are told by name.
const NAMED: usize = 5;

impl Position {
    /// The offsets as they stand there, where nobody knows what they mean.
    pub fn of(checkpoint: &Checkpoint) -> Self {
        let partitions = checkpoint.iter().filter_map(|(partition, offset)| Some((partition, offset?)));
        let partitions: Vec<_> = partitions.collect();
        let named = partitions.iter().take(NAMED);
        let mut words: Vec<_> =
            named.map(|(partition, offset)| format!("{partition} at {}", Shown(offset))).collect();
        match partitions.len() {
            0 => words.push("at the begin".to_owned()),
            all if all > NAMED => words.push(format!("and {} more partitions", all - NAMED)),
            _ => {}
        }
        Self { words: words.join(", "), time: None }
    }
}

/// An offset as text where it is some, and short.
struct Shown<'a>(&'a Offset);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.as_bytes();
        match std::str::from_utf8(bytes) {
            Ok(text) if text.len() <= 60 && text.chars().all(|char| !char.is_control()) => f.write_str(text),
            _ => write!(f, "an offset of {} bytes", bytes.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Position;
    use crate::checkpoint::{Checkpoint, Partition};

    #[test]
    fn offsets_are_shown_where_they_can_be_read() {
        let words = |checkpoint: &Checkpoint| Position::of(checkpoint).words;
        assert_eq!(words(&Checkpoint::default()), "at the begin");
        let mut some: Checkpoint = [(Partition::from("orders/0"), "17")].into_iter().collect();
        some.set(Partition::from("orders/1"), vec![0, 1]);
        some.retire(Partition::from("orders/2"));
        assert_eq!(words(&some), "orders/0 at 17, orders/1 at an offset of 2 bytes");
        let many: Checkpoint = (0..7).map(|n| (Partition::from(n.to_string()), "1")).collect();
        assert_eq!(words(&many), "0 at 1, 1 at 1, 2 at 1, 3 at 1, 4 at 1, and 2 more partitions");
    }
}
