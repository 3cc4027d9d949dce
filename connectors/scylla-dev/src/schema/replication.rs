//! Replication strategies: checked, and written out as ScyllaDB stores them.
use std::collections::BTreeMap;

use super::DATACENTER;
use crate::error::DbError;

const PACKAGE: &str = "org.apache.cassandra.locator.";
const FACTOR: &str = "replication_factor";

/// The strategy with its class's full name, and with a factor for each data center in place of one for all: drivers look
/// for replicas by these.
pub(super) fn complete(
    keyspace: &str,
    mut options: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, DbError> {
    let Some(class) = options.remove("class") else {
        return Err(DbError::config("Missing mandatory replication strategy class"));
    };
    let short = class.strip_prefix(PACKAGE).unwrap_or(&class);
    let places: &[&str] = match short {
        "NetworkTopologyStrategy" => &[DATACENTER],
        "SimpleStrategy" => &[FACTOR],
        "LocalStrategy" | "EverywhereStrategy" => &[],
        _ => return Err(DbError::config(format!("Unable to find replication strategy class '{class}'"))),
    };
    if let Some(factor) = options.values().find(|factor| factor.parse::<u32>().is_err()) {
        return Err(DbError::config(format!(
            "Replication factor must be numeric and non-negative, found '{factor}'"
        )));
    }
    if short == "NetworkTopologyStrategy"
        && let Some(factor) = options.remove(FACTOR)
    {
        options.entry(DATACENTER.to_owned()).or_insert(factor);
    }
    if short == "SimpleStrategy" && !options.contains_key(FACTOR) {
        return Err(DbError::config("SimpleStrategy requires a replication_factor strategy option."));
    }
    if let Some(name) = options.keys().find(|name| !places.contains(&name.as_str())) {
        return Err(DbError::config(format!(
            "Unrecognized strategy option {{{name}}} passed to {PACKAGE}{short} for keyspace {keyspace}"
        )));
    }
    options.insert("class".to_owned(), format!("{PACKAGE}{short}"));
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(options: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        match complete("ks", options) {
            Ok(options) => Ok(options.into_iter().map(|(name, value)| format!("{name}={value}")).collect()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_factor_for_all_is_one_for_each_data_center() {
        let wanted = Ok(vec![
            "class=org.apache.cassandra.locator.NetworkTopologyStrategy".to_owned(),
            "datacenter1=3".to_owned(),
        ]);
        assert_eq!(completed(&[("class", "NetworkTopologyStrategy"), (FACTOR, "3")]), wanted);
        let full = "org.apache.cassandra.locator.NetworkTopologyStrategy";
        assert_eq!(completed(&[("class", full), ("datacenter1", "3"), (FACTOR, "1")]), wanted);
    }

    #[test]
    fn what_is_no_strategy_is_refused() {
        let refused = |options: &[(&str, &str)], words: &str| {
            let error = completed(options).unwrap_err();
            assert!(error.contains(words), "{error}");
        };
        refused(&[(FACTOR, "1")], "Missing mandatory replication strategy class");
        refused(&[("class", "NoSuch")], "'NoSuch'");
        refused(&[("class", "SimpleStrategy")], "requires a replication_factor");
        refused(&[("class", "SimpleStrategy"), (FACTOR, "-1")], "found '-1'");
        refused(&[("class", "NetworkTopologyStrategy"), ("elsewhere", "1")], "{elsewhere}");
    }
}
