//! Numbers that JSON has no word for, as text.

use num_bigint::BigInt;
use scylla::value::CqlDuration;

/// Decimals with more leading or trailing zeros than this are written with an exponent.
const ZEROS: i64 = 6;

/// What is no number, or too large to be one.
pub(super) fn not_finite(number: f64) -> &'static str {
    match number {
        number if number.is_nan() => "NaN",
        number if number.is_sign_negative() => "-Infinity",
        _ => "Infinity",
    }
}

/// Two's complement, big endian.
pub(super) fn varint(bytes: &[u8]) -> String {
    BigInt::from_signed_bytes_be(bytes).to_string()
}

/// A scale, and the digits without their point.
pub(super) fn decimal((scale, unscaled): (i32, &[u8])) -> String {
    let text = varint(unscaled);
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.as_str()),
    };
    let scale = i64::from(scale);
    // How many digits stand before the point; negative where zeros stand behind it first.
    let whole = digits.len() as i64 - scale;
    match usize::try_from(whole) {
        _ if scale == 0 => text,
        Ok(whole @ 1..) if scale > 0 => format!("{sign}{}.{}", &digits[..whole], &digits[whole..]),
        _ if scale > 0 && -whole <= ZEROS => {
            let zeros = "0".repeat(usize::try_from(-whole).unwrap_or_default());
            format!("{sign}0.{zeros}{digits}")
        }
        _ => {
            let (first, rest) = digits.split_at(1);
            let point = if rest.is_empty() { "" } else { "." };
            format!("{sign}{first}{point}{rest}E{:+}", whole - 1)
        }
    }
}

/// As CQL writes it: `1mo2d3ns`.
pub(super) fn duration(duration: CqlDuration) -> String {
    let CqlDuration { months, days, nanoseconds } = duration;
    // All parts have the same sign.
    let sign = if months < 0 || days < 0 || nanoseconds < 0 { "-" } else { "" };
    let part = |amount: u64, unit| if amount == 0 { String::new() } else { format!("{amount}{unit}") };
    let parts = [
        part(months.unsigned_abs().into(), "mo"),
        part(days.unsigned_abs().into(), "d"),
        part(nanoseconds.unsigned_abs(), "ns"),
    ];
    match parts.concat() {
        empty if empty.is_empty() => "0ns".to_owned(),
        parts => format!("{sign}{parts}"),
    }
}
