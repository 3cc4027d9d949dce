//! `Report`: every problem of every file, for people (file, line, column, source line, caret) and for programs (JSON).

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};
use weir_sdk::config::Problem;

use super::file::{File, Unreadable};
use super::mask::Mask;

/// Every problem of every file.
#[derive(Clone, Default)]
pub struct Report {
    findings: Vec<Finding>,
}

#[derive(Clone)]
struct Finding {
    file: Arc<File>,
    at: Option<Range<usize>>,
    pointer: String,
    message: String,
    help: Option<String>,
}

impl Report {
    /// Whether there is nothing to report.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// How many problems there are.
    pub fn len(&self) -> usize {
        self.findings.len()
    }

    /// The report with colours, for a terminal.
    pub fn styled(&self) -> String {
        self.render(&Renderer::styled().decor_style(DecorStyle::Ascii))
    }

    /// `{"problems": [{"file", "line", "column", "pointer", "message", "help"}]}`; lines and columns count from 1,
    /// columns in characters; both are absent where a file has no text to point into.
    pub fn to_json(&self) -> Value {
        let problems: Vec<Value> = self.findings.iter().map(Finding::to_json).collect();
        json!({ "problems": problems })
    }

    /// Adds the problems of a file in the order of their places.
    pub(super) fn add(&mut self, file: &Arc<File>, mask: &Mask, problems: Vec<Problem>) {
        let mut findings: Vec<Finding> = Vec::new();
        for problem in problems {
            let finding = Finding {
                file: Arc::clone(file),
                at: Some(file.place(&problem)),
                message: mask.apply(&problem.message).into_owned(),
                help: problem.help.map(|help| mask.apply(&help).into_owned()),
                pointer: problem.pointer,
            };
            let same = |other: &Finding| other.at == finding.at && other.message == finding.message;
            if !findings.iter().any(same) {
                findings.push(finding);
            }
        }
        findings.sort_by_key(|finding| finding.at.as_ref().map(|at| at.start));
        self.findings.extend(findings);
    }

    /// Adds the one thing that kept a file from being checked.
    pub(super) fn add_unreadable(&mut self, file: File, unreadable: Unreadable) {
        let at = unreadable.at.map(|at| file.on_one_line(at));
        self.findings.push(Finding {
            file: Arc::new(file),
            at,
            pointer: String::new(),
            message: unreadable.message,
            help: unreadable.help,
        });
    }

    fn render(&self, renderer: &Renderer) -> String {
        let mut shown = String::new();
        for finding in &self.findings {
            shown.push_str(&renderer.render(&[finding.group()]));
            shown.push_str("\n\n");
        }
        shown + &self.summary()
    }

    /// `3 problems in 2 files`
    fn summary(&self) -> String {
        let mut files: Vec<_> = self.findings.iter().map(|finding| &finding.file.path).collect();
        files.sort();
        files.dedup();
        let count = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        format!("{} in {}", count(self.len(), "problem"), count(files.len(), "file"))
    }
}

impl Finding {
    fn group(&self) -> Group<'_> {
        let path = self.file.path.to_string_lossy();
        let title = Level::ERROR.primary_title(&self.message);
        let group = match &self.at {
            Some(at) => title.element(
                Snippet::source(&self.file.text)
                    .path(path)
                    .annotation(AnnotationKind::Primary.span(at.clone())),
            ),
            None => title.element(Origin::path(path)),
        };
        match &self.help {
            Some(help) => group.element(Level::HELP.message(help)),
            None => group,
        }
    }

    fn to_json(&self) -> Value {
        let mut finding = json!({
            "file": self.file.path.to_string_lossy(),
            "pointer": self.pointer,
            "message": self.message,
            "help": self.help,
        });
        if let Some(at) = &self.at {
            let before = &self.file.text[..at.start];
            let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
            finding["line"] = json!(before.matches('\n').count() + 1);
            finding["column"] = json!(before[line_start..].chars().count() + 1);
        }
        finding
    }
}

/// Without colours.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Renderer::plain().decor_style(DecorStyle::Ascii)))
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Report {}
