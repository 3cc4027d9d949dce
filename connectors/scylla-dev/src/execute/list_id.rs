//! Ids of list elements: time-uuids that sort as the elements stand in the list.
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use crate::value::timeuuid;

/// 2010-01-01 in microseconds: ids of elements put in front count backwards from here.
const REFERENCE: i64 = 1_262_304_000_000_000;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Ids for `count` elements at the end of a list, first to last.
pub(super) fn appended(now: i64, count: usize) -> impl Iterator<Item = Uuid> {
    (0..count).map(move |_| timeuuid::at(now, salt(NEXT.fetch_add(1, Ordering::Relaxed))))
}

/// Ids for `count` elements in front of a list, last to first.
pub(super) fn prepended(now: i64, count: usize) -> impl Iterator<Item = Uuid> {
    let time = REFERENCE - (now - REFERENCE);
    (0..count).map(move |_| timeuuid::at(time, salt(u64::MAX - NEXT.fetch_add(1, Ordering::Relaxed))))
}

/// Seven bits to a byte: so the bytes sort the same whether they are read as signed or not.
fn salt(number: u64) -> u64 {
    (0..6).fold(0, |salt, byte| salt | (((number >> (7 * byte)) & 0x7F) << (8 * byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::order;
    use scylla_cql::frame::response::result::{ColumnType, NativeType};

    #[test]
    fn ids_sort_as_the_elements_stand() {
        let sortable = |id: Uuid| order::sortable(&ColumnType::Native(NativeType::Timeuuid), id.as_bytes());
        let now = 1_700_000_000_000_000;
        let mut ids: Vec<_> = prepended(now, 200).collect();
        ids.reverse();
        ids.extend(appended(now, 200));
        ids.extend(appended(now + 1, 1));
        assert!(ids.into_iter().map(sortable).is_sorted_by(|left, right| left < right));
    }
}
