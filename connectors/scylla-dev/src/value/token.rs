//! Partition tokens: Cassandra's variant of murmur3, and the prefix of stream ids for CDC logs.

/// The token of a serialized partition key under `Murmur3Partitioner`.
pub fn murmur3(key: &[u8]) -> i64 {
    let token = (murmur3_128(key) >> 64) as i64;
    // The smallest number stands for "before every token".
    if token == i64::MIN { i64::MAX } else { token }
}

/// All of the hash.
pub(crate) fn murmur3_128(key: &[u8]) -> u128 {
    const C1: u64 = 0x87c3_7b91_1142_53d5;
    const C2: u64 = 0x4cf5_ad43_2745_937f;
    let (mut h1, mut h2) = (0_u64, 0_u64);
    let (blocks, tail) = key.as_chunks::<16>();
    for block in blocks {
        let (k1, k2) = split(block);
        h1 ^= k1.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
        h1 = h1.rotate_left(27).wrapping_add(h2).wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 ^= k2.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
        h2 = h2.rotate_left(31).wrapping_add(h1).wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    // Cassandra's variant sign-extends the bytes of the tail.
    let (mut k1, mut k2) = (0_u64, 0_u64);
    for (index, &byte) in tail.iter().enumerate() {
        let extended = i64::from(byte as i8) as u64;
        if index < 8 {
            k1 ^= extended << (8 * index);
        } else {
            k2 ^= extended << (8 * (index - 8));
        }
    }
    h2 ^= k2.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
    h1 ^= k1.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    let length = key.len() as u64;
    h1 ^= length;
    h2 ^= length;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    let (h1, h2) = (mix(h1), mix(h2));
    let h1 = h1.wrapping_add(h2);
    (u128::from(h1) << 64) | u128::from(h2.wrapping_add(h1))
}

/// The token of a partition of a CDC log: the first half of its stream id; ids of another length sort first.
pub fn of_stream(stream_id: &[u8]) -> i64 {
    match stream_id.split_first_chunk::<8>() {
        Some((token, rest)) if rest.len() == 8 => i64::from_be_bytes(*token),
        _ => i64::MIN,
    }
}

fn split(block: &[u8; 16]) -> (u64, u64) {
    let both = u128::from_le_bytes(*block);
    (both as u64, (both >> 64) as u64)
}

fn mix(mut k: u64) -> u64 {
    k ^= k >> 33;
    k = k.wrapping_mul(0xff51_afd7_ed55_8ccd);
    k ^= k >> 33;
    k = k.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    k ^ (k >> 33)
}
