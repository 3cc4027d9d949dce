//! Reading all events of all aggregates, for a rebuild: in order per aggregate, page by page, and resumable.
use scylla::response::{PagingState, PagingStateResponse};
use scylla::statement::prepared::PreparedStatement;
use uuid::Uuid;

use crate::load::EventRow;
use crate::statements::Preparing;
use crate::{Error, EventEnvelope, EventStore};

/// A walk over the event store. Aggregates come in the order of the ring, the events of one in their own.
#[derive(Debug)]
pub struct Scan {
    store: EventStore,
    statement: PreparedStatement,
    from: i64,
    next: Option<PagingState>,
}

/// Some events of a [`Scan`].
#[derive(Debug)]
pub struct Page {
    /// In order per aggregate; an aggregate may go on in the next page.
    pub events: Vec<EventEnvelope>,
    /// Where a scan that goes on behind this page begins ([`EventStore::scan`]). It begins with the last aggregate of
    /// this page once more, whole.
    pub resume: i64,
}

impl EventStore {
    /// Begins a walk over all events: at the beginning with [`i64::MIN`], or at [`Page::resume`] of an earlier one.
    /// What is appended meanwhile may or may not be met; a claim that nobody has published yet is not.
    ///
    /// # Errors
    /// [`Error::Database`] when the statement cannot be prepared.
    pub async fn scan(&self, resume: i64) -> Result<Scan, Error> {
        let prepare = Preparing { session: &self.session, options: &self.options };
        let text = format!(
            "SELECT {} FROM {}.{} WHERE token(aggregate_id) >= ?",
            EventRow::COLUMNS,
            self.options.keyspace,
            self.options.event_store
        );
        let statement = prepare.read(&text).await?;
        Ok(Scan { store: self.clone(), statement, from: resume, next: Some(PagingState::start()) })
    }
}

impl Scan {
    /// The next page; `None` at the end. After an error the same page can be asked for again.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read, [`Error::Corrupt`] or [`Error::Payload`] for an event that is none.
    pub async fn next(&mut self) -> Result<Option<Page>, Error> {
        const DOING: &str = "read the events of all aggregates";
        let Some(state) = self.next.clone() else { return Ok(None) };
        let page = self.store.session.execute_single_page(&self.statement, (self.from,), state);
        let (page, next) = Box::pin(page).await.map_err(|e| Error::database(DOING, e))?;
        let rows = page.into_rows_result().map_err(|e| Error::database(DOING, e))?;
        let mut found = Page { events: Vec::with_capacity(rows.rows_num()), resume: self.from };
        for row in rows.rows::<EventRow>().map_err(|e| Error::database(DOING, e))? {
            let row = row.map_err(|e| Error::database(DOING, e))?;
            found.events.push(row.into_envelope(&self.store.options.upcasters)?);
        }
        if let Some(last) = found.events.last() {
            found.resume = self.token(last.aggregate_id)?;
        }
        self.next = match next {
            PagingStateResponse::HasMorePages { state } => Some(state),
            PagingStateResponse::NoMorePages => None,
        };
        Ok(Some(found))
    }

    fn token(&self, aggregate_id: Uuid) -> Result<i64, Error> {
        let token = self.store.statements.event_id.calculate_token(&(aggregate_id, 0_i64));
        let token = token.map_err(|e| Error::database("place an aggregate on the ring", e))?;
        token.map(|token| token.value()).ok_or_else(|| {
            Error::corrupt(aggregate_id, "the event store is not partitioned by aggregate_id alone")
        })
    }
}
