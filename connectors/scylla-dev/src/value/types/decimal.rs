//! Decimals in sortable form: sign, exponent, digits.
//!
//! 1.0 and 1.00 are one clustering key, so the form has no trailing zeros and 1.00 reads back as 1.
use num_bigint::{BigInt, Sign};

/// Appends the sortable form of a serialized decimal (scale, then two's complement digits).
pub(crate) fn encode(value: &[u8], out: &mut Vec<u8>) {
    let Some((scale, unscaled)) = value.split_first_chunk::<4>() else {
        out.push(1);
        return;
    };
    let number = BigInt::from_signed_bytes_be(unscaled);
    let negative = number.sign() == Sign::Minus;
    let mut digits = number.magnitude().to_radix_be(10);
    let exponent = digits.len() as i64 - i64::from(i32::from_be_bytes(*scale));
    while digits.last() == Some(&0) {
        digits.pop();
    }
    if digits.is_empty() {
        out.push(1);
        return;
    }
    let mask = if negative { 0xFF } else { 0 };
    out.push(if negative { 0 } else { 2 });
    out.extend((exponent as u64 ^ (1 << 63)).to_be_bytes().map(|byte| byte ^ mask));
    out.extend(digits.iter().map(|digit| (digit + 1) ^ mask));
    out.push(mask);
}

/// Reads what [`encode`] wrote.
pub(crate) fn decode(mut next: impl FnMut() -> Option<u8>, out: &mut Vec<u8>) -> Option<()> {
    let sign = next()?;
    if sign == 1 {
        out.extend_from_slice(&[0; 5]);
        return Some(());
    }
    let mask = if sign == 0 { 0xFF } else { 0 };
    let mut exponent = 0_u64;
    for _ in 0..8 {
        exponent = (exponent << 8) | u64::from(next()? ^ mask);
    }
    let exponent = (exponent ^ (1 << 63)) as i64;
    let mut digits = Vec::new();
    loop {
        match next()? ^ mask {
            0 => break,
            digit => digits.push(digit - 1),
        }
    }
    let scale = i32::try_from(digits.len() as i64 - exponent).ok()?;
    out.extend_from_slice(&scale.to_be_bytes());
    write_signed(&digits, sign == 0, out);
    Some(())
}

/// Base 10 to two's complement, big endian.
pub(crate) fn write_signed(digits: &[u8], negative: bool, out: &mut Vec<u8>) {
    let sign = if negative { Sign::Minus } else { Sign::Plus };
    let number = BigInt::from_radix_be(sign, digits, 10).unwrap_or_default();
    out.extend_from_slice(&number.to_signed_bytes_be());
}
