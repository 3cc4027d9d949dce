//! Looking at the table again now and then: a log that is switched off says nothing, it only falls silent.

use std::sync::Arc;
use std::time::Duration;

use scylla::client::session::Session;
use weir_sdk::{Error, ErrorKind};

use super::table::Table;
use super::time::{Micros, SECOND};

/// How often, by the server's clock.
const EVERY: Micros = 30 * SECOND;

/// What a connector demands of its table.
pub type Check = Box<dyn Fn(&Table) -> Result<(), Error> + Send + Sync>;

/// Watches one table.
pub struct Watch {
    session: Arc<Session>,
    table: Table,
    check: Check,
    looked: Micros,
}

impl Watch {
    /// Watches a table that was looked at just now.
    pub fn new(session: Arc<Session>, table: Table, check: Check, now: Micros) -> Self {
        Self { session, table, check, looked: now }
    }

    /// Looks at the table if it is time to.
    ///
    /// # Errors
    /// `Config` when it is another table by now or its log cannot be read any more.
    pub async fn look(&mut self, now: Micros) -> Result<(), Error> {
        // A clock that was set back says nothing of when that was.
        if (self.looked..self.looked.saturating_add(EVERY)).contains(&now) {
            return Ok(());
        }
        self.look_closer().await?;
        self.looked = now;
        Ok(())
    }

    /// Looks at the table now, because it may be another one.
    ///
    /// # Errors
    /// `Config` when it is another table by now or its log cannot be read any more.
    pub async fn look_closer(&mut self) -> Result<(), Error> {
        let table = Table::read(&self.session, self.table.keyspace(), self.table.name()).await?;
        if table.identity() != self.table.identity() {
            let message = format!(
                "the table {} was dropped and made again: the checkpoint is of the old one",
                table.quoted()
            );
            return Err(Error::new(ErrorKind::Config, message).advice(
                "give the pipeline or the sink another name, which reads the new table from `start`; what the old \
                 one held and was not read yet is lost with it",
            ));
        }
        (self.check)(&table)?;
        self.table = table;
        Ok(())
    }

    /// How long a row of the log lives; `None` is for ever.
    pub fn ttl(&self) -> Option<Duration> {
        self.table.ttl()
    }
}
