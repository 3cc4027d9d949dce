//! The source: every dead letter of the table, in the order of the ring; and their removal.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::{StreamExt as _, stream};
use scylla::client::session::Session;
use scylla::response::{PagingState, PagingStateResponse};
use scylla::statement::Statement;
use scylla::statement::prepared::PreparedStatement;
use uuid::Uuid;
use weir_sdk::config::Problem;
use weir_sdk::{
    Batch, Checkpoint, Context, Error, ErrorKind, Offset, Origin, Partition, Record, Room, Source,
    SourceConnector, Start, async_trait,
};

use super::config::DeadLetterConfig;
use super::row::{READ, Read};
use super::table;
use crate::hub::Hub;
use crate::session::errors::{Classify, shape};

/// The ring is read in so many ranges, one after the other, so that no query runs over a whole large table.
const RANGES: i128 = 32;
/// Rows that are removed at a time.
const AT_A_TIME: usize = 64;
/// The one partition of a table.
const PARTITION: &str = "ring";

/// Reads dead letters from a table, to its end.
#[derive(Clone, Debug, Default)]
pub struct DeadLetterSource {
    hub: Hub,
}

impl DeadLetterSource {
    /// Shares the sessions of this hub.
    pub fn over(hub: Hub) -> Self {
        Self { hub }
    }
}

#[async_trait]
impl SourceConnector for DeadLetterSource {
    const NAME: &'static str = "scylla-dead-letter";
    type Config = DeadLetterConfig;

    fn check(&self, config: &DeadLetterConfig) -> Vec<Problem> {
        config.problems()
    }

    async fn open(
        &self,
        config: DeadLetterConfig,
        resume: Checkpoint,
        _context: Context,
    ) -> Result<Box<dyn Source>, Error> {
        let partition = Partition::from(PARTITION);
        let last = resume.get(&partition).map(Place::read).transpose()?;
        let session = self.hub.session(&config.session).await?;
        table::check(&session, &config).await?;
        let text = format!(
            "SELECT token(id) AS place, writetime(pipeline) AS written_us, {READ} FROM {} \
             WHERE token(id) >= ? AND token(id) <= ?",
            table::quoted(&config)
        );
        let select =
            Statement::new(text).with_page_size(config.session.page_size.try_into().unwrap_or(5_000));
        let prepared = session.prepare(select).await;
        let select = prepared.map_err(|error| error.classify().context("prepare the select"))?;
        let range = last.map_or(0, |last| range_of(last.token));
        let identity = table::quoted(&config);
        let state = PagingState::start();
        Ok(Box::new(OpenTable {
            session,
            select,
            identity,
            partition,
            last,
            range,
            state,
            waiting: VecDeque::new(),
        }))
    }

    async fn purge(
        &self,
        config: DeadLetterConfig,
        origins: Vec<Origin>,
        _context: Context,
    ) -> Result<usize, Error> {
        let places = origins.iter().filter(|origin| origin.partition.as_str() == PARTITION);
        let places = places.map(|origin| Place::read(&origin.offset)).collect::<Result<Vec<_>, _>>()?;
        let session = self.hub.session(&config.session).await?;
        table::check(&session, &config).await?;
        // With the time of the write: one that failed again since is newer, and stays.
        let text = format!("DELETE FROM {} USING TIMESTAMP ? WHERE id = ?", table::quoted(&config));
        let prepared = session.prepare(text).await;
        let delete = prepared.map_err(|error| error.classify().context("prepare the delete"))?;
        let (purged, session, delete) = (places.len(), &session, &delete);
        let deletes = places
            .into_iter()
            .map(|place| async move { session.execute_unpaged(delete, (place.written_us, place.id)).await });
        let answers: Vec<_> = stream::iter(deletes).buffered(AT_A_TIME).collect().await;
        for answer in answers {
            answer.map_err(|error| error.classify().context("remove a dead letter"))?;
        }
        Ok(purged)
    }
}

/// The first and the last token of a range.
fn bounds(range: i128) -> (i64, i64) {
    let width = (1_i128 << 64) / RANGES;
    let at = |range: i128| i128::from(i64::MIN) + range * width;
    let token = |token: i128| i64::try_from(token).unwrap_or(i64::MAX);
    (token(at(range)), token(at(range + 1) - 1))
}

fn range_of(token: i64) -> i128 {
    (i128::from(token) - i128::from(i64::MIN)) / ((1_i128 << 64) / RANGES)
}

/// Where a row stands, and which state of it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    token: i64,
    id: Uuid,
    written_us: i64,
}

impl Place {
    fn offset(self) -> Offset {
        format!("{}@{}@{}", self.id, self.token, self.written_us).into()
    }

    fn read(offset: &Offset) -> Result<Self, Error> {
        let parse = || {
            let mut parts = std::str::from_utf8(offset.as_bytes()).ok()?.split('@');
            let (id, token, written) = (parts.next()?, parts.next()?, parts.next()?);
            let id = Uuid::parse_str(id).ok()?;
            Some(Self { id, token: token.parse().ok()?, written_us: written.parse().ok()? })
        };
        let damaged = || Error::new(ErrorKind::Config, "the checkpoint is damaged, or of another version");
        parse()
            .ok_or_else(|| damaged().advice("give the pipeline or the sink another name, which begins anew"))
    }

    /// In the order of the ring; rows of one token are in the order of their keys.
    fn is_behind(self, last: Option<Self>) -> bool {
        last.is_none_or(|last| (self.token, self.id.as_bytes()) > (last.token, last.id.as_bytes()))
    }
}

struct OpenTable {
    session: Arc<Session>,
    select: PreparedStatement,
    identity: String,
    partition: Partition,
    /// The last row that was given out.
    last: Option<Place>,
    /// The range that is read next, and how far.
    range: i128,
    state: PagingState,
    /// Read, but not given out yet.
    waiting: VecDeque<(Place, Record)>,
}

#[async_trait]
impl Source for OpenTable {
    fn start(&self) -> Start {
        Start { identity: self.identity.clone(), checkpoint: Checkpoint::default() }
    }

    async fn poll(&mut self, room: Room) -> Result<Option<Batch>, Error> {
        while self.waiting.is_empty() {
            if self.range >= RANGES {
                return Ok(None);
            }
            self.page().await?;
        }
        let (mut records, mut bytes) = (Vec::new(), 0);
        while records.len() < room.records
            && let Some((_, record)) = self.waiting.front()
        {
            bytes += record.size();
            if !records.is_empty() && bytes > room.bytes {
                break;
            }
            if let Some((place, record)) = self.waiting.pop_front() {
                self.last = Some(place);
                records.push(record);
            }
        }
        let here = self.last.map(|place| (self.partition.clone(), place.offset()));
        Ok(Some(Batch { records: records.into(), checkpoint: here.into_iter().collect() }))
    }
}

impl OpenTable {
    /// Reads one more page.
    async fn page(&mut self) -> Result<(), Error> {
        let (first, end) = bounds(self.range);
        let first = self.last.map_or(first, |last| last.token.max(first));
        let asked = self.session.execute_single_page(&self.select, (first, end), self.state.clone()).await;
        let (answer, next) = asked.map_err(|error| error.classify().context("read dead letters"))?;
        let answer = answer.into_rows_result().map_err(shape)?;
        let mut rows = Vec::new();
        for row in answer.rows::<Read>().map_err(shape)? {
            let row = row.map_err(shape)?;
            let place = Place { token: row.place, id: row.id, written_us: row.written_us.unwrap_or(0) };
            if place.is_behind(self.last) {
                let origin = Origin { partition: self.partition.clone(), offset: place.offset() };
                rows.push((place, row.into_record(origin)));
            }
        }
        self.waiting.extend(rows);
        match next {
            PagingStateResponse::HasMorePages { state } => self.state = state,
            PagingStateResponse::NoMorePages => {
                self.state = PagingState::start();
                self.range += 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, RANGES, bounds, range_of};
    use uuid::Uuid;

    #[test]
    fn the_ranges_cover_the_ring_without_gap_or_overlap() {
        let mut next = i128::from(i64::MIN);
        for range in 0..RANGES {
            let (first, last) = bounds(range);
            assert_eq!(i128::from(first), next);
            assert_eq!((range_of(first), range_of(last)), (range, range));
            next = i128::from(last) + 1;
        }
        assert_eq!(next, i128::from(i64::MAX) + 1);
    }

    #[test]
    fn a_place_survives_its_text_and_what_is_none_is_refused() {
        let place = Place { token: -5, id: Uuid::from_u128(7), written_us: 12 };
        assert_eq!(Place::read(&place.offset()).unwrap(), place);
        assert!(Place::read(&"7@1".into()).is_err());
        let next = Place { id: Uuid::from_u128(8), ..place };
        assert!(next.is_behind(Some(place)) && !place.is_behind(Some(place)) && place.is_behind(None));
    }
}
