//! Whatever a file holds, it ends in pipelines or in a report, and never in a panic.

use proptest::prelude::*;

use super::load;

/// Pieces that mean something to YAML, to references or to a terminal.
fn piece() -> impl Strategy<Value = String> {
    let known = [
        "\n",
        "\t",
        "\r\n",
        ": ",
        "- ",
        "${",
        "}",
        "${env:NODES}",
        "$${",
        "${env:",
        "[",
        "]",
        "{",
        "'",
        "\"",
        "|",
        "&a",
        "*a",
        "<<: *a",
        "#",
        "~",
        "\u{feff}",
        "ß🔑",
        "\u{0}",
        "\u{1b}[31m",
        ",",
        "/0/~1",
        "---",
        "!!str",
        "1e9",
        "null",
    ];
    prop_oneof![proptest::sample::select(known.to_vec()).prop_map(str::to_owned), any::<String>()]
}

proptest! {
    #[test]
    fn a_mutilated_file_is_reported_without_a_panic(
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), 0usize..12, piece()), 1..6)
    ) {
        let mut text = include_str!("planted.yaml").to_owned();
        for (at, gone, piece) in edits {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let from = at.index(places.len());
            let to = (from + gone).min(places.len() - 1);
            text.replace_range(places[from]..places[to], &piece);
        }
        if let Err(report) = load(&[("p.yaml", &text)]) {
            prop_assert!(report.to_string().ends_with("in 1 file"));
            let json = report.to_json();
            let problems = json["problems"].as_array().expect("a list");
            prop_assert!(problems.iter().all(|problem| problem["line"].as_u64() >= Some(1)), "{json}");
        }
    }
}
