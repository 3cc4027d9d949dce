//! What every source of a log is told: which log it reads, and how.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use weir_sdk::Timestamp;
use weir_sdk::config::{ByteSize, HumanDuration, Problem};

use super::tally::{begin_of, minute_at};
use crate::session::SessionConfig;

/// Which log is read, and how. The keys stand in the block of each source, so that a problem has its place there.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// The cluster.
    pub session: SessionConfig,
    /// The keyspace of the table.
    pub keyspace: String,
    /// The table that the log is of.
    pub table: String,
    /// Where reading begins when there is no checkpoint.
    pub start: StartAt,
    /// How far reading stays behind now.
    pub confidence: HumanDuration,
    /// For how long a row may become readable late without being lost.
    pub safety: HumanDuration,
    /// How often the log is looked at while there is traffic.
    pub poll_interval: HumanDuration,
    /// Memory for the ids of rows that may still get late neighbours.
    pub unsettled_memory: ByteSize,
}

/// Where reading begins when there is no checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartAt {
    /// With the oldest row that the log holds.
    #[default]
    Earliest,
    /// With what is written from now on, to the second.
    Latest,
    /// With what was written at this time, to the second.
    At(Timestamp),
}

impl StartAt {
    /// The same with whole minutes, which are what consumers tell each other of.
    #[must_use]
    pub fn on_the_minute(self) -> Self {
        match self {
            Self::At(time) => Self::At(Timestamp(begin_of(minute_at(time.0)))),
            Self::Earliest | Self::Latest => self,
        }
    }
}

/// Whether the rows that the table holds are read before its log, when there is no checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotMode {
    /// Only the log is read.
    #[default]
    None,
    /// They are read first, once, and then the log from before that began.
    Initial,
}

impl LogConfig {
    /// Problems that the types cannot express.
    pub fn problems(&self) -> Vec<Problem> {
        let names = [("/keyspace", self.keyspace.as_str()), ("/table", &self.table)];
        let mut problems = self.session.check_beside(&names);
        if self.table.ends_with("_scylla_cdc_log") {
            let help = "name the table itself; its log is found";
            problems.push(Problem::new("/table", "this is a CDC log").help(help));
        }
        let confidence = self.confidence.get();
        if self.safety.get() < confidence.max(Duration::from_secs(1)) {
            let message = "expected at least 1s, and no less than `confidence`";
            problems.push(Problem::new("/safety", message).help("the default is `120s`"));
        }
        if self.safety.get() > Duration::from_secs(3600) {
            let help =
                "rows that come later than the default of `120s` point to a node that was down: repair it";
            problems.push(Problem::new("/safety", "expected at most 1h").help(help));
        }
        if self.poll_interval.is_zero() {
            let help = "the default is `100ms`";
            problems
                .push(Problem::new("/poll_interval", "the log cannot be looked at all the time").help(help));
        }
        problems
    }
}

/// 200 ms.
pub fn default_confidence() -> HumanDuration {
    HumanDuration::from_millis(200)
}

/// Two minutes.
pub fn default_safety() -> HumanDuration {
    HumanDuration::from_secs(120)
}

/// 100 ms.
pub fn default_poll_interval() -> HumanDuration {
    HumanDuration::from_millis(100)
}

/// 32 MiB.
pub fn default_unsettled_memory() -> ByteSize {
    ByteSize::mib(32)
}

impl FromStr for StartAt {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            time => time.parse::<jiff::Timestamp>().map(|time| Self::At(Timestamp(time.as_microsecond()))).map_err(
                |_| "expected a place to start at\nwrite `earliest`, `latest` or a time such as `2026-01-31T12:00:00Z`",
            ),
        }
    }
}

impl<'de> Deserialize<'de> for StartAt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for StartAt {
    fn schema_name() -> Cow<'static, str> {
        "StartAt".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Where reading begins when there is no checkpoint.",
            "examples": ["earliest", "latest", "2026-01-31T12:00:00Z"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::StartAt;
    use weir_sdk::Timestamp;

    #[test]
    fn a_start_is_a_word_or_a_time() {
        assert_eq!("latest".parse(), Ok(StartAt::Latest));
        assert_eq!("1970-01-01T00:00:01Z".parse(), Ok(StartAt::At(Timestamp(1_000_000))));
        assert!("yesterday".parse::<StartAt>().unwrap_err().contains("earliest"));
    }
}
