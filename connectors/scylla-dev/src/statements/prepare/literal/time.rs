//! Timestamps, dates, times of day and durations from their text.
use jiff::civil::Time;
use scylla_cql::frame::response::result::{ColumnType, NativeType};
use scylla_cql::serialize::value::SerializeValue;
use scylla_cql::serialize::writers::CellWriter;
use scylla_cql::value::CqlDuration;

use crate::error::DbError;

fn unable(what: &str, text: &str) -> DbError {
    DbError::invalid(format!("Unable to make {what} from '{text}'"))
}

/// Milliseconds since 1970: `2024-01-31`, with ` 10:00`, `:59`, `.999` and a zone (`Z`, `+01:00`) as wanted.
pub(super) fn timestamp(text: &str) -> Result<i64, DbError> {
    if let Ok(millis) = text.parse() {
        return Ok(millis);
    }
    parse_timestamp(text).ok_or_else(|| unable("timestamp", text))
}

fn parse_timestamp(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at(end_of_date(text)?);
    let (time, zone) = match rest.strip_prefix(['T', 't', ' ']) {
        Some(rest) => rest.split_at(rest.find(['Z', 'z', '+', '-', ' ', 'U', 'G']).unwrap_or(rest.len())),
        None => ("", rest),
    };
    let time = if time.is_empty() { Time::midnight() } else { parse_time(time)? };
    let days = parse_days(date)?;
    let seconds = days * 86_400 + seconds_of(time) - parse_offset(zone.trim())?;
    Some(seconds * 1_000 + i64::from(time.millisecond()))
}

/// A zone may follow at once: `2024-01-31+0000`.
fn end_of_date(text: &str) -> Option<usize> {
    let (day, _) = text.char_indices().skip(1).filter(|(_, character)| *character == '-').nth(1)?;
    let digits = text[day + 1..].find(|character: char| !character.is_ascii_digit());
    Some(digits.map_or(text.len(), |digits| day + 1 + digits))
}

/// Seconds by which a zone is ahead.
fn parse_offset(zone: &str) -> Option<i64> {
    let negative = zone.starts_with('-');
    let Some(digits) = zone.strip_prefix(['+', '-']) else {
        return matches!(zone, "" | "Z" | "z" | "UTC" | "GMT").then_some(0);
    };
    let digits = digits.replace(':', "");
    let hours: i64 = digits.get(..2)?.parse().ok()?;
    let minutes: i64 = if digits.len() == 2 { 0 } else { digits.get(2..4)?.parse().ok()? };
    let seconds = hours * 3600 + minutes * 60;
    Some(if negative { -seconds } else { seconds })
        .filter(|_| digits.len() <= 4 && hours < 24 && minutes < 60)
}

/// Days since 1970-01-01, in any year that a `date` reaches, before the year 0 too.
fn parse_days(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let mut parts = digits.splitn(3, '-').map(|part| {
        part.parse::<u32>().ok().filter(|_| part.bytes().all(|byte| byte.is_ascii_digit())).map(i64::from)
    });
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if year > 6_000_000 {
        return None;
    }
    let year = if negative { -year } else { year };
    let within = (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
    within.then(|| days_before(year, month) + day - 1)
}

/// From 1970-01-01 to the first of a month, in years that begin in March: leap days come last.
fn days_before(year: i64, month: i64) -> i64 {
    const FROM_MARCH_OF_THE_YEAR_0: i64 = 719_468;
    let (year, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (153 * months + 2) / 5 - FROM_MARCH_OF_THE_YEAR_0
}

fn days_of(year: i64, month: i64) -> i64 {
    let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_before(next_year, next) - days_before(year, month)
}

/// `10:00`, `10:00:59` or `10:00:59.123456789`.
fn parse_time(text: &str) -> Option<Time> {
    let (text, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts = text.splitn(3, ':');
    let hour = parts.next()?.parse().ok()?;
    let minute = parts.next()?.parse().ok()?;
    let second = parts.next().unwrap_or("0").parse().ok()?;
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos = format!("{fraction:0<9}").parse().ok()?;
    Time::new(hour, minute, second, nanos).ok()
}

/// Days, with 1970-01-01 as 2^31.
pub(super) fn date(text: &str) -> Result<u32, DbError> {
    if let Ok(days) = text.parse() {
        return Ok(days);
    }
    let days = parse_days(text).and_then(|days| u32::try_from(days + (1 << 31)).ok());
    days.ok_or_else(|| unable("date", text))
}

/// Nanoseconds since midnight.
pub(super) fn time(text: &str) -> Result<i64, DbError> {
    if let Ok(nanos) = text.parse() {
        let within = Some(nanos).filter(|nanos| (0..86_400_000_000_000).contains(nanos));
        return within.ok_or_else(|| unable("time", text));
    }
    let time =
        parse_time(text).filter(|_| text.matches(':').count() == 2).ok_or_else(|| unable("time", text))?;
    Ok(seconds_of(time) * 1_000_000_000 + i64::from(time.subsec_nanosecond()))
}

fn seconds_of(time: Time) -> i64 {
    (i64::from(time.hour()) * 60 + i64::from(time.minute())) * 60 + i64::from(time.second())
}

/// `1y2mo3w4d5h6m7s8ms9us10ns` or `P1Y2M3DT4H5M6S`, serialized.
pub(super) fn duration(text: &str) -> Result<Vec<u8>, DbError> {
    let (negative, body) = match text.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, text),
    };
    let parts = if body.starts_with('P') { iso_parts(body) } else { parts(body) };
    let parts = parts.ok_or_else(|| unable("duration", text))?;
    check_order(&parts)?;
    let duration = total(&parts, negative).ok_or_else(|| unable("duration", text))?;
    let mut bytes = Vec::new();
    duration
        .serialize(&ColumnType::Native(NativeType::Duration), CellWriter::new(&mut bytes))
        .map_err(|_| unable("duration", text))?;
    bytes.drain(..4);
    Ok(bytes)
}

/// Numbers and their units.
fn parts(text: &str) -> Option<Vec<(i64, String)>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let number = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|character: char| character.is_ascii_digit()).unwrap_or(rest.len());
        parts.push((number, rest[..unit].to_lowercase()));
        rest = &rest[unit..];
    }
    Some(parts)
}

/// In the ISO form `M` is months before the `T` and minutes behind it.
fn iso_parts(text: &str) -> Option<Vec<(i64, String)>> {
    let body = text.strip_prefix('P')?;
    let (days, hours) = body.split_once('T').unwrap_or((body, ""));
    if days.contains('-') {
        let numbers = days.split('-').chain(hours.split(':')).map(|number| number.parse().ok());
        let units = ["y", "mo", "d", "h", "m", "s"];
        return numbers.zip(units).map(|(number, unit)| Some((number?, unit.to_owned()))).collect();
    }
    let mut all = parts(days)?;
    for (_, unit) in &mut all {
        if unit == "m" {
            "mo".clone_into(unit);
        }
    }
    all.extend(parts(hours)?);
    Some(all)
}

/// Units and their names, larger ones first.
const UNITS: [(&str, &str); 10] = [
    ("y", "years"),
    ("mo", "months"),
    ("w", "weeks"),
    ("d", "days"),
    ("h", "hours"),
    ("m", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
];

/// Each unit stands once, and behind the larger ones.
fn check_order(parts: &[(i64, String)]) -> Result<(), DbError> {
    let places = parts.iter().filter_map(|(_, unit)| {
        UNITS.iter().position(|(known, _)| unit == known || (*known == "us" && unit == "µs"))
    });
    let places: Vec<usize> = places.collect();
    let Some(wrong) = places.windows(2).find(|pair| pair[0] >= pair[1]) else { return Ok(()) };
    let (before, after) = (UNITS[wrong[0]].1, UNITS[wrong[1]].1);
    Err(DbError::invalid(if before == after {
        format!("Invalid duration. The {before} are set multiple times")
    } else {
        format!("Invalid duration. The {before} should be after {after}")
    }))
}

fn total(parts: &[(i64, String)], negative: bool) -> Option<CqlDuration> {
    let (mut months, mut days, mut nanoseconds) = (0_i64, 0_i64, 0_i64);
    for (number, unit) in parts {
        let (sum, factor) = match unit.as_str() {
            "y" => (&mut months, 12),
            "mo" => (&mut months, 1),
            "w" => (&mut days, 7),
            "d" => (&mut days, 1),
            "h" => (&mut nanoseconds, 3_600_000_000_000),
            "m" => (&mut nanoseconds, 60_000_000_000),
            "s" => (&mut nanoseconds, 1_000_000_000),
            "ms" => (&mut nanoseconds, 1_000_000),
            "us" | "µs" => (&mut nanoseconds, 1_000),
            "ns" => (&mut nanoseconds, 1),
            _ => return None,
        };
        *sum = sum.checked_add(number.checked_mul(factor)?)?;
    }
    let sign = if negative { -1 } else { 1 };
    let (months, days) = (i32::try_from(months * sign).ok()?, i32::try_from(days * sign).ok()?);
    Some(CqlDuration { months, days, nanoseconds: nanoseconds * sign })
}
