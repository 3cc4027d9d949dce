//! What the binary says to a person: results on standard output, complaints on standard error.

#![expect(clippy::print_stderr, reason = "this is the one place that prints")]

use std::io::{IsTerminal, Write};

use weir_host::config::Report;
use weir_sdk::Error;

/// A line of the command's own result.
pub(crate) fn line(text: impl std::fmt::Display) {
    // Whoever was reading may have gone (`| head`): nobody is left to tell.
    writeln!(std::io::stdout(), "{text}").ok();
}

/// How something goes, for whoever watches.
pub(crate) fn note(text: impl std::fmt::Display) {
    eprintln!("{text}");
}

/// Everything that is wrong with pipeline files.
pub(crate) fn report(report: &Report) {
    if std::io::stderr().is_terminal() { eprintln!("{}", report.styled()) } else { eprintln!("{report}") }
}

/// What is wrong with the command line beyond its syntax, and what to do.
pub(crate) fn complaint(message: &str, help: &str) {
    eprintln!("error: {message}\nhelp: {help}");
}

/// Why a command could not do its work, and what to do.
pub(crate) fn error(error: &anyhow::Error) {
    // Our own errors tell their causes themselves.
    let told = error.chain().map(ToString::to_string).reduce(|told, cause| match told.ends_with(&cause) {
        true => told,
        false => format!("{told}: {cause}"),
    });
    eprintln!("error: {}", told.unwrap_or_default());
    let ours = error.chain().find_map(|cause| cause.downcast_ref::<Error>());
    if let Some(advice) = ours.and_then(Error::operator_advice) {
        eprintln!("help: {advice}");
    }
}
