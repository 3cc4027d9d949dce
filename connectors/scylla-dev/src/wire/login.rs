//! Password authentication: SASL PLAIN, as ScyllaDB's `PasswordAuthenticator` has it.
use scylla_cql::frame::types;

use super::request::malformed;
use crate::error::{DbError, ErrorCode};

/// The class by which drivers choose how to log in.
pub(super) const AUTHENTICATOR: &str = "org.apache.cassandra.auth.PasswordAuthenticator";

/// The one user there is.
#[derive(Clone)]
pub(crate) struct Login {
    user: String,
    password: String,
}

impl Login {
    pub(crate) fn new(user: String, password: String) -> Self {
        Self { user, password }
    }

    /// Checks the body of AUTH_RESPONSE: `[authorization id] NUL user NUL password`.
    pub(super) fn check(&self, body: &[u8]) -> Result<(), DbError> {
        let token = types::read_bytes_opt(&mut &body[..]).map_err(malformed)?.unwrap_or_default();
        let refused = |text| Err(DbError::new(ErrorCode::Credentials, text));
        let mut parts = token.rsplitn(3, |byte| *byte == 0);
        let mut part = || parts.next().unwrap_or_default();
        let (password, user) = (part(), part());
        if user.is_empty() {
            return refused("Authentication ID must not be null");
        }
        if password.is_empty() {
            return refused("Password must not be null");
        }
        if user != self.user.as_bytes() || password != self.password.as_bytes() {
            return refused("Username and/or password are incorrect");
        }
        Ok(())
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Login({}, …)", self.user)
    }
}
