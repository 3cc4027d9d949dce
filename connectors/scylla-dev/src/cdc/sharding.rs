//! Which shard of a node owns a token, by ScyllaDB's rule for tables without tablets.

/// The most significant bits of a token that the rule passes over, so that small ranges reach every shard too.
pub const IGNORED_BITS: u32 = 12;
const SIGN: u64 = 1 << 63;
/// How many tokens share their most significant bits: in so many, every shard has its share.
const STRIPE: u64 = 1 << (64 - IGNORED_BITS);

/// The shard, of so many, that owns a token.
pub fn shard_of(token: i64, shards: u16) -> u16 {
    at(token as u64 ^ SIGN, shards)
}

/// The first token behind `after` and up to `end` that the shard owns; `end` if it owns none of them. The range goes
/// round the end of the ring if it must.
pub(super) fn first_token(after: i64, end: i64, shard: u16, shards: u16) -> i64 {
    let (after, last) = (after as u64 ^ SIGN, end as u64 ^ SIGN);
    let ahead = after.checked_add(1).and_then(|from| next(from, shard, shards));
    let found = if after < last {
        ahead.filter(|place| *place <= last)
    } else {
        ahead.or_else(|| next(0, shard, shards).filter(|place| *place <= last))
    };
    found.map_or(end, |place| (place ^ SIGN) as i64)
}

/// The shard at a place on the ring, where 0 is the smallest token.
fn at(place: u64, shards: u16) -> u16 {
    ((u128::from(place << IGNORED_BITS) * u128::from(shards)) >> 64) as u16
}

/// The first place from `from` on that the shard owns.
fn next(from: u64, shard: u16, shards: u16) -> Option<u64> {
    if at(from, shards) == shard {
        return Some(from);
    }
    let share = (u128::from(shard) << 64).div_ceil(u128::from(shards.max(1)));
    let start = share.div_ceil(1 << IGNORED_BITS) as u64;
    let stripe = from / STRIPE * STRIPE;
    let here = stripe + start;
    if here >= from { Some(here) } else { stripe.checked_add(STRIPE).map(|next| next + start) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_token_is_in_the_range_of_the_shard_and_none_is_before_it(
            after: i64, length in 1_u64..1 << 54, shards in 1_u16..20, shard in 0_u16..20,
        ) {
            let shard = shard % shards;
            let end = after.wrapping_add(length as i64);
            let token = first_token(after, end, shard, shards);
            let ahead = token.wrapping_sub(after) as u64;
            prop_assert!((1..=length).contains(&ahead));
            if shard_of(token, shards) == shard {
                // A shard's tokens of a stripe lie together: the one before is another shard's, or outside.
                let before = token.wrapping_sub(1);
                prop_assert!(ahead == 1 || token == i64::MIN || shards == 1 || shard_of(before, shards) != shard);
            } else {
                prop_assert_eq!(token, end);
                prop_assert!(length < STRIPE, "every shard has tokens in a whole stripe");
            }
        }

        #[test]
        fn shards_own_the_shares_that_the_rust_driver_counts_with(token: i64, shards in 1_u16..64) {
            let driver = scylla::routing::Sharder::new(std::num::NonZeroU16::new(shards).unwrap(), IGNORED_BITS as u8);
            // The driver knows no token that is the smallest number.
            prop_assume!(token != i64::MIN);
            prop_assert_eq!(u32::from(shard_of(token, shards)), driver.shard_of(scylla::routing::Token::new(token)));
        }
    }
}
