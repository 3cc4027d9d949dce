//! Each layer knows only those below it.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where it was")]

use std::path::{Path, PathBuf};

/// From the bottom to the top; what stands in one string may know each other.
const LAYERS: [&str; 12] = [
    "error clock",
    "outcome",
    "value",
    "schema",
    "mutation",
    "cdc",
    "system",
    "storage",
    "execute",
    "statements",
    "faults",
    "wire control server",
];

#[test]
fn no_layer_knows_one_above_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let level = |name: &str| LAYERS.iter().position(|layer| layer.split(' ').any(|known| known == name));
    let mut wrong = Vec::new();
    for file in files(&source) {
        let inside = file.strip_prefix(&source).unwrap().with_extension("");
        let own = inside.iter().next().unwrap().to_string_lossy();
        if matches!(&*own, "lib" | "main") || inside.iter().any(|part| part == "tests" || part == "fuzz") {
            continue;
        }
        let own_level = level(&own).unwrap_or_else(|| panic!("{own} has no place among the layers"));
        let text = std::fs::read_to_string(&file).unwrap();
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for path in line.split("crate::").skip(1) {
                let name: String = path.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                if level(&name).is_some_and(|level| level > own_level) {
                    wrong.push(format!("{}: {}", inside.display(), line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "a layer knows one above it:\n{}", wrong.join("\n"));
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
