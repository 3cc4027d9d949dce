//! Options of tables: those that do something, and those that are stored and shown.
use std::collections::BTreeMap;

use super::compression;
use crate::error::DbError;

/// The value of an option in `WITH name = value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionValue {
    /// Any literal, as text without quotes.
    Text(String),
    /// A map literal, its values as text without quotes.
    Map(BTreeMap<String, String>),
}

/// Options of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableOptions {
    /// For a person to read.
    pub comment: String,
    /// TTL of writes that name none, seconds; 0 for ever.
    pub default_time_to_live: u32,
    /// How long deletions are remembered, seconds.
    pub gc_grace_seconds: u32,
    /// The CDC log.
    pub cdc: CdcOptions,
    /// Options stored and shown: numbers and texts.
    pub texts: BTreeMap<&'static str, String>,
    /// Options stored and shown: maps.
    pub maps: BTreeMap<&'static str, BTreeMap<String, String>>,
}

/// What `cdc = {…}` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CdcOptions {
    /// Whether writes are logged.
    pub enabled: bool,
    /// What is logged of a row before the change.
    pub preimage: PreimageMode,
    /// Whether the row after the change is logged.
    pub postimage: bool,
    /// What is logged of the change.
    pub delta: DeltaMode,
    /// How long log rows live, seconds; 0 for ever.
    pub ttl: u32,
}

/// What is logged of a row before a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreimageMode {
    /// Nothing.
    Off,
    /// The columns that change.
    Changed,
    /// All columns.
    Full,
}

/// What is logged of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeltaMode {
    /// Keys and values.
    Full,
    /// Keys only.
    Keys,
}

/// Stored and shown, with their defaults.
const TEXTS: [(&str, &str); 9] = [
    ("bloom_filter_fp_chance", "0.01"),
    ("crc_check_chance", "1"),
    ("dclocal_read_repair_chance", "0"),
    ("max_index_interval", "2048"),
    ("memtable_flush_period_in_ms", "0"),
    ("min_index_interval", "128"),
    ("read_repair_chance", "0"),
    ("speculative_retry", "99.0PERCENTILE"),
    ("paxos_grace_seconds", "864000"),
];
const MAPS: [(&str, &[(&str, &str)]); 6] = [
    ("caching", &[("keys", "ALL"), ("rows_per_partition", "ALL")]),
    ("compaction", &[("class", "SizeTieredCompactionStrategy")]),
    ("compression", &[("sstable_compression", "org.apache.cassandra.io.compress.LZ4Compressor")]),
    ("tombstone_gc", &[]),
    ("per_partition_rate_limit", &[]),
    ("tablets", &[]),
];
/// What a table may say about its tablets; the first two decide how many it has.
const TABLET_HINTS: [&str; 4] =
    ["min_tablet_count", "min_per_shard_tablet_count", "max_tablet_count", "expected_data_size_in_gb"];

impl Default for TableOptions {
    fn default() -> Self {
        let owned =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Self {
            comment: String::new(),
            default_time_to_live: 0,
            gc_grace_seconds: 864_000,
            cdc: CdcOptions::default(),
            texts: TEXTS.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
            maps: MAPS.iter().map(|(name, pairs)| (*name, owned(pairs))).collect(),
        }
    }
}

impl Default for CdcOptions {
    fn default() -> Self {
        Self {
            enabled: false,
            preimage: PreimageMode::Off,
            postimage: false,
            delta: DeltaMode::Full,
            ttl: 86_400,
        }
    }
}

impl TableOptions {
    /// Applies one `name = value` of a `WITH` clause.
    pub fn set(&mut self, name: &str, value: OptionValue) -> Result<(), DbError> {
        match (name, value) {
            ("comment", OptionValue::Text(text)) => self.comment = text,
            ("default_time_to_live", OptionValue::Text(text)) => {
                self.default_time_to_live = seconds(name, &text)?;
            }
            ("gc_grace_seconds", OptionValue::Text(text)) => self.gc_grace_seconds = seconds(name, &text)?,
            ("cdc", OptionValue::Map(map)) => self.cdc = CdcOptions::parse(&map)?,
            ("tablets", OptionValue::Map(map)) => {
                let is_hint = |(name, value): &(&String, &String)| {
                    TABLET_HINTS.contains(&name.as_str()) && value.parse::<u32>().is_ok()
                };
                if let Some((name, value)) = map.iter().find(|entry| !is_hint(entry)) {
                    return Err(DbError::config(format!("Invalid tablets option \"{name}\": {value}")));
                }
                self.maps.insert("tablets", map);
            }
            ("compression", OptionValue::Map(map)) => {
                self.maps.insert("compression", compression::complete(map)?);
            }
            // The table keeps the id it was given.
            ("id", OptionValue::Text(_)) => {}
            ("bloom_filter_fp_chance", OptionValue::Text(text))
                if !text.parse().is_ok_and(|chance: f64| chance > 0.0 && chance <= 1.0) =>
            {
                return Err(DbError::config(format!(
                    "{name} must be larger than 0 and less than or equal to 1.0 (got {text})"
                )));
            }
            (name, OptionValue::Text(text)) => match TEXTS.iter().find(|(known, _)| *known == name) {
                Some((name, _)) => drop(self.texts.insert(name, text)),
                None => return Err(unknown(name)),
            },
            (name, OptionValue::Map(map)) => match MAPS.iter().find(|(known, _)| *known == name) {
                Some((name, _)) => {
                    check_compaction(name, &map)?;
                    drop(self.maps.insert(name, map));
                }
                None => return Err(unknown(name)),
            },
        }
        Ok(())
    }
}

/// The strategies that ScyllaDB has.
fn check_compaction(name: &str, map: &BTreeMap<String, String>) -> Result<(), DbError> {
    let Some(class) = map.get("class").filter(|_| name == "compaction") else { return Ok(()) };
    let short = class.rsplit('.').next().unwrap_or(class).trim_end_matches("CompactionStrategy");
    if matches!(short, "SizeTiered" | "Leveled" | "TimeWindow" | "Incremental" | "Null") {
        return Ok(());
    }
    Err(DbError::config(format!("Unable to find compaction strategy class '{class}'")))
}

fn unknown(name: &str) -> DbError {
    DbError::syntax(format!("Unknown property '{name}'"))
}

fn seconds(name: &str, text: &str) -> Result<u32, DbError> {
    const MAX: i64 = 20 * 365 * 24 * 60 * 60;
    let number: i64 =
        text.parse().map_err(|_| DbError::syntax(format!("Invalid integer value {text} for '{name}'")))?;
    if name == "default_time_to_live" && number > MAX {
        let message = format!("{name} must be less than or equal to {MAX} (got {text})");
        return Err(DbError::config(message));
    }
    u32::try_from(number)
        .map_err(|_| DbError::config(format!("{name} must be greater than or equal to 0 (got {text})")))
}

impl CdcOptions {
    fn parse(map: &BTreeMap<String, String>) -> Result<Self, DbError> {
        let mut options = Self::default();
        for (key, value) in map {
            let option = key.to_lowercase();
            let refused = || DbError::config(format!("Invalid value for CDC option \"{option}\": {value}"));
            match (option.as_str(), value.to_lowercase().as_str()) {
                ("enabled", value) => options.enabled = truth(value).ok_or_else(refused)?,
                ("postimage", value) => options.postimage = truth(value).ok_or_else(refused)?,
                ("preimage", "full") => options.preimage = PreimageMode::Full,
                ("preimage", value) => {
                    let on = truth(value).ok_or_else(refused)?;
                    options.preimage = if on { PreimageMode::Changed } else { PreimageMode::Off };
                }
                ("delta", "full") => options.delta = DeltaMode::Full,
                ("delta", "keys") => options.delta = DeltaMode::Keys,
                ("delta", _) => return Err(refused()),
                ("ttl", value) => options.ttl = ttl(value).ok_or_else(refused)??,
                _ => return Err(DbError::config(format!("Invalid CDC option: {key}"))),
            }
        }
        Ok(options)
    }

    /// The options as `system_schema.scylla_tables` shows them.
    pub fn to_map(self) -> [(&'static str, String); 5] {
        let preimage = match self.preimage {
            PreimageMode::Off => "false",
            PreimageMode::Changed => "true",
            PreimageMode::Full => "full",
        };
        let delta = match self.delta {
            DeltaMode::Full => "full",
            DeltaMode::Keys => "keys",
        };
        [
            ("delta", delta.to_owned()),
            ("enabled", self.enabled.to_string()),
            ("postimage", self.postimage.to_string()),
            ("preimage", preimage.to_owned()),
            ("ttl", self.ttl.to_string()),
        ]
    }
}

fn truth(value: &str) -> Option<bool> {
    match value {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

fn ttl(value: &str) -> Option<Result<u32, DbError>> {
    let number: i128 = value.parse().ok()?;
    Some(match i32::try_from(number) {
        Ok(seconds) if seconds >= 0 => Ok(seconds.unsigned_abs()),
        _ if number < 0 => Err(DbError::config("Invalid CDC option: ttl must be >= 0")),
        _ => Err(DbError::config("Invalid CDC option: ttl too large")),
    })
}
