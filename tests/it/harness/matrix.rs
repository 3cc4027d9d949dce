//! `docs/fault-matrix.md`: one row for each fault that a test provokes, written by that test.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// A fault, and what is promised of it. A test provokes it, asserts what it promises, and then calls [`Fault::survived`].
pub(crate) struct Fault {
    /// The heading the row stands under: `The broker`, `ScyllaDB`, `Sinks and records`, `The host and its machine`.
    pub(crate) place: &'static str,
    /// What breaks, in the words of somebody who breaks it.
    pub(crate) fault: &'static str,
    /// State, reason, metric, log line and exit code, as asserted.
    pub(crate) seen: &'static str,
    /// The bound the test asserts, with its reason.
    pub(crate) repeated_at_most: &'static str,
    /// The bound the test asserts, and from when it counts.
    pub(crate) recovers_within: &'static str,
}

/// What was counted at the destination in this run.
pub(crate) struct Outcome {
    pub(crate) lost: usize,
    pub(crate) repeated: usize,
    /// From the repair until records arrive again; none where nothing stopped.
    pub(crate) recovered: Option<Duration>,
}

static MATRIX: Mutex<()> = Mutex::new(());

impl Fault {
    /// Compares the row with the one in the file; `UPDATE_EXPECT=1` writes it, with the figures of this run.
    pub(crate) fn survived(&self, outcome: &Outcome) {
        assert_eq!(outcome.lost, 0, "{}", self.fault);
        self.stands("0", outcome);
    }

    /// The same of a fault that costs records, which the user is told of beforehand: which ones.
    pub(crate) fn cost(&self, lost: &str, outcome: &Outcome) {
        assert!(outcome.lost > 0, "{}", self.fault);
        self.stands(&format!("{lost}: {} of this run", outcome.lost), outcome);
    }

    fn stands(&self, lost: &str, outcome: &Outcome) {
        let promised = format!(
            "| {} | {} | {lost} | {} | {} |",
            self.fault, self.seen, self.repeated_at_most, self.recovers_within
        );
        let recovered = outcome.recovered.map(|time| format!(", back after {:.1} s", time.as_secs_f64()));
        let row = format!("{promised} {} repeated{} |", outcome.repeated, recovered.unwrap_or_default());
        let _one_at_a_time = MATRIX.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let text = std::fs::read_to_string(path()).unwrap();
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(path(), self.placed(&text, &row)).unwrap();
        } else {
            let hint = "renew it: UPDATE_EXPECT=1 cargo test -p weir --test it faults";
            assert!(text.contains(&promised), "docs/fault-matrix.md lacks:\n{promised}\n{hint}");
        }
    }

    /// The file with this row in its table, the rows of a table in alphabetical order.
    fn placed(&self, text: &str, row: &str) -> String {
        let heading = format!("## {}\n", self.place);
        let (before, rest) = text.split_once(&heading).expect("each place has a heading in the file");
        let (section, after) = rest.find("\n## ").map_or((rest, ""), |end| rest.split_at(end));
        let (head, rows) = section.split_once("|---|---|---|---|---|---|\n").expect("each place has a table");
        let same = format!("| {} |", self.fault);
        let mut rows: Vec<&str> =
            rows.lines().filter(|old| !old.is_empty() && !old.starts_with(&same)).collect();
        rows.push(row);
        rows.sort_unstable();
        format!("{before}{heading}{head}|---|---|---|---|---|---|\n{}\n{after}", rows.join("\n"))
    }
}

/// The file.
pub(crate) fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/fault-matrix.md")
}
