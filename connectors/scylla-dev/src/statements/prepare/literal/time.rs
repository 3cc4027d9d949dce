//! Timestamps, dates, times of day and durations from their text.
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;
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
    let (date, rest) = text.split_once(['T', 't', ' ']).unwrap_or((text, ""));
    let (time, zone) = match rest.find(['Z', 'z', '+', '-', ' ', 'U']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let time = if time.is_empty() { Time::midnight() } else { parse_time(time)? };
    let moment = DateTime::from_parts(parse_date(date)?, time);
    let offset = parse_offset(zone.trim())?;
    Some(offset.to_timestamp(moment).ok()?.as_millisecond())
}

fn parse_offset(zone: &str) -> Option<Offset> {
    let negative = zone.starts_with('-');
    let Some(digits) = zone.strip_prefix(['+', '-']) else {
        return matches!(zone, "" | "Z" | "z" | "UTC" | "GMT").then_some(Offset::UTC);
    };
    let digits = digits.replace(':', "");
    let hours: i32 = digits.get(..2)?.parse().ok()?;
    let minutes: i32 = if digits.len() == 2 { 0 } else { digits.get(2..4)?.parse().ok()? };
    let seconds = hours * 3600 + minutes * 60;
    Offset::from_seconds(if negative { -seconds } else { seconds }).ok().filter(|_| digits.len() <= 4)
}

fn parse_date(text: &str) -> Option<Date> {
    let mut parts = text.splitn(3, '-');
    let year = parts.next()?.parse().ok()?;
    let month = parts.next()?.parse().ok()?;
    Date::new(year, month, parts.next()?.parse().ok()?).ok()
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
    let date = parse_date(text).ok_or_else(|| unable("date", text))?;
    let midnight =
        Offset::UTC.to_timestamp(date.to_datetime(Time::midnight())).map_err(|_| unable("date", text))?;
    let days = midnight.as_second().div_euclid(86_400) + (1 << 31);
    u32::try_from(days).map_err(|_| unable("date", text))
}

/// Nanoseconds since midnight.
pub(super) fn time(text: &str) -> Result<i64, DbError> {
    if let Ok(nanos) = text.parse() {
        let within = Some(nanos).filter(|nanos| (0..86_400_000_000_000).contains(nanos));
        return within.ok_or_else(|| unable("time", text));
    }
    let time =
        parse_time(text).filter(|_| text.matches(':').count() == 2).ok_or_else(|| unable("time", text))?;
    let seconds = (i64::from(time.hour()) * 60 + i64::from(time.minute())) * 60 + i64::from(time.second());
    Ok(seconds * 1_000_000_000 + i64::from(time.subsec_nanosecond()))
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
