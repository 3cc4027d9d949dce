//! `Id`: what a dead letter is known by, the same for the same record at the same task.

use std::fmt;
use std::str::FromStr;

use crate::record::Origin;
use crate::store::TaskId;

/// A hash of pipeline, sink, partition and offset, in the form of a UUID of version 8 (RFC 9562: made by a rule of one's
/// own). It never changes between versions of Weir.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(u128);

impl Id {
    /// The id of a record from `origin` at `task`.
    pub fn of(task: &TaskId, origin: &Origin) -> Self {
        let parts: [&[u8]; 4] = [
            task.pipeline.as_bytes(),
            task.sink.as_bytes(),
            origin.partition.as_str().as_bytes(),
            origin.offset.as_bytes(),
        ];
        // Lengths go in as well, so that `ab` + `c` is not `a` + `bc`.
        let hash = parts.iter().fold(FNV_OFFSET, |hash, part| {
            let hash = fnv1a(hash, &(part.len() as u64).to_be_bytes());
            fnv1a(hash, part)
        });
        let plain = hash & !(0xf << 76) & !(0b11 << 62);
        Self(plain | 8 << 76 | 0b10 << 62)
    }

    /// The 128 bits, as a UUID type takes them.
    pub fn as_u128(self) -> u128 {
        self.0
    }

    /// An id read from where dead letters are kept.
    pub fn from_u128(bits: u128) -> Self {
        Self(bits)
    }
}

const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

/// FNV-1a: short and fixed for ever, which is all that is asked for here; nobody chooses offsets to collide.
fn fnv1a(hash: u128, bytes: &[u8]) -> u128 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(FNV_PRIME))
}

/// `xxxxxxxx-xxxx-8xxx-xxxx-xxxxxxxxxxxx`.
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:032x}", self.0);
        write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Why a text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an id such as `0f8e2c1a-5b7d-8e6f-9a3b-1c2d3e4f5a6b`")]
pub struct NoId;

impl FromStr for Id {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, NoId> {
        let dashes = [8, 13, 18, 23];
        let shaped = text.len() == 36
            && text.bytes().enumerate().all(|(index, byte)| match dashes.contains(&index) {
                true => byte == b'-',
                false => byte.is_ascii_hexdigit(),
            });
        let hex = text.replace('-', "");
        shaped.then(|| u128::from_str_radix(&hex, 16).ok()).flatten().map(Self).ok_or(NoId)
    }
}

#[cfg(test)]
mod tests {
    use super::{FNV_OFFSET, Id, fnv1a};
    use crate::record::Origin;
    use crate::store::TaskId;

    fn id(parts: [&'static str; 4]) -> Id {
        let [pipeline, sink, partition, offset] = parts;
        let task = TaskId { pipeline: pipeline.into(), sink: sink.into() };
        Id::of(&task, &Origin { partition: partition.into(), offset: offset.into() })
    }

    /// Ids that were written once must be found by every later version.
    #[test]
    fn ids_never_change() {
        assert_eq!(fnv1a(FNV_OFFSET, b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
        let id = id(["orders", "topic", "stream-1", "42"]);
        assert_eq!(id.to_string(), "4b77f93b-7de4-8a3d-a76a-5601feb5753e");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn each_part_counts_and_borders_between_them_too() {
        let all = [
            ["p", "s", "x", "1"],
            ["p2", "s", "x", "1"],
            ["p", "s2", "x", "1"],
            ["p", "s", "x2", "1"],
            ["p", "s", "x", "12"],
            ["ps", "", "x", "1"],
            ["p", "s", "x1", ""],
        ];
        let distinct: std::collections::BTreeSet<_> = all.into_iter().map(id).collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in [
            "",
            "orders",
            "6c62272e07bb814262b821756295c58d",
            "6c62272e-07bb-8142-62b8-21756295c58",
            "+c62272e-07bb-8142-62b8-21756295c58d",
        ] {
            assert!(text.parse::<Id>().is_err(), "{text}");
        }
    }
}
