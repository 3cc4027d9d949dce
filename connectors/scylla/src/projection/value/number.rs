//! Numbers of any size, and bytes, from text.

/// Two's complement, no longer than it must be.
pub(super) fn varint(text: &str) -> Option<Vec<u8>> {
    Some(shortest(text.parse().ok()?))
}

/// A scale of 32 bits, and the digits without their point as a [`varint`].
pub(super) fn decimal(text: &str) -> Option<Vec<u8>> {
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    // A sign or a second point in the fraction, or no digit before the point, is no number.
    if !part.bytes().all(|digit| digit.is_ascii_digit())
        || !whole.ends_with(|last: char| last.is_ascii_digit())
    {
        return None;
    }
    let unscaled: i128 = format!("{whole}{part}").parse().ok()?;
    let scale = i32::try_from(part.len()).ok()?.checked_sub(exponent)?;
    Some([&scale.to_be_bytes()[..], &shortest(unscaled)].concat())
}

fn shortest(number: i128) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    // A leading byte may go while the one behind it still says the sign.
    let spare = bytes
        .windows(2)
        .take_while(|pair| (pair[0] == 0 && pair[1] < 0x80) || (pair[0] == 0xff && pair[1] >= 0x80));
    bytes[spare.count()..].to_vec()
}

/// `0x` and pairs of digits.
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.is_ascii() && digits.len() % 2 == 0)?;
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
