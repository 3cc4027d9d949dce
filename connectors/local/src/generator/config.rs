//! What a pipeline file may say about the generator source.

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::config::{ByteSize, Problem};

/// Records out of nothing but their number: the same keys, values and headers every time.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GeneratorConfig {
    /// How many records there are in all; without an end where nothing is written.
    pub records: Option<u64>,
    /// How many records a second; as fast as they are taken where nothing is written.
    pub rate: Option<f64>,
    /// How large each value is; a value is never smaller than its numbers need.
    pub size: ByteSize,
    /// How many different keys there are.
    #[schemars(range(min = 1))]
    pub keys: u64,
    /// How many partitions share the keys; not more than there are keys.
    #[schemars(range(min = 1))]
    pub partitions: u64,
}

impl Default for GeneratorConfig {
    fn default() -> Self {
        Self { records: None, rate: None, size: ByteSize::bytes(256), keys: 100, partitions: 1 }
    }
}

impl GeneratorConfig {
    /// The largest value that is still a record and not a mistake.
    const LARGEST: ByteSize = ByteSize::mib(64);

    pub(super) fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong = |pointer: &str, message: &str, help: &str| {
            problems.push(Problem::new(pointer, message).help(help));
        };
        if self.keys == 0 {
            wrong("/keys", "there must be at least one key", "write 1 or more");
        }
        if self.partitions == 0 {
            wrong("/partitions", "there must be at least one partition", "write 1 or more");
        }
        if self.partitions > self.keys.max(1) {
            let help = "write fewer partitions or more keys";
            wrong("/partitions", "more partitions than keys would leave some without records", help);
        }
        if self.rate.is_some_and(|rate| !(rate > 0.0 && rate <= 1e9)) {
            wrong("/rate", "no such rate", "write records a second, above 0, or leave it out for no limit");
        }
        if self.size > Self::LARGEST {
            wrong("/size", "a value this large fits no batch", "write 64MiB or less");
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::GeneratorConfig;
    use serde_json::json;
    use weir_sdk::config;

    #[test]
    fn every_key_has_a_default_and_every_mistake_its_place() {
        assert_eq!(config::read::<GeneratorConfig>(&json!({})), Ok(GeneratorConfig::default()));
        let wrong = json!({ "keys": 0, "partitions": 3, "rate": -1, "size": "1GiB" });
        let config: GeneratorConfig = config::read(&wrong).unwrap();
        let pointers: Vec<_> = config.check().into_iter().map(|problem| problem.pointer).collect();
        assert_eq!(pointers, ["/keys", "/partitions", "/rate", "/size"]);
    }
}
