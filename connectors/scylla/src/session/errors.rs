//! Every error of the driver as a kind that decides what happens next.
//!
//! The matches name each variant, so that a new one in a later driver is a decision and not a default: the lint below
//! fails the build when one is missing. The driver's text stays as the cause; what to do is said here.
#![deny(clippy::wildcard_enum_match_arm)]

use scylla::errors::{
    ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, DbError, ExecutionError,
    MetadataError, MetadataFetchErrorKind, NewSessionError, NextPageError, NextRowError, PrepareError,
    RequestAttemptError, RequestError, SchemaAgreementError, UseKeyspaceError,
};
use weir_sdk::{Error, ErrorKind};

/// Turns a driver's error into ours.
pub trait Classify: std::error::Error + Sized + Send + Sync + 'static {
    /// What it means for what happens next.
    fn kind(&self) -> ErrorKind;

    /// The error with its kind, a short message, advice, and the driver's text as its cause.
    fn classify(self) -> Error {
        let kind = self.kind();
        let (message, advice) = words(kind);
        Error::new(kind, message).advice(advice).caused_by(self)
    }
}

fn words(kind: ErrorKind) -> (&'static str, &'static str) {
    match kind {
        ErrorKind::Transient => {
            ("ScyllaDB failed to answer", "it is tried again; look at the node's log if it stays")
        }
        ErrorKind::Throttled => {
            ("ScyllaDB is overloaded", "it is tried again later; give the cluster more room")
        }
        ErrorKind::Timeout => (
            "ScyllaDB did not answer in time",
            "it is tried again; check the load, or raise session.request_timeout",
        ),
        ErrorKind::Unavailable => (
            "ScyllaDB cannot be reached",
            "check that enough nodes are up and that session.contact_points names them",
        ),
        ErrorKind::Config => ("ScyllaDB refuses the statement", "compare the table with the configuration"),
        ErrorKind::Auth => (
            "ScyllaDB refuses the user",
            "check session.username and session.password, and that the user may read the table and its log",
        ),
        ErrorKind::Record | ErrorKind::Fenced | ErrorKind::Gap | ErrorKind::Bug => (
            "the driver and ScyllaDB do not understand each other",
            "please report it with the versions of both",
        ),
    }
}

impl Classify for ExecutionError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::BadQuery(_) => ErrorKind::Bug,
            Self::EmptyPlan => ErrorKind::Unavailable,
            Self::PrepareError(error) => error.kind(),
            Self::ConnectionPoolError(error) => error.kind(),
            Self::LastAttemptError(error) => error.kind(),
            Self::RequestTimeout(_) => ErrorKind::Timeout,
            Self::UseKeyspaceError(error) => error.kind(),
            Self::SchemaAgreementError(error) => error.kind(),
            Self::MetadataError(error) => error.kind(),
            _ => ErrorKind::Transient,
        }
    }
}

impl Classify for PrepareError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::ConnectionPoolError(error) => error.kind(),
            Self::AllAttemptsFailed { first_attempt } => first_attempt.kind(),
            Self::PreparedStatementIdsMismatch => ErrorKind::Transient,
            _ => ErrorKind::Transient,
        }
    }
}

impl Classify for RequestAttemptError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::DbError(error, _) => error.kind(),
            Self::UnableToAllocStreamId => ErrorKind::Throttled,
            Self::BrokenConnectionError(_) => ErrorKind::Transient,
            Self::SerializationError(_)
            | Self::CqlRequestSerialization(_)
            | Self::BodyExtensionsParseError(_)
            | Self::CqlResultParseError(_)
            | Self::CqlErrorParseError(_)
            | Self::UnexpectedResponse(_)
            | Self::RepreparedIdChanged { .. }
            | Self::RepreparedIdMissingInBatch
            | Self::NonfinishedPagingState => ErrorKind::Bug,
            _ => ErrorKind::Transient,
        }
    }
}

impl Classify for DbError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::SyntaxError
            | Self::Invalid
            | Self::AlreadyExists { .. }
            | Self::FunctionFailure { .. }
            | Self::ConfigError => ErrorKind::Config,
            Self::AuthenticationError | Self::Unauthorized => ErrorKind::Auth,
            Self::Unavailable { .. } => ErrorKind::Unavailable,
            Self::Overloaded | Self::RateLimitReached { .. } => ErrorKind::Throttled,
            Self::ReadTimeout { .. } | Self::WriteTimeout { .. } => ErrorKind::Timeout,
            Self::IsBootstrapping
            | Self::TruncateError
            | Self::ReadFailure { .. }
            | Self::WriteFailure { .. }
            | Self::Unprepared { .. }
            | Self::ServerError
            | Self::Other(_) => ErrorKind::Transient,
            Self::ProtocolError => ErrorKind::Bug,
            _ => ErrorKind::Transient,
        }
    }
}

impl Classify for ConnectionPoolError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Broken { last_connection_error } => last_connection_error.kind(),
            Self::Initializing => ErrorKind::Unavailable,
            Self::NodeDisabledByHostFilter => ErrorKind::Bug,
            _ => ErrorKind::Unavailable,
        }
    }
}

impl Classify for ConnectionError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::ConnectTimeout
            | Self::IoError(_)
            | Self::NoSourcePortForShard(_)
            | Self::TranslationError(_)
            | Self::BrokenConnection(_) => ErrorKind::Unavailable,
            Self::ConnectionSetupRequestError(error) => of_setup(error.get_error()),
            Self::UseKeyspaceError(error) => error.kind(),
            _ => ErrorKind::Unavailable,
        }
    }
}

fn of_setup(error: &ConnectionSetupRequestErrorKind) -> ErrorKind {
    use ConnectionSetupRequestErrorKind as Setup;
    match error {
        Setup::DbError(DbError::AuthenticationError | DbError::Unauthorized, _)
        | Setup::StartAuthSessionError(_)
        | Setup::AuthChallengeEvaluationError(_)
        | Setup::AuthFinishError(_)
        | Setup::MissingAuthentication => ErrorKind::Auth,
        Setup::DbError(..) | Setup::BrokenConnection(_) | Setup::UnableToAllocStreamId => {
            ErrorKind::Unavailable
        }
        Setup::CqlRequestSerialization(_)
        | Setup::BodyExtensionsParseError(_)
        | Setup::UnexpectedResponse(_)
        | Setup::CqlSupportedParseError(_)
        | Setup::CqlAuthenticateParseError(_)
        | Setup::CqlAuthSuccessParseError(_)
        | Setup::CqlAuthChallengeParseError(_)
        | Setup::CqlErrorParseError(_) => ErrorKind::Bug,
        _ => ErrorKind::Unavailable,
    }
}

impl Classify for UseKeyspaceError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::BadKeyspaceName(_) => ErrorKind::Config,
            Self::RequestError(error) => error.kind(),
            Self::KeyspaceNameMismatch { .. } => ErrorKind::Bug,
            Self::RequestTimeout(_) => ErrorKind::Timeout,
            _ => ErrorKind::Transient,
        }
    }
}

impl Classify for SchemaAgreementError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::ConnectionPoolError(error) => error.kind(),
            Self::PrepareError(error) => error.kind(),
            Self::RequestError(error) => error.kind(),
            Self::TracesEventsIntoRowsResultError(_) | Self::SingleRowError(_) => ErrorKind::Bug,
            Self::Timeout(_) => ErrorKind::Timeout,
            Self::RequiredHostAbsent(_) => ErrorKind::Unavailable,
            _ => ErrorKind::Transient,
        }
    }
}

impl Classify for MetadataError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::ConnectionPoolError(error) => error.kind(),
            Self::FetchError(error) => match &error.error {
                MetadataFetchErrorKind::PrepareError(error) => error.kind(),
                MetadataFetchErrorKind::NextRowError(error) => of_row(error),
                MetadataFetchErrorKind::InvalidColumnType(_)
                | MetadataFetchErrorKind::SerializationError(_) => ErrorKind::Bug,
                _ => ErrorKind::Transient,
            },
            Self::Peers(_) => ErrorKind::Unavailable,
            Self::Keyspaces(_) | Self::Udts(_) | Self::Tables(_) | Self::ClientRoutes(_) => ErrorKind::Bug,
            _ => ErrorKind::Transient,
        }
    }
}

fn of_row(error: &NextRowError) -> ErrorKind {
    match error {
        NextRowError::NextPageError(NextPageError::RequestFailure(error)) => match error {
            RequestError::EmptyPlan => ErrorKind::Unavailable,
            RequestError::ConnectionPoolError(error) => error.kind(),
            RequestError::RequestTimeout(_) => ErrorKind::Timeout,
            RequestError::LastAttemptError(error) => error.kind(),
            _ => ErrorKind::Transient,
        },
        NextRowError::NextPageError(_) | NextRowError::RowDeserializationError(_) => ErrorKind::Bug,
        _ => ErrorKind::Transient,
    }
}

impl Classify for NewSessionError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::FailedToResolveAnyHostname(_) => ErrorKind::Unavailable,
            Self::EmptyKnownNodesList | Self::IllegalConfig(_) => ErrorKind::Config,
            Self::MetadataError(error) => error.kind(),
            Self::UseKeyspaceError(error) => error.kind(),
            _ => ErrorKind::Transient,
        }
    }
}

/// An answer that does not have the shape the statement asks for.
pub(crate) fn shape(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Bug, "ScyllaDB's answer has an unexpected shape")
        .advice("please report it with the versions of both")
        .caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::Classify;
    use scylla::errors::{
        ConnectionError, ConnectionPoolError, DbError, ExecutionError, RequestAttemptError,
    };
    use std::time::Duration;
    use weir_sdk::ErrorKind;

    fn refused(error: DbError) -> ErrorKind {
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, "text".into())).kind()
    }

    #[test]
    fn what_the_database_says_decides() {
        assert_eq!(refused(DbError::Overloaded), ErrorKind::Throttled);
        assert_eq!(refused(DbError::Invalid), ErrorKind::Config);
        assert_eq!(refused(DbError::Unauthorized), ErrorKind::Auth);
        assert_eq!(refused(DbError::ServerError), ErrorKind::Transient);
    }

    #[test]
    fn nobody_there_is_unavailable_and_the_cause_is_kept() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let pool = ConnectionPoolError::Broken { last_connection_error: ConnectionError::from(refused) };
        let error = ExecutionError::ConnectionPoolError(pool).classify();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().starts_with("ScyllaDB cannot be reached: "), "{error}");
        assert!(error.to_string().contains("connection refused"), "{error}");
        assert_eq!(ExecutionError::RequestTimeout(Duration::from_secs(1)).kind(), ErrorKind::Timeout);
    }
}
