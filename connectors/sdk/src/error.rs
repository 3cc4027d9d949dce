//! `Error`: what went wrong, as a kind that decides what happens next, a message, and advice.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Problem;

/// What went wrong. Cloning copies a pointer.
///
/// The message says what and where, in lower case without a full stop; the advice says what to do. Neither may hold a
/// secret. The [`kind`](Error::kind) alone decides what the host does.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    advice: Option<String>,
    retry_after: Option<Duration>,
    attempts: u32,
    problems: Vec<Problem>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What an error means for what happens next; the host's policy table has one row for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorKind {
    /// Likely to pass by itself; the outcome may be unknown.
    Transient,
    /// The far side asks for patience; see [`Error::retry_after`].
    Throttled,
    /// No answer in time; the outcome is unknown.
    Timeout,
    /// The far side is not there at all.
    Unavailable,
    /// The record's own fault: no retry can help it.
    Record,
    /// The configuration, or the far side's set-up, does not fit.
    Config,
    /// The far side refuses who we are or what we may do.
    Auth,
    /// Another owner has taken over; stop quietly.
    Fenced,
    /// What the checkpoint points at is gone: going on would lose records silently.
    Gap,
    /// A fault of the program; the connector is built anew.
    Bug,
}

impl ErrorKind {
    /// Every kind, in the order of the declaration.
    pub const ALL: [Self; 10] = [
        Self::Transient,
        Self::Throttled,
        Self::Timeout,
        Self::Unavailable,
        Self::Record,
        Self::Config,
        Self::Auth,
        Self::Fenced,
        Self::Gap,
        Self::Bug,
    ];

    /// The name in logs, metrics and headers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Record => "record",
            Self::Config => "config",
            Self::Auth => "auth",
            Self::Fenced => "fenced",
            Self::Gap => "gap",
            Self::Bug => "bug",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Error {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            advice: None,
            retry_after: None,
            attempts: 1,
            problems: Vec::new(),
            source: None,
        }))
    }

    /// A configuration error made of problems with places; the message tells them all.
    pub fn config(problems: Vec<Problem>) -> Self {
        let told = problems.iter().map(|problem| match problem.pointer.as_str() {
            "" => problem.message.clone(),
            pointer => format!("{pointer}: {}", problem.message),
        });
        let message = told.collect::<Vec<_>>().join("; ");
        Self::new(ErrorKind::Config, message).change(|inner| inner.problems = problems)
    }

    /// What to do about it, as a sentence for the operator.
    #[must_use]
    pub fn advice(self, advice: impl Into<String>) -> Self {
        self.change(|inner| inner.advice = Some(advice.into()))
    }

    /// How long the far side asked us to wait.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        self.change(|inner| inner.retry_after = Some(wait))
    }

    /// How often it was tried before this error was given as the answer.
    #[must_use]
    pub fn attempted(self, attempts: u32) -> Self {
        self.change(|inner| inner.attempts = attempts)
    }

    /// The error below this one.
    #[must_use]
    pub fn caused_by(self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.change(|inner| inner.source = Some(Arc::new(source)))
    }

    /// Puts what was being done in front of the message: `context: message`.
    #[must_use]
    pub fn context(self, context: impl fmt::Display) -> Self {
        self.change(|inner| inner.message = format!("{context}: {}", inner.message))
    }

    /// What it means for what happens next.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What and where, without the causes below.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do about it.
    pub fn operator_advice(&self) -> Option<&str> {
        self.0.advice.as_deref()
    }

    /// How long the far side asked us to wait.
    pub fn wait_hint(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// How often it was tried before this error was given as the answer; at least 1.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Problems with places in the configuration.
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

/// The message and its causes: `write to orders: broker unreachable: connection refused`.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        let (mut told, mut cause) = (self.0.message.clone(), self.source());
        while let Some(error) = cause {
            let text = error.to_string();
            // Many errors tell their causes themselves.
            if !told.ends_with(&text) {
                write!(f, ": {text}")?;
                told = text;
            }
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.0.kind)?;
        self.0.advice.iter().try_for_each(|advice| write!(f, " ({advice})"))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| source.as_ref() as &(dyn StdError + 'static))
    }
}

/// Why a write did not make all of its records durable.
#[derive(Clone, Debug)]
pub enum WriteError {
    /// Nothing may be assumed written.
    All(Error),
    /// Every record not listed is durable. Sorted by index, none twice, not empty. A record that was not attempted is
    /// listed too, with the error that held it up.
    Some(Vec<Failed>),
}

/// One record that is not known to be durable.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Its index among the records given to `write`.
    pub index: usize,
    /// Why.
    pub error: Error,
}

impl WriteError {
    /// The error that stands for the whole: that of the first failed record.
    pub fn first(&self) -> &Error {
        match self {
            Self::All(error) => error,
            Self::Some(failed) => &failed[0].error,
        }
    }
}

impl From<Error> for WriteError {
    fn from(error: Error) -> Self {
        Self::All(error)
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, ErrorKind};
    use crate::config::Problem;

    #[test]
    fn a_configuration_error_tells_every_problem() {
        let problems = vec![Problem::new("/table", "no such table"), Problem::new("", "nothing to read")];
        assert_eq!(Error::config(problems).to_string(), "/table: no such table; nothing to read");
    }

    #[test]
    fn an_error_is_pointer_sized_and_tells_its_causes() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let error = Error::new(ErrorKind::Unavailable, "broker unreachable")
            .caused_by(refused)
            .advice("start the broker")
            .context("write to orders");
        assert_eq!(error.to_string(), "write to orders: broker unreachable: connection refused");
        assert_eq!(
            format!("{error:?}"),
            "unavailable: write to orders: broker unreachable: connection refused (start the broker)"
        );
    }

    #[test]
    fn a_cause_that_was_told_already_is_not_told_again() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let lowest = Error::new(ErrorKind::Unavailable, "no connection").caused_by(refused);
        let error = Error::new(ErrorKind::Unavailable, "broker unreachable").caused_by(lowest);
        assert_eq!(error.to_string(), "broker unreachable: no connection: connection refused");
    }
}
