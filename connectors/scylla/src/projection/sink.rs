//! The sink: one or two statements an event, many on their way at a time.

use std::collections::HashMap;
use std::sync::Arc;

use scylla::client::session::Session;
use scylla::statement::prepared::PreparedStatement;
use tokio::sync::OnceCell;
use weir_sdk::config::Problem;
use weir_sdk::json::Lookup;
use weir_sdk::metrics::{Counter, names};
use weir_sdk::{
    Context, Error, ErrorKind, Order, Place, Record, Records, Sink, SinkConnector, WriteError, async_trait,
};

use super::config::{ANY, OnUnmapped, ProjectionConfig};
use super::expression::Expression;
use super::place;
use super::plan::{self, Bind, Plan, Planned};
use super::row::{self, Slot, Values, refused};
use super::table::Table;
use super::value::{self, Given};
use crate::hub::Hub;
use crate::session::errors::Classify;
use crate::session::rows;

/// How many events of one call are on their way at a time: more than a node works on at once, few enough to be fair.
const AT_A_TIME: usize = 128;

/// Keeps a table equal to the last word on each key.
#[derive(Clone, Debug, Default)]
pub struct Projection {
    hub: Hub,
}

impl Projection {
    /// Shares the sessions of this hub.
    pub fn over(hub: Hub) -> Self {
        Self { hub }
    }
}

#[async_trait]
impl SinkConnector for Projection {
    const NAME: &'static str = "scylla-projection";
    type Config = ProjectionConfig;

    fn check(&self, config: &ProjectionConfig) -> Vec<Problem> {
        config.problems()
    }

    async fn open(&self, config: ProjectionConfig, context: Context) -> Result<Arc<dyn Sink>, Error> {
        let session = self.hub.session(&config.session).await?;
        let types = prepare(&session, &config).await?;
        let ignored = context.metrics().counter(names::PROJECTION_IGNORED);
        Ok(Arc::new(OpenProjection { session, config, types, ignored }))
    }

    fn place(&self, config: &ProjectionConfig) -> Option<Place> {
        Some(Place { pointer: "/table".into(), name: config.table.clone() })
    }

    async fn beside(
        &self,
        config: ProjectionConfig,
        name: Option<String>,
        _context: Context,
    ) -> Result<String, Error> {
        let session = self.hub.session(&config.session).await?;
        place::beside(&session, &config, name).await
    }

    async fn empty(&self, config: ProjectionConfig, _context: Context) -> Result<(), Error> {
        let session = self.hub.session(&config.session).await?;
        place::empty(&session, &config).await
    }
}

struct OpenProjection {
    session: Arc<Session>,
    config: ProjectionConfig,
    types: HashMap<String, EventType>,
    ignored: Counter,
}

/// What is done for a type of event.
struct EventType {
    lookup: Lookup,
    statements: Vec<(PreparedStatement, Vec<Slot>)>,
}

#[async_trait]
impl Sink for OpenProjection {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
        let schema = &OnceCell::new();
        rows::write_each(&records, AT_A_TIME, |index| self.write_one(&records[index], schema)).await
    }

    async fn probe(&self) -> Result<(), Error> {
        rows::probe(&self.session).await
    }

    fn order(&self) -> Order {
        Order::Converges
    }
}

/// Whether the table still is what the mapping wants; looked up once a call, and only after a failure.
type Schema = OnceCell<Result<(), Error>>;

impl OpenProjection {
    async fn write_one(&self, record: &Record, schema: &Schema) -> Result<(), Error> {
        let Some(of_type) = self.event_type(record)? else { return Ok(()) };
        let time = row::time(record, self.config.version)?;
        let rows = {
            let found = of_type.lookup.find(record.value.as_deref())?;
            let bound = of_type.statements.iter();
            bound.map(|(_, slots)| Values::of(slots, record, &found, time)).collect::<Result<Vec<_>, _>>()?
        };
        let Err(error) = self.execute(of_type, rows).await else { return Ok(()) };
        if error.kind() != ErrorKind::Config {
            return Err(error);
        }
        // ScyllaDB calls a statement invalid when the table has changed, and else by the record's own fault.
        let look = async || prepare(&self.session, &self.config).await.map(drop);
        schema.get_or_init(look).await.clone()?;
        Err(refused(error.to_string()))
    }

    async fn execute(&self, of_type: &EventType, rows: Vec<Values>) -> Result<(), Error> {
        for ((statement, _), row) in of_type.statements.iter().zip(rows) {
            let written = self.session.execute_unpaged(statement, row).await;
            written.map_err(|error| error.classify().context("write to the projection"))?;
        }
        Ok(())
    }

    /// `None` for an event to pass over.
    fn event_type(&self, record: &Record) -> Result<Option<&EventType>, Error> {
        let named = record.headers.get(&self.config.type_header);
        let named = named.and_then(|name| std::str::from_utf8(name).ok());
        if let Some(known) = named.and_then(|name| self.types.get(name)).or_else(|| self.types.get(ANY)) {
            return Ok(Some(known));
        }
        let told = || match named {
            Some(name) => format!("no mapping names the event type `{name}`"),
            None => {
                format!("the header `{}`, which names the type of event, is missing", self.config.type_header)
            }
        };
        match self.config.on_unmapped {
            OnUnmapped::Ignore => {
                self.ignored.add(1);
                Ok(None)
            }
            OnUnmapped::DeadLetter => Err(refused(told())),
            OnUnmapped::Stop => Err(Error::new(ErrorKind::Config, told())
                .advice("add it to `events:`, or set `on_unmapped: ignore` or `dead_letter`")),
        }
    }
}

/// Plans and prepares the statements of every type of event.
///
/// # Errors
/// `Config`, with every problem of the block against the table.
async fn prepare(session: &Session, config: &ProjectionConfig) -> Result<HashMap<String, EventType>, Error> {
    let table = Table::read(session, config).await?;
    let plans = plan::plans(config, &table).map_err(told)?;
    let (mut types, mut problems) = (HashMap::new(), Vec::new());
    for (name, Plan { lookup, statements }) in plans {
        let mut ready = Vec::new();
        for Planned { text, binds } in statements {
            let prepared = session.prepare(text).await;
            let mut prepared = prepared.map_err(|error| error.classify().context("prepare a projection"))?;
            prepared.set_is_idempotent(true);
            let slots = typed(binds, &prepared, &mut problems);
            ready.push((prepared, slots));
        }
        types.insert(name, EventType { lookup, statements: ready });
    }
    if problems.is_empty() { Ok(types) } else { Err(told(problems)) }
}

/// Types from the statement's own markers; values that are the same for every event are serialized now.
fn typed(binds: Vec<Bind>, prepared: &PreparedStatement, problems: &mut Vec<Problem>) -> Vec<Slot> {
    let of_types: Vec<_> = prepared.get_variable_col_specs().iter().map(|spec| spec.typ().clone()).collect();
    let mut slots = Vec::with_capacity(binds.len());
    for (bind, of) in binds.into_iter().zip(of_types) {
        let cell = match bind {
            Bind::Time(less) => {
                slots.push(Slot::Time(less));
                continue;
            }
            Bind::Column(cell) => cell,
        };
        if let Some(reason) = value::unsupported(&of) {
            problems
                .push(Problem::at_key(&cell.pointer, format!("`{}` cannot be set: {reason}", cell.column)));
        } else if let Expression::Literal(text) = &cell.expression {
            let mut bytes = Vec::new();
            match value::append(&mut bytes, Given::Text(text), &of) {
                Ok(()) => slots.push(Slot::Fixed(bytes)),
                Err(wanted) => {
                    let message = format!("the column `{}` wants {wanted}", cell.column);
                    let help = "a place in the payload begins with `$.`, a header stands in braces";
                    problems.push(Problem::new(&cell.pointer, message).help(help));
                }
            }
        } else {
            slots.push(Slot::Cell(cell, of));
        }
    }
    slots
}

/// Each problem once, however many events share it.
fn told(problems: Vec<Problem>) -> Error {
    let mut once: Vec<Problem> = Vec::new();
    for problem in problems {
        if !once.contains(&problem) {
            once.push(problem);
        }
    }
    let advice: Vec<_> = once.iter().filter_map(|problem| problem.help.clone()).collect();
    Error::config(once).advice(advice.join("; "))
}
