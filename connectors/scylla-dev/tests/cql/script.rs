//! A file of statements and their answers, read and written back.
use std::fmt;
use std::path::Path;

/// A file: statements in order.
pub(crate) struct Script {
    pub(crate) steps: Vec<Step>,
}

/// One statement, what stands above it, and its answer.
#[derive(Default)]
pub(crate) struct Step {
    /// Comments, blank lines and directives.
    pub(crate) above: Vec<String>,
    pub(crate) statement: String,
    pub(crate) answer: Vec<String>,
}

impl Script {
    pub(crate) fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap();
        let mut steps: Vec<Step> = Vec::new();
        let mut step = Step::default();
        for line in text.lines() {
            let inside = !step.statement.is_empty();
            if inside || !(line.is_empty() || line.starts_with("//") || line.starts_with("--")) {
                step.statement += line;
                step.statement.push('\n');
                let batch = step.statement.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("begin"));
                if line.ends_with(if batch { "BATCH;" } else { ";" }) {
                    steps.push(std::mem::take(&mut step));
                }
            } else if line.starts_with("--") {
                let done = steps.last_mut().unwrap_or_else(|| panic!("{file:?} begins with an answer"));
                done.answer.push(line.to_owned());
            } else {
                step.above.push(line.to_owned());
            }
        }
        assert!(step.statement.is_empty(), "{file:?} ends inside a statement");
        Self { steps }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            step.above.iter().try_for_each(|line| writeln!(out, "{line}"))?;
            out.write_str(&step.statement)?;
            step.answer.iter().try_for_each(|line| writeln!(out, "{line}"))?;
        }
        Ok(())
    }
}

impl Step {
    /// What the directive of this name says.
    pub(crate) fn directive(&self, name: &str) -> Option<&str> {
        let words = self.above.iter().filter_map(|line| line.strip_prefix("//@ "));
        words.filter_map(|line| line.strip_prefix(name)).map(str::trim).next()
    }

    /// How far the clock moves before the statement.
    pub(crate) fn seconds(&self) -> u64 {
        self.directive("clock").map_or(0, |seconds| seconds.parse().unwrap())
    }
}
