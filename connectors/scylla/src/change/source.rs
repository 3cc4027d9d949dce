//! The connector: from the configuration to a source that goes on where its checkpoint ends.

use std::sync::Arc;

use weir_sdk::config::Problem;
use weir_sdk::metrics::names;
use weir_sdk::{Batch, Checkpoint, Context, Error, Room, Source, SourceConnector, Start, To, async_trait};

use super::columns::Columns;
use super::config::{ChangeConfig, Image};
use super::envelope::Envelope;
use super::join::Joiner;
use super::piece;
use crate::hub::Told;
use crate::reader::begin::{Begin, There};
use crate::reader::config::{SnapshotMode, StartAt};
use crate::reader::open::{Logs, Wanted};
use crate::reader::table::{Table, refused};
use crate::reader::token::Position;
use crate::reader::{Reader, RowOrder, words};
use crate::session::schema::quoted;

/// Reads the changes of a table from its CDC log.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    logs: Logs,
}

impl Changes {
    /// Opens these logs.
    pub fn of(logs: Logs) -> Self {
        Self { logs }
    }
}

#[async_trait]
impl SourceConnector for Changes {
    const NAME: &'static str = "scylla-cdc";
    type Config = ChangeConfig;

    fn check(&self, config: &ChangeConfig) -> Vec<Problem> {
        config.problems()
    }

    async fn open(
        &self,
        config: ChangeConfig,
        resume: Checkpoint,
        context: Context,
    ) -> Result<Box<dyn Source>, Error> {
        let position = Position::read(&resume)?;
        let log = self.logs.find(config.log()).await.map_err(|error| absent(error, &config))?;
        let columns = checked(&config, &log.table)?;
        let has_rows = columns.has_rows();
        let seat = self.logs.seat(&log, Told::changes(&config), wanted(&config, columns)).await?;
        let (now, oldest) = log.bounds(&seat).await?;
        let there = There { now, oldest, position, snapshot: None, accepts_gap: context.accepts_gap() };
        let begin = Begin::of(&log.config, SnapshotMode::None, there);
        if let Some(lost) = begin.lost {
            context.metrics().gauge(names::CDC_GAP).set(lost.as_secs_f64());
        }
        let start = Start { identity: log.table.identity(), checkpoint: begin.checkpoint };
        let names = (config.keyspace.as_str(), config.table.as_str());
        let envelope = Envelope::new(config.format, names, &context.task().pipeline);
        let joiner = Joiner::new(&config, envelope, has_rows);
        let order = RowOrder::OfChanges(Arc::new(move |rows| joiner.join(rows)));
        let reader = log.read(seat, begin.position, order, &context);
        Ok(Box::new(ChangeSource { reader, start }))
    }

    fn position(&self, checkpoint: &Checkpoint) -> Result<weir_sdk::Position, Error> {
        words::position(checkpoint)
    }

    async fn seek(&self, config: ChangeConfig, to: To, context: Context) -> Result<Start, Error> {
        let start = match to {
            // All that is known of changes is in the log.
            To::Earliest | To::Everything => StartAt::Earliest,
            To::Latest => StartAt::Latest,
            To::At(time) => StartAt::At(time),
        };
        let source = self.open(ChangeConfig { start, ..config }, Checkpoint::default(), context).await?;
        let begin = source.start();
        source.close().await?;
        Ok(begin)
    }
}

struct ChangeSource {
    reader: Reader,
    start: Start,
}

#[async_trait]
impl Source for ChangeSource {
    fn start(&self) -> Start {
        self.start.clone()
    }

    async fn poll(&mut self, room: Room) -> Result<Option<Batch>, Error> {
        self.reader.batch(room).await.map(Some)
    }
}

/// Of a table that is not there nobody knows what it should look like.
fn absent(error: Error, config: &ChangeConfig) -> Error {
    let table = quoted(&config.keyspace, &config.table);
    let advice = format!(
        "name a table that is there; where it has no log yet: ALTER TABLE {table} WITH cdc = {{'enabled': true}};"
    );
    let named = |problem: &Problem| match problem.pointer.as_str() {
        "/table" => Problem::new("/table", problem.message.clone()).help(advice.clone()),
        _ => problem.clone(),
    };
    match error.problems() {
        [] => error,
        problems => refused(problems.iter().map(named).collect()),
    }
}

/// The columns of the table, if nothing is wrong with it.
fn checked(config: &ChangeConfig, table: &Table) -> Result<Columns, Error> {
    let [before, after] = [Image::Before, Image::After].map(|image| config.images.contains(&image));
    let lacking = table.lacking_images(before, after);
    let found = if lacking.is_empty() { Ok(Columns::of(table)) } else { Err(lacking) };
    table.sound(config.safety.get(), found)
}

fn wanted(config: &ChangeConfig, columns: Columns) -> Wanted {
    let demands = config.clone();
    Wanted {
        // A column that is added shows at once, and nothing of it is passed over.
        selected: "*".to_owned(),
        decode: piece::decode(columns, config.counted()),
        counted: config.counted(),
        check: Box::new(move |table| checked(&demands, table).map(drop)),
    }
}
