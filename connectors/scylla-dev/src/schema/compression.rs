//! The `compression` of a table: checked, and written out as ScyllaDB stores it.
use std::collections::BTreeMap;

use crate::error::DbError;

const PACKAGE: &str = "org.apache.cassandra.io.compress.";
const CLASS: &str = "sstable_compression";
const CHUNK: &str = "chunk_length_in_kb";
const CHUNK_AS_IT_WAS: &str = "chunk_length_kb";

/// With the full name of the class, as Cassandra's tools look for it, and the newer name of the chunks' length. Nothing,
/// or an empty class, is no compression.
pub(super) fn complete(mut options: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, DbError> {
    let Some(class) = options.get(CLASS) else {
        if options.is_empty() {
            return Ok(options);
        }
        return Err(DbError::config(format!("Missing sub-option '{CLASS}' for the 'compression' option.")));
    };
    let class = full_name(class)?;
    if let Some(length) = options.remove(CHUNK_AS_IT_WAS) {
        options.entry(CHUNK.to_owned()).or_insert(length);
    }
    for (name, value) in &options {
        match name.as_str() {
            CLASS => {}
            CHUNK => check_chunk(value)?,
            "crc_check_chance" if value.parse().is_ok_and(|chance: f64| (0.0..=1.0).contains(&chance)) => {}
            "crc_check_chance" => {
                return Err(DbError::config(format!("{name} must be between 0.0 and 1.0.")));
            }
            "compression_level" if class.as_deref().is_some_and(|class| class.contains("Zstd")) => {}
            _ => return Err(DbError::config(format!("Unknown compression option '{name}'."))),
        }
    }
    match class {
        Some(class) => options.insert(CLASS.to_owned(), class),
        None => options.remove(CLASS),
    };
    Ok(options)
}

fn full_name(class: &str) -> Result<Option<String>, DbError> {
    let short = class.strip_prefix(PACKAGE).unwrap_or(class);
    match short {
        "" => Ok(None),
        "LZ4Compressor" | "DeflateCompressor" | "SnappyCompressor" | "ZstdCompressor" => {
            Ok(Some(format!("{PACKAGE}{short}")))
        }
        // Cassandra does not have these.
        "LZ4WithDictsCompressor" | "ZstdWithDictsCompressor" => Ok(Some(short.to_owned())),
        _ => Err(DbError::config(format!("Unknown sstable_compression: {class}"))),
    }
}

fn check_chunk(length: &str) -> Result<(), DbError> {
    let Ok(number) = length.parse::<i32>() else {
        return Err(DbError::syntax(format!("Invalid integer value {length} for {CHUNK}")));
    };
    let names = format!("{CHUNK}/{CHUNK_AS_IT_WAS}");
    match u32::try_from(number) {
        Ok(0) | Err(_) => Err(DbError::config(format!("Invalid negative or null for {names}"))),
        Ok(number) if !number.is_power_of_two() => {
            Err(DbError::config(format!("{names} must be a power of 2.")))
        }
        Ok(129..) => Err(DbError::config(format!("{names} must be 128 or less."))),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(options: &[(&str, &str)]) -> Result<String, String> {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let completed = complete(options).map_err(|error| error.message)?;
        let pairs: Vec<_> = completed.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        Ok(pairs.join(" "))
    }

    #[test]
    fn classes_have_their_full_names_and_chunks_their_newer_one() {
        let wanted =
            "chunk_length_in_kb=64 sstable_compression=org.apache.cassandra.io.compress.ZstdCompressor";
        assert_eq!(completed(&[(CLASS, "ZstdCompressor"), (CHUNK_AS_IT_WAS, "64")]).as_deref(), Ok(wanted));
        let full = "org.apache.cassandra.io.compress.ZstdCompressor";
        assert_eq!(completed(&[(CLASS, full), (CHUNK, "64")]).as_deref(), Ok(wanted));
        let own = "sstable_compression=LZ4WithDictsCompressor";
        assert_eq!(completed(&[(CLASS, "LZ4WithDictsCompressor")]).as_deref(), Ok(own));
        for none in [&[][..], &[(CLASS, "")]] {
            assert_eq!(completed(none).as_deref(), Ok(""));
        }
    }

    #[test]
    fn what_scylladb_does_not_know_is_refused() {
        let lz4 = (CLASS, "LZ4Compressor");
        let cases = [
            (&[("class", "LZ4Compressor")][..], "Missing sub-option 'sstable_compression'"),
            (&[lz4, ("class", "LZ4Compressor")], "Unknown compression option 'class'."),
            (&[lz4, ("compression_level", "3")], "Unknown compression option 'compression_level'."),
            (&[(CLASS, "NoSuch")], "Unknown sstable_compression: NoSuch"),
            (&[lz4, (CHUNK, "many")], "Invalid integer value many for chunk_length_in_kb"),
            (&[lz4, (CHUNK, "0")], "Invalid negative or null for"),
            (&[lz4, (CHUNK, "3")], "must be a power of 2."),
            (&[lz4, (CHUNK_AS_IT_WAS, "256")], "must be 128 or less."),
            (&[lz4, ("crc_check_chance", "1.5")], "crc_check_chance must be between 0.0 and 1.0."),
        ];
        for (options, words) in cases {
            let error = completed(options).expect_err(words);
            assert!(error.contains(words), "{error}");
        }
    }
}
