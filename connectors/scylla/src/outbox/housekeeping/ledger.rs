//! `Ledger`: the table in which consumers tell what they have passed, and the housekeeper where it is.
//!
//! A consumer is a partition, each minute that it has passed a row: what it emitted of each second. A minute is told
//! once it is settled, saved and durable in the sink, again if it is read again, and each minute of a running consumer
//! is told, also an empty one. So one that is behind has not told yet, and one that has passed over something has told
//! of later minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use scylla::client::session::Session;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlTimestamp;
use weir_sdk::config::Problem;
use weir_sdk::{Error, ErrorKind};

use super::config::HousekeepingConfig;
use crate::reader::table::Table;
use crate::reader::tally::{Minute, Tally, Word, seconds};
use crate::reader::unsettled::Sum;
use crate::session::errors::{Classify, shape};
use crate::session::own_table::{Column, OwnTable};

const COLUMNS: [Column; 7] = [
    ("outbox", "text", "partition_key"),
    ("consumer", "text", "partition_key"),
    ("minute", "timestamp", "clustering"),
    ("seconds", "frozen<map<int, frozen<tuple<bigint, bigint>>>>", "regular"),
    ("begins", "boolean", "regular"),
    ("looked_until", "timestamp", "static"),
    ("unpassed", "frozen<list<timestamp>>", "static"),
];
/// What is told is kept a day longer than the rows that it is of,
const DAY: u64 = 86_400;
/// or so long where the log keeps its rows for ever.
const MONTH: u64 = 30 * DAY;
const MILLIS: i64 = 60_000;

/// The table, with what is asked of it.
pub struct Ledger {
    session: Arc<Session>,
    /// The outbox that it is about.
    outbox: String,
    /// Seconds.
    ttl: i32,
    tell: PreparedStatement,
    told: PreparedStatement,
    place: PreparedStatement,
    save: PreparedStatement,
}

/// Where the housekeeper is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The first minute that was not looked at.
    pub next: Minute,
    /// Earlier ones of which a consumer has not passed everything.
    pub unpassed: BTreeSet<Minute>,
}

/// The second within its minute → rows and the sum of their hashes.
type Seconds = BTreeMap<i32, (i64, i64)>;

/// What is wrong with the table; pointers are relative to the block.
///
/// # Errors
/// What the database answers.
pub async fn problems(
    session: &Session,
    config: &HousekeepingConfig,
    outbox: &Table,
) -> Result<Vec<Problem>, Error> {
    table(config, outbox).problems(session).await
}

fn table<'a>(config: &'a HousekeepingConfig, outbox: &'a Table) -> OwnTable<'a> {
    OwnTable { keyspace: outbox.keyspace(), name: &config.table, columns: &COLUMNS }
}

impl Ledger {
    /// Prepares what is asked of a table with which nothing is wrong.
    pub async fn prepare(
        session: Arc<Session>,
        config: &HousekeepingConfig,
        outbox: &Table,
    ) -> Result<Self, Error> {
        let table = table(config, outbox).quoted();
        let of = "WHERE outbox = ? AND consumer = ?";
        let prepare = async |text: String| {
            let prepared = session.prepare(text).await;
            let mut prepared =
                prepared.map_err(|error| error.classify().context("prepare a statement of housekeeping"))?;
            prepared.set_is_idempotent(true);
            Ok::<_, Error>(prepared)
        };
        let tell = format!("UPDATE {table} USING TTL ? SET seconds = ?, begins = ? {of} AND minute = ?");
        let told = format!("SELECT minute, seconds, begins FROM {table} {of} AND minute >= ? LIMIT 1");
        let place = format!("SELECT looked_until, unpassed FROM {table} {of} LIMIT 1");
        let save = format!("UPDATE {table} USING TTL ? SET looked_until = ?, unpassed = ? {of}");
        let (tell, told) = (prepare(tell).await?, prepare(told).await?);
        let (place, save) = (prepare(place).await?, prepare(save).await?);
        let ttl = outbox.ttl().map_or(MONTH, |ttl| ttl.as_secs() + DAY);
        let ttl = i32::try_from(ttl).unwrap_or(i32::MAX);
        Ok(Self { session, outbox: outbox.identity(), ttl, tell, told, place, save })
    }

    /// The consumer has passed this of this minute, and nothing else.
    pub async fn tell(&self, consumer: &str, minute: Minute, word: &Word) -> Result<(), Error> {
        let seconds = put(minute, &word.tally);
        let values = (self.ttl, seconds, word.begins, &self.outbox, consumer, timestamp(minute));
        let told = self.session.execute_unpaged(&self.tell, values).await;
        told.map(drop).map_err(|error| error.classify().context("tell what was passed"))
    }

    /// The first minute from here on that the consumer has told of, and what.
    pub async fn told(&self, consumer: &str, from: Minute) -> Result<Option<(Minute, Word)>, Error> {
        type Row = (CqlTimestamp, Option<Seconds>, Option<bool>);
        let answer =
            self.session.execute_unpaged(&self.told, (&self.outbox, consumer, timestamp(from))).await;
        let answer = answer.map_err(|error| error.classify().context("read what was passed"))?;
        let rows = answer.into_rows_result().map_err(shape)?;
        let row = rows.maybe_first_row::<Row>().map_err(shape)?;
        row.map(|(minute, seconds, begins)| {
            let minute = minute_of(minute);
            let tally = get(minute, &seconds.unwrap_or_default())?;
            Ok((minute, Word { tally, begins: begins.unwrap_or_default() }))
        })
        .transpose()
    }

    /// Where the housekeeper is, which works for this consumer.
    pub async fn place(&self, keeper: &str) -> Result<Place, Error> {
        type Row = (Option<CqlTimestamp>, Option<Vec<CqlTimestamp>>);
        let answer = self.session.execute_unpaged(&self.place, (&self.outbox, keeper)).await;
        let answer = answer.map_err(|error| error.classify().context("read where housekeeping is"))?;
        let rows = answer.into_rows_result().map_err(shape)?;
        let (next, unpassed) = rows.maybe_first_row::<Row>().map_err(shape)?.unwrap_or_default();
        let unpassed = unpassed.into_iter().flatten().map(minute_of).collect();
        Ok(Place { next: next.map(minute_of).unwrap_or_default(), unpassed })
    }

    /// The housekeeper is here now.
    pub async fn save(&self, keeper: &str, place: &Place) -> Result<(), Error> {
        let unpassed: Vec<_> = place.unpassed.iter().copied().map(timestamp).collect();
        let values = (self.ttl, timestamp(place.next), unpassed, &self.outbox, keeper);
        let saved = self.session.execute_unpaged(&self.save, values).await;
        saved.map(drop).map_err(|error| error.classify().context("write where housekeeping is"))
    }
}

fn timestamp(minute: Minute) -> CqlTimestamp {
    CqlTimestamp(minute.saturating_mul(MILLIS))
}

fn minute_of(time: CqlTimestamp) -> Minute {
    time.0.div_euclid(MILLIS)
}

fn put(minute: Minute, tally: &Tally) -> Seconds {
    let first = seconds(minute).start;
    let within =
        |second: i64| i32::try_from(second - first).expect("a tally is of the seconds of its minute");
    tally
        .iter()
        .map(|(second, sum)| (within(second), (sum.rows.cast_signed(), sum.hashes.cast_signed())))
        .collect()
}

fn get(minute: Minute, told: &Seconds) -> Result<Tally, Error> {
    let first = seconds(minute).start;
    told.iter()
        .map(|(at, (rows, hashes))| {
            let second = first + i64::from(*at);
            let sum = Sum { rows: rows.cast_unsigned(), hashes: hashes.cast_unsigned() };
            if seconds(minute).contains(&second) { Ok((second, sum)) } else { Err(strange()) }
        })
        .collect()
}

fn strange() -> Error {
    Error::new(ErrorKind::Config, "what a consumer has passed of a minute is told of seconds that it has not")
        .advice("housekeeping wants a table that nobody else writes to")
}

#[cfg(test)]
mod tests {
    use super::{get, minute_of, put, timestamp};
    use crate::reader::tally::{Tally, seconds};
    use crate::reader::unsettled::Sum;

    #[test]
    fn a_tally_reads_back_and_a_second_of_another_minute_is_refused() {
        let minute = 28_333_333;
        let at = |second: i64, rows, hashes| (seconds(minute).start + second, Sum { rows, hashes });
        let tally: Tally = [at(0, 1, u64::MAX), at(59, 100_000, 7)].into_iter().collect();
        let mut told = put(minute, &tally);
        assert_eq!(get(minute, &told).unwrap(), tally);
        told.insert(60, (1, 1));
        assert!(get(minute, &told).unwrap_err().operator_advice().is_some());
        assert_eq!(minute_of(timestamp(minute)), minute);
    }
}
