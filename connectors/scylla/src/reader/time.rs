//! Times of the log: microseconds since 1970, the timeuuids that bound them, and the seconds they fall into.

use std::time::Duration;

use scylla::value::CqlTimeuuid;

/// Microseconds since 1970-01-01 UTC, by the server's clock: the write time of a row.
pub type Micros = i64;

/// A whole second since 1970, named by its number: the grain of what is remembered and visited again.
pub type Bucket = i64;

/// One second.
pub const SECOND: Micros = 1_000_000;

/// 1582-10-15 to 1970-01-01 in units of 100 ns, the zero of timeuuids.
const GREGORIAN: i64 = 0x01B2_1DD2_1381_4000;

/// The second that `at` falls into.
pub fn bucket(at: Micros) -> Bucket {
    at.div_euclid(SECOND)
}

/// When a second begins.
pub fn begin(bucket: Bucket) -> Micros {
    bucket.saturating_mul(SECOND)
}

/// A length of time in microseconds.
pub fn micros(length: Duration) -> Micros {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

/// The time inside a timeuuid.
pub fn micros_of(time: &CqlTimeuuid) -> Micros {
    (ticks_of(time) - GREGORIAN).div_euclid(10)
}

/// The time inside a timeuuid in units of 100 ns since 1582, which orders timeuuids.
pub fn ticks_of(time: &CqlTimeuuid) -> i64 {
    let (low, mid, high, _) = time.as_fields();
    i64::from(low) | i64::from(mid) << 32 | i64::from(high & 0x0fff) << 48
}

/// The smallest timeuuid of this time, which bounds a range: ScyllaDB compares the lower half as signed bytes.
pub fn first_at(at: Micros) -> CqlTimeuuid {
    let ticks = at.saturating_mul(10).saturating_add(GREGORIAN).clamp(0, (1 << 60) - 1);
    let (low, mid, high) = (ticks as u32, (ticks >> 32) as u16, (ticks >> 48) as u16 | 0x1000);
    CqlTimeuuid::from_fields(low, mid, high, &[0x80; 8])
}

#[cfg(test)]
mod tests {
    use super::{first_at, micros_of};
    use proptest::prelude::*;
    use scylla::value::CqlTimeuuid;

    #[test]
    fn a_known_timeuuid_has_its_known_time() {
        let time: uuid::Uuid = "13814000-1dd2-11b2-8080-808080808080".parse().unwrap();
        assert_eq!(micros_of(&CqlTimeuuid::from_bytes(*time.as_bytes())), 0);
        assert_eq!(first_at(0).as_bytes(), time.as_bytes());
    }

    proptest! {
        #[test]
        fn bounds_hold_every_timeuuid_of_their_time(at in -1_000_000i64..4_000_000_000_000_000, low: [u8; 8]) {
            let first = first_at(at);
            prop_assert_eq!(micros_of(&first), at);
            let (a, b, c, _) = first.as_fields();
            let any = CqlTimeuuid::from_fields(a, b, c, &low);
            prop_assert!(first <= any && any < first_at(at + 1));
        }
    }
}
