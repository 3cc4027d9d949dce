//! `Slots`: which partition of the source is in which row of the table.

use std::collections::HashMap;

use bytes::Bytes;
use weir_sdk::{Checkpoint, Offset, Partition};

/// The rows of one task.
#[derive(Debug, Default)]
pub struct Slots {
    of: HashMap<Partition, i32>,
    free: Vec<i32>,
    next: i32,
}

/// What is to be written into one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which row.
    pub slot: i32,
    /// The partition and its offset; `None` frees the row.
    pub content: Option<(Partition, Bytes)>,
}

impl Change {
    /// How many bytes it takes in a batch, about.
    pub fn size(&self) -> usize {
        self.content.as_ref().map_or(0, |(name, offset)| name.as_str().len() + offset.len()) + 32
    }
}

impl Slots {
    /// The row holds this partition.
    pub fn found(&mut self, slot: i32, partition: Partition) {
        self.of.insert(partition, slot);
    }

    /// All rows are found: those between them are free.
    pub fn complete(&mut self) {
        self.next = self.of.values().max().map_or(0, |last| last + 1);
        let mut taken: Vec<_> = self.of.values().copied().collect();
        taken.sort_unstable();
        self.free = (0..self.next).filter(|slot| taken.binary_search(slot).is_err()).rev().collect();
    }

    /// What a save has to write, offsets first. Partitions that are new get a row, and keep it if the save fails, since
    /// it may yet take effect.
    pub fn place(&mut self, checkpoint: &Checkpoint) -> Vec<Change> {
        let mut changes = Vec::with_capacity(checkpoint.len());
        for (partition, offset) in set(checkpoint) {
            let slot = self.of.get(partition).copied().unwrap_or_else(|| self.take(partition));
            changes.push(Change { slot, content: Some((partition.clone(), offset.as_bytes().clone())) });
        }
        let freed = retired(checkpoint).filter_map(|partition| self.of.get(partition));
        changes.extend(freed.map(|slot| Change { slot: *slot, content: None }));
        changes
    }

    /// The save is durable: the rows of retired partitions may be used again.
    pub fn settle(&mut self, checkpoint: &Checkpoint) {
        for partition in retired(checkpoint) {
            self.free.extend(self.of.remove(partition));
        }
    }

    fn take(&mut self, partition: &Partition) -> i32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        });
        self.of.insert(partition.clone(), slot);
        slot
    }
}

fn set(checkpoint: &Checkpoint) -> impl Iterator<Item = (&Partition, &Offset)> {
    checkpoint.iter().filter_map(|(partition, offset)| Some((partition, offset?)))
}

fn retired(checkpoint: &Checkpoint) -> impl Iterator<Item = &Partition> {
    checkpoint.iter().filter(|(_, offset)| offset.is_none()).map(|(partition, _)| partition)
}

#[cfg(test)]
mod tests {
    use super::{Change, Slots};
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use weir_sdk::{Checkpoint, Partition};

    /// What the table holds.
    type Rows = BTreeMap<i32, (Partition, Vec<u8>)>;

    fn write(rows: &mut Rows, changes: Vec<Change>) {
        for Change { slot, content } in changes {
            match content {
                Some((name, offset)) => drop(rows.insert(slot, (name, offset.to_vec()))),
                None => drop(rows.remove(&slot)),
            }
        }
    }

    fn read(rows: &Rows) -> (Slots, Checkpoint) {
        let mut slots = Slots::default();
        for (slot, (name, _)) in rows {
            slots.found(*slot, name.clone());
        }
        slots.complete();
        (slots, rows.values().cloned().collect())
    }

    proptest! {
        /// Whatever saves there are, which of them seem to fail although they take effect, and where the host starts
        /// anew: the table says the same as the saves merged, and holds no more rows than partitions at one time.
        #[test]
        fn the_rows_say_what_was_saved(
            saves in proptest::collection::vec(
                (proptest::collection::btree_map(0u8..12, proptest::option::of(0u8..255), 0..6), 0u8..4), 1..40,
            )
        ) {
            let (mut rows, mut slots, mut wanted) = (Rows::new(), Slots::default(), Checkpoint::default());
            let mut most = 0;
            for (changed, fate) in saves {
                let mut save = Checkpoint::default();
                for (name, offset) in changed {
                    let name = Partition::from(name.to_string());
                    match offset {
                        Some(offset) => save.set(name, vec![offset]),
                        None => save.retire(name),
                    }
                }
                wanted.merge(save.clone());
                most = most.max(wanted.len());
                wanted = wanted.without_retired();
                write(&mut rows, slots.place(&save));
                if fate == 0 {
                    // Its answer was lost, and it is tried again.
                    write(&mut rows, slots.place(&save));
                }
                slots.settle(&save);
                let (anew, said) = read(&rows);
                prop_assert_eq!(&said, &wanted);
                prop_assert!(rows.keys().all(|slot| (*slot as usize) < most), "{:?} of {}", rows, most);
                if fate == 1 {
                    slots = anew;
                }
            }
        }
    }
}
