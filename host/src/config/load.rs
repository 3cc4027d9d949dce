//! `load`: files and folders to pipelines, or every problem of every file in one report.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::check::{Checked, check};
use super::file::{File, Unreadable};
use super::pipeline::PipelineConfig;
use super::reference::{Lookup, io_reason};
use super::report::Report;
use crate::registry::Registry;

/// Reads pipeline files, and the `*.yaml` and `*.yml` files of folders (not of folders in them).
///
/// # Errors
/// Every problem of every file.
pub fn load(
    paths: &[PathBuf],
    registry: &Registry,
    lookup: &dyn Lookup,
) -> Result<Vec<PipelineConfig>, Report> {
    let mut report = Report::default();
    let mut seen = BTreeSet::new();
    let mut files = Vec::new();
    for path in paths {
        let found = if path.is_dir() { folder(path) } else { Ok(vec![path.clone()]) };
        match found {
            Ok(found) => files.extend(found),
            Err(unreadable) => report.add_unreadable(File::blank(path, String::new()), unreadable),
        }
    }
    files.retain(|path| seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())));
    finish(files.iter().map(|path| File::read(path)), report, registry, lookup)
}

/// Reads pipelines from texts that do not lie on disk; the paths are what reports call them.
///
/// # Errors
/// Every problem of every text.
pub fn load_texts(
    texts: impl IntoIterator<Item = (PathBuf, String)>,
    registry: &Registry,
    lookup: &dyn Lookup,
) -> Result<Vec<PipelineConfig>, Report> {
    let files = texts.into_iter().map(|(path, text)| File::parse(&path, text));
    finish(files, Report::default(), registry, lookup)
}

fn finish(
    files: impl Iterator<Item = (File, Option<Unreadable>)>,
    mut report: Report,
    registry: &Registry,
    lookup: &dyn Lookup,
) -> Result<Vec<PipelineConfig>, Report> {
    let mut earlier: Vec<Checked> = Vec::new();
    for (file, unreadable) in files {
        if let Some(unreadable) = unreadable {
            report.add_unreadable(file, unreadable);
            continue;
        }
        let mut checked = check(Arc::new(file), registry, lookup);
        checked.refuse_name_of(&earlier);
        report.add(&checked.file, &checked.mask, std::mem::take(&mut checked.problems));
        earlier.push(checked);
    }
    if report.is_empty() {
        return Ok(earlier.into_iter().filter_map(|checked| checked.pipeline).collect());
    }
    Err(report)
}

fn folder(path: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let refused =
        |error: std::io::Error| Unreadable::new(format!("this folder cannot be read: {}", io_reason(&error)));
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(refused)? {
        let file = entry.map_err(refused)?.path();
        let hidden = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let yaml = file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if yaml && !hidden && file.is_file() {
            files.push(file);
        }
    }
    if files.is_empty() {
        let help = "its own *.yaml and *.yml files are read, not those of folders in it";
        return Err(Unreadable::new("this folder has no pipeline files").help(help));
    }
    files.sort();
    Ok(files)
}
