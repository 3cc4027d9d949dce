//! Decimals in sortable form: sign, exponent, digits.
//!
//! 1.0 and 1.00 are one clustering key, so the form has no trailing zeros and 1.00 reads back as 1.

/// Appends the sortable form of a serialized decimal (scale, then two's complement digits).
pub(crate) fn encode(value: &[u8], out: &mut Vec<u8>) {
    let Some((scale, unscaled)) = value.split_first_chunk::<4>() else {
        out.push(1);
        return;
    };
    let negative = unscaled.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut digits = to_digits(magnitude(unscaled, negative));
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

/// The absolute value of a two's complement number, big endian.
pub(crate) fn magnitude(value: &[u8], negative: bool) -> Vec<u8> {
    if !negative {
        return value.to_vec();
    }
    let mut carry = true;
    let mut bytes: Vec<u8> = value.iter().map(|byte| !byte).collect();
    for byte in bytes.iter_mut().rev() {
        if carry {
            (*byte, carry) = byte.overflowing_add(1);
        }
    }
    bytes
}

/// Base 256 to base 10, without leading zeros.
pub(crate) fn to_digits(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut digits = Vec::new();
    while bytes.iter().any(|&byte| byte != 0) {
        let mut rest = 0_u16;
        for byte in &mut bytes {
            let value = rest * 256 + u16::from(*byte);
            *byte = (value / 10) as u8;
            rest = value % 10;
        }
        digits.push(rest as u8);
    }
    digits.reverse();
    digits
}

/// Base 10 to two's complement, big endian.
pub(crate) fn write_signed(digits: &[u8], negative: bool, out: &mut Vec<u8>) {
    let mut little: Vec<u8> = vec![];
    for &digit in digits {
        let mut carry = u16::from(digit);
        for byte in &mut little {
            let value = u16::from(*byte) * 10 + carry;
            *byte = value as u8;
            carry = value >> 8;
        }
        if carry > 0 {
            little.push(carry as u8);
        }
    }
    little.push(0);
    little.reverse();
    let bytes = if negative {
        let mut carry = true;
        little.iter_mut().for_each(|byte| *byte = !*byte);
        for byte in little.iter_mut().rev() {
            if carry {
                (*byte, carry) = byte.overflowing_add(1);
            }
        }
        little
    } else {
        little
    };
    // A first byte that only repeats the sign of the second is not needed.
    let needless =
        bytes.len() > 1 && bytes[0] == if negative { 0xFF } else { 0 } && (bytes[1] & 0x80 != 0) == negative;
    out.extend_from_slice(&bytes[usize::from(needless)..]);
}
