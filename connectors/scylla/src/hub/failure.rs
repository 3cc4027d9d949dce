//! What failed for one of several who wait for the same thing, so that the others need not try it one after the other.

use tokio::time::Instant;
use weir_sdk::Error;

/// The last failure of something that is asked for by several.
#[derive(Debug, Default)]
pub struct Failure(Option<(Instant, Error)>);

impl Failure {
    /// It failed just now.
    pub fn set(&mut self, error: &Error) {
        self.0 = Some((Instant::now(), error.clone()));
    }

    /// It was done.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// The answer to one who has been waiting since `asked`: the error, if it failed meanwhile.
    ///
    /// # Errors
    /// Of whoever tried.
    pub fn since(&self, asked: Instant) -> Result<(), Error> {
        match &self.0 {
            Some((at, error)) if *at >= asked => Err(error.clone()),
            _ => Ok(()),
        }
    }
}
