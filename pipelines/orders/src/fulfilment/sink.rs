//! The sink `order-fulfilment`: events of orders, payments and stocks, as what the saga hears.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future;
use schemars::JsonSchema;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use serde::Deserialize;
use tokio::task::JoinHandle;
use uuid::Uuid;
use weir_event_store::{Cause, DomainEvent, Error as StoreError, EventStore, Options, SagaRunner};
use weir_sdk::config::{Endpoint, HumanDuration, Problem};
use weir_sdk::{
    Context, Error, ErrorKind, Failed, Record, Records, Sink, SinkConnector, WriteError, async_trait,
};

use super::{Fulfilment, Heard, Shop};
use crate::event::Change;
use crate::{EVENT_TYPES, OrderEvent, PaymentEvent, StockEvent};

/// How often time-outs are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// Lets the saga of an order hear what happens.
#[derive(Clone, Copy, Debug)]
pub struct Fulfil;

/// The saga between an order, its payment and the stock of its products: it confirms the order when both are there, and
/// undoes and cancels when they are not.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FulfilConfig {
    /// Nodes of the cluster that has the event store, `host` or `host:port`.
    pub contact_points: Vec<Endpoint>,
    /// The keyspace of the event store.
    pub keyspace: String,
    /// How long an order waits for its payment and its products.
    pub wait: HumanDuration,
}

#[async_trait]
impl SinkConnector for Fulfil {
    const NAME: &'static str = "order-fulfilment";
    type Config = FulfilConfig;

    fn check(&self, config: &FulfilConfig) -> Vec<Problem> {
        let nobody = config.contact_points.is_empty().then(|| {
            Problem::new("/contact_points", "no node is named")
                .help("name at least one, for example `127.0.0.1:9042`")
        });
        nobody.into_iter().collect()
    }

    async fn open(&self, config: FulfilConfig, context: Context) -> Result<Arc<dyn Sink>, Error> {
        let nodes = config.contact_points.iter().map(|node| node.with_default_port(9042));
        let session = Box::pin(SessionBuilder::new().known_nodes(nodes).build()).await;
        let session = Arc::new(session.map_err(|error| {
            Error::new(ErrorKind::Unavailable, "connect to the event store's cluster").caused_by(error)
        })?);
        let store = EventStore::open(session.clone(), Options::new(&config.keyspace)).await.map_err(told)?;
        let runner = SagaRunner::open(store.clone(), Shop::new(&store)).await.map_err(told)?;
        let runner = Arc::new(runner);
        let clockwork = tokio::spawn(watch_the_clock(runner.clone(), context));
        Ok(Arc::new(Fulfilling { session, runner, clockwork, wait: config.wait.get() }))
    }
}

type Runner = SagaRunner<Fulfilment, Shop>;

struct Fulfilling {
    session: Arc<Session>,
    runner: Arc<Runner>,
    clockwork: JoinHandle<()>,
    wait: Duration,
}

impl Drop for Fulfilling {
    fn drop(&mut self) {
        self.clockwork.abort();
    }
}

/// Time-outs come without a record, so nobody waits for them; what fails is due still, at the next look.
async fn watch_the_clock(runner: Arc<Runner>, context: Context) {
    let mut failing = None;
    loop {
        failing = match runner.time_out().await {
            Ok(_) => None,
            Err(error) => failing.or_else(|| {
                Some(context.degraded(format!("orders are not cancelled in time: {}", told(error))))
            }),
        };
        tokio::time::sleep(LOOK).await;
    }
}

#[async_trait]
impl Sink for Fulfilling {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
        let mut keys = BTreeMap::<Option<&Bytes>, Vec<usize>>::new();
        for (index, record) in records.iter().enumerate() {
            keys.entry(record.key.as_ref()).or_default().push(index);
        }
        let written = keys.into_values().map(|indexes| self.in_order(&records, indexes));
        let mut failed: Vec<Failed> = future::join_all(written).await.into_iter().flatten().collect();
        failed.sort_by_key(|failed| failed.index);
        if failed.is_empty() { Ok(()) } else { Err(WriteError::Some(failed)) }
    }

    async fn probe(&self) -> Result<(), Error> {
        let asked = self.session.query_unpaged("SELECT key FROM system.local", ()).await;
        asked.map(drop).map_err(|error| {
            Error::new(ErrorKind::Unavailable, "the event store's cluster does not answer").caused_by(error)
        })
    }
}

impl Fulfilling {
    /// The records of one key; behind one that will be tried again, none is.
    async fn in_order(&self, records: &Records, indexes: Vec<usize>) -> Vec<Failed> {
        let (mut failed, mut held_up) = (Vec::new(), None::<Error>);
        for index in indexes {
            let answer = match &held_up {
                Some(error) => Err(error.clone()),
                None => self.hear(&records[index]).await,
            };
            if let Err(error) = answer {
                if error.kind() != ErrorKind::Record {
                    held_up = Some(error.clone());
                }
                failed.push(Failed { index, error });
            }
        }
        failed
    }

    async fn hear(&self, record: &Record) -> Result<(), Error> {
        let Some((order_id, heard)) = self.signal(record)? else { return Ok(()) };
        let cause = Cause {
            correlation_id: uuid(record, "correlation_id").or_else(|_| uuid(record, "event_id"))?,
            causation_id: uuid(record, "event_id")?,
            // A trace is for people to look into: one that cannot be read holds up nothing.
            traceparent: text(record, "traceparent").ok().and_then(|trace| trace.parse().ok()),
        };
        self.runner.signal(order_id, &heard, &cause).await.map_err(told)
    }

    /// The order that an event is about, and what its saga hears of it; `None` for what no saga waits for.
    fn signal(&self, record: &Record) -> Result<Option<(Uuid, Heard)>, Error> {
        let name = text(record, "event_type")?;
        let payload = record.value.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
        let payload = payload.ok_or_else(|| refused("the payload is no text"))?;
        let malformed = |_| refused("the payload is not what its type promises");
        Ok(match name {
            name if EVENT_TYPES.contains(&name) => {
                let event = OrderEvent::decode(name, 1, payload).map_err(malformed)?;
                let total_cents = event.about.total_cents;
                let heard = match event.change {
                    Change::Created(items) | Change::ItemsUpdated(items) => {
                        Some(Heard::Ordered { items: items.items, total_cents, within: self.wait })
                    }
                    Change::Cancelled(_) => Some(Heard::Cancelled),
                    Change::Confirmed(_) | Change::Shipped(_) | Change::Delivered(_) => None,
                };
                heard.map(|heard| (event.about.order_id, heard))
            }
            "PaymentReceived" => match PaymentEvent::decode(name, 1, payload).map_err(malformed)? {
                PaymentEvent::PaymentReceived { order_id, paid_cents } => {
                    Some((order_id, Heard::Paid(paid_cents)))
                }
                _ => None,
            },
            "StockReserved" | "StockRefused" => {
                match StockEvent::decode(name, 1, payload).map_err(malformed)? {
                    StockEvent::StockReserved { order_id, product_id, quantity } => {
                        Some((order_id, Heard::Kept(product_id, quantity)))
                    }
                    StockEvent::StockRefused { order_id, product_id, .. } => {
                        Some((order_id, Heard::Refused(product_id)))
                    }
                    _ => None,
                }
            }
            _ => None,
        })
    }
}

fn text<'r>(record: &'r Record, header: &str) -> Result<&'r str, Error> {
    let value = record.headers.get(header).and_then(|value| std::str::from_utf8(value).ok());
    value.ok_or_else(|| refused(&format!("the header `{header}` is missing")))
}

fn uuid(record: &Record, header: &str) -> Result<Uuid, Error> {
    Uuid::parse_str(text(record, header)?).map_err(|_| refused(&format!("the header `{header}` is no UUID")))
}

fn refused(message: &str) -> Error {
    Error::new(ErrorKind::Record, message).advice("repair what writes such events, and replay it")
}

/// What the event store's errors mean for what happens next.
fn told(error: StoreError) -> Error {
    let kind = match &error {
        StoreError::Payload { .. } | StoreError::TooLarge { .. } => ErrorKind::Record,
        StoreError::Options { .. } | StoreError::Schema { .. } | StoreError::Corrupt { .. } => {
            ErrorKind::Config
        }
        _ => ErrorKind::Transient,
    };
    Error::new(kind, "the event store").caused_by(error)
}
