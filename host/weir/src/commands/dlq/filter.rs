//! `Filter`: which dead letters are meant.

use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use weir_sdk::Timestamp;
use weir_sdk::config::HumanDuration;
use weir_sdk::dead_letter::{DeadLetter, Id};

/// Which dead letters are meant; all that is given must hold.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Filter {
    /// The ids; may be given several times.
    #[arg(long, value_name = "ID")]
    id: Vec<Id>,
    /// A kind of error (`record`, `timeout`, …), or part of the message.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// The header `event_type`.
    #[arg(long = "type", value_name = "TYPE")]
    of_type: Option<String>,
    /// The record's key, as text.
    #[arg(long)]
    key: Option<String>,
    /// The sink that the record did not reach.
    #[arg(long)]
    sink: Option<String>,
    /// Failed last at this time or later: `2026-01-31T12:00:00Z`, or `2h` for two hours ago.
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Failed last before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
}

impl Filter {
    /// Only this one.
    pub(super) fn of(id: Id) -> Self {
        Self { id: vec![id], ..Self::default() }
    }

    /// Nothing is given, so that all are meant.
    pub(super) fn is_empty(&self) -> bool {
        let Self { id, reason, of_type, key, sink, since, until } = self;
        id.is_empty()
            && [reason, of_type, key, sink].into_iter().all(Option::is_none)
            && since.is_none()
            && until.is_none()
    }

    /// Is this one meant?
    pub(super) fn picks(&self, letter: &DeadLetter) -> bool {
        let (record, facts) = (&letter.record, &letter.facts);
        let reason = |text: &String| {
            let is_kind = facts.kind.as_str().eq_ignore_ascii_case(text);
            is_kind || facts.message.to_lowercase().contains(&text.to_lowercase())
        };
        let of_type = |wanted: &String| {
            record.headers.get("event_type").is_some_and(|found| found == wanted.as_bytes())
        };
        (self.id.is_empty() || self.id.contains(&facts.id))
            && self.reason.as_ref().is_none_or(reason)
            && self.of_type.as_ref().is_none_or(of_type)
            && self
                .key
                .as_ref()
                .is_none_or(|key| record.key.as_ref().is_some_and(|found| found == key.as_bytes()))
            && self.sink.as_ref().is_none_or(|sink| *sink == facts.task.sink)
            && self.since.is_none_or(|since| facts.last_failed >= since.0)
            && self.until.is_none_or(|until| facts.last_failed < until.0)
    }
}

/// A time, or how long ago it was.
#[derive(Clone, Copy, Debug)]
struct Moment(Timestamp);

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return Ok(Self(Timestamp(time.as_microsecond())));
        }
        let ago: HumanDuration = text
            .parse()
            .map_err(|_| "expected a time such as `2026-01-31T12:00:00Z`, or `2h` for two hours ago")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let then = now.saturating_sub(ago.get());
        Ok(Self(Timestamp(i64::try_from(then.as_micros()).unwrap_or(i64::MAX))))
    }
}

#[cfg(test)]
mod tests {
    use super::Moment;

    #[test]
    fn a_moment_is_a_time_or_how_long_ago_it_was() {
        let at = |text: &str| text.parse::<Moment>().map(|moment| moment.0.0);
        assert_eq!(at("2026-01-31T12:00:00Z"), Ok(1_769_860_800_000_000));
        assert_eq!(at("1970-01-01T01:00:00+01:00"), Ok(0));
        let (earlier, later) = (at("2h").unwrap(), at("1h").unwrap());
        assert!((3_590_000_000..3_610_000_000).contains(&(later - earlier)), "{earlier} {later}");
        assert!(at("yesterday").is_err());
    }
}
