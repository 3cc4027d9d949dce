//! Version-1 ids: made from a time in microseconds, and the time in them.
use uuid::Uuid;

/// 100 ns steps between 1582-10-15 and 1970-01-01.
const EPOCH: i64 = 0x01B2_1DD2_1381_4000;

/// The id of this time with these low 64 bits (variant, clock and node).
fn from_parts(steps: u64, low: u64) -> Uuid {
    let high = (steps << 32) | ((steps >> 16) & 0xFFFF_0000) | 0x1000 | ((steps >> 48) & 0x0FFF);
    Uuid::from_u64_pair(high, low)
}

fn steps(micros: i64) -> u64 {
    micros.saturating_mul(10).saturating_add(EPOCH).max(0) as u64
}

/// An id of the time `micros` (µs since 1970) that differs from others of that time by `salt`.
pub fn at(micros: i64, salt: u64) -> Uuid {
    // Variant 10 in front, as RFC 9562 asks.
    from_parts(steps(micros), (salt & 0x3FFF_FFFF_FFFF_FFFF) | 0x8000_0000_0000_0000)
}

/// The smallest id of the millisecond `millis`, as `minTimeuuid()` gives it.
pub fn min_of(millis: i64) -> Uuid {
    from_parts(steps(millis.saturating_mul(1000)), 0x8080_8080_8080_8080)
}

/// The largest id of the millisecond `millis`, as `maxTimeuuid()` gives it.
pub fn max_of(millis: i64) -> Uuid {
    from_parts(steps(millis.saturating_add(1).saturating_mul(1000)).saturating_sub(1), 0x7F7F_7F7F_7F7F_7F7F)
}

/// The time in an id, µs since 1970.
pub fn micros(id: &Uuid) -> i64 {
    let (high, _) = id.as_u64_pair();
    let steps = ((high & 0x0FFF) << 48) | ((high & 0xFFFF_0000) << 16) | (high >> 32);
    (steps as i64 - EPOCH).div_euclid(10)
}
