//! The saga of an order: it waits for payment and stock, and confirms the order; or it undoes what was done, and
//! cancels the order, when one of them does not come.
//!
//! It takes part in the lives of three kinds of aggregates and owns none. Whatever order their events come in, and
//! however often: an order is confirmed with everything paid and kept, or cancelled with nothing paid and nothing kept.
mod sink;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weir_event_store::{
    CarryOut, Cause, CommandError, CommandHandler, Context, DomainEvent, Error, EventStore, Saga,
};

use crate::{Item, Order, OrderCommand, Payment, PaymentCommand, Stock, StockCommand, tagged};

pub use sink::{Fulfil, FulfilConfig};

/// How many of each product.
type Products = BTreeMap<String, u32>;

/// Where the fulfilment of one order is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fulfilment {
    phase: Phase,
    wanted: Products,
    kept: Products,
    total_cents: i64,
    paid_cents: i64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    NotBegun,
    Waiting,
    Confirmed,
    Abandoned,
}

/// What a fulfilment hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The order was placed, or its items changed.
    Ordered {
        /// All of them.
        items: Vec<Item>,
        /// What they cost together.
        total_cents: i64,
        /// How long payment and stock are waited for.
        within: Duration,
    },
    /// So much is paid in all.
    Paid(i64),
    /// So many of a product are kept.
    Kept(String, u32),
    /// There is not enough of a product.
    Refused(String),
    /// The order was cancelled.
    Cancelled,
    /// Time has run out.
    TimedOut,
}

/// What a fulfilment does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub enum FulfilmentStep {
    /// Asks for the payment and for the stock, and waits until then.
    FulfilmentStarted {
        wanted: Products,
        total_cents: i64,
        until: Timestamp,
    },
    /// Asks for something else instead; products that are no longer wanted are given back.
    FulfilmentChanged {
        wanted: Products,
        dropped: Vec<String>,
        total_cents: i64,
    },
    FulfilmentPaid {
        paid_cents: i64,
    },
    FulfilmentKept {
        product_id: String,
        quantity: u32,
    },
    /// Confirms the order.
    FulfilmentConfirmed {},
    /// Gives everything back and cancels the order.
    FulfilmentAbandoned {
        reason: String,
        products: Vec<String>,
    },
    /// Gives back what was kept too late.
    FulfilmentReturned {
        product_id: String,
    },
}

use FulfilmentStep::{
    FulfilmentAbandoned, FulfilmentChanged, FulfilmentConfirmed, FulfilmentKept, FulfilmentPaid,
    FulfilmentReturned, FulfilmentStarted,
};

impl Saga for Fulfilment {
    const TYPE: &'static str = "Fulfilment";
    type Signal = Heard;
    type Step = FulfilmentStep;

    fn apply(&mut self, step: &FulfilmentStep) {
        match step {
            FulfilmentStarted { wanted, total_cents, .. } => {
                (self.phase, self.wanted, self.total_cents) = (Phase::Waiting, wanted.clone(), *total_cents);
            }
            FulfilmentChanged { wanted, total_cents, .. } => {
                (self.wanted, self.total_cents) = (wanted.clone(), *total_cents);
            }
            FulfilmentPaid { paid_cents } => self.paid_cents = *paid_cents,
            FulfilmentKept { product_id, quantity } => {
                self.kept.insert(product_id.clone(), *quantity);
            }
            FulfilmentConfirmed {} => self.phase = Phase::Confirmed,
            FulfilmentAbandoned { .. } => self.phase = Phase::Abandoned,
            FulfilmentReturned { .. } => {}
        }
    }

    fn react(&self, heard: &Heard, context: &Context) -> Vec<FulfilmentStep> {
        match (self.phase, heard) {
            (Phase::NotBegun, Heard::Ordered { items, total_cents, within }) => {
                let within = SignedDuration::try_from(*within).unwrap_or(SignedDuration::MAX);
                let until = context.now.checked_add(within).unwrap_or(Timestamp::MAX);
                vec![FulfilmentStarted { wanted: products(items), total_cents: *total_cents, until }]
            }
            (Phase::Waiting, Heard::Ordered { items, total_cents, .. }) => {
                let wanted = products(items);
                let dropped =
                    self.wanted.keys().filter(|product| !wanted.contains_key(*product)).cloned().collect();
                self.and_confirm(FulfilmentChanged { wanted, dropped, total_cents: *total_cents })
            }
            (Phase::Waiting, Heard::Paid(cents)) => self.and_confirm(FulfilmentPaid { paid_cents: *cents }),
            (Phase::Waiting, Heard::Kept(product, quantity)) => {
                self.and_confirm(FulfilmentKept { product_id: product.clone(), quantity: *quantity })
            }
            (Phase::Waiting, Heard::Refused(product)) if self.wanted.contains_key(product) => {
                self.abandon(&format!("there is not enough of `{product}`"))
            }
            (Phase::Waiting, Heard::TimedOut) => self.abandon("payment or stock did not come in time"),
            (Phase::Waiting | Phase::Confirmed, Heard::Cancelled) => self.abandon("the order was cancelled"),
            (Phase::Abandoned, Heard::Kept(product, _)) => {
                vec![FulfilmentReturned { product_id: product.clone() }]
            }
            _ => Vec::new(),
        }
    }

    fn due(step: &FulfilmentStep) -> Option<Timestamp> {
        match step {
            FulfilmentStarted { until, .. } => Some(*until),
            _ => None,
        }
    }

    fn time_out() -> Heard {
        Heard::TimedOut
    }
}

impl Fulfilment {
    /// The step, and the confirmation when it was the last one needed.
    fn and_confirm(&self, step: FulfilmentStep) -> Vec<FulfilmentStep> {
        let mut after = self.clone();
        after.apply(&step);
        let is_kept = |(product, quantity): (&String, &u32)| after.kept.get(product) == Some(quantity);
        let is_complete = after.paid_cents >= after.total_cents && after.wanted.iter().all(is_kept);
        if is_complete { vec![step, FulfilmentConfirmed {}] } else { vec![step] }
    }

    fn abandon(&self, reason: &str) -> Vec<FulfilmentStep> {
        let mut products: Vec<_> = self.wanted.keys().chain(self.kept.keys()).cloned().collect();
        products.sort();
        products.dedup();
        vec![FulfilmentAbandoned { reason: reason.to_owned(), products }]
    }
}

fn products(items: &[Item]) -> Products {
    let mut products = Products::new();
    for item in items {
        let quantity = products.entry(item.product_id.clone()).or_default();
        *quantity = quantity.saturating_add(item.quantity);
    }
    products
}

/// What the steps do to the aggregates.
#[derive(Debug)]
pub struct Shop {
    orders: CommandHandler<Order>,
    payments: CommandHandler<Payment>,
    stocks: CommandHandler<Stock>,
}

impl Shop {
    /// A shop whose aggregates are in `store`.
    #[must_use]
    pub fn new(store: &EventStore) -> Self {
        Self {
            orders: CommandHandler::new(store.clone()).with_snapshots(crate::SNAPSHOT_EVERY),
            payments: CommandHandler::new(store.clone()),
            stocks: CommandHandler::new(store.clone()).with_snapshots(crate::SNAPSHOT_EVERY),
        }
    }

    async fn order(&self, id: Uuid, command: OrderCommand, cause: &Cause) -> Result<(), Error> {
        taken(self.orders.execute_once(id, &command, cause).await)
    }

    async fn payment(&self, order_id: Uuid, command: PaymentCommand, cause: &Cause) -> Result<(), Error> {
        taken(self.payments.execute_once(Payment::id_of(order_id), &command, cause).await)
    }

    async fn keep(
        &self,
        order_id: Uuid,
        (product, quantity): (&str, u32),
        cause: &Cause,
    ) -> Result<(), Error> {
        let command = StockCommand::Keep { order_id, product_id: product.to_owned(), quantity };
        taken(self.stocks.execute_once(Stock::id_of(product), &command, cause).await)
    }

    async fn ask(
        &self,
        order_id: Uuid,
        (wanted, total_cents): (&Products, i64),
        cause: &Cause,
    ) -> Result<(), Error> {
        self.payment(order_id, PaymentCommand::Request { order_id, total_cents }, cause).await?;
        for (product, quantity) in wanted {
            self.keep(order_id, (product, *quantity), cause).await?;
        }
        Ok(())
    }

    async fn give_back(&self, order_id: Uuid, products: &[String], cause: &Cause) -> Result<(), Error> {
        for product in products {
            self.keep(order_id, (product, 0), cause).await?;
        }
        Ok(())
    }
}

impl CarryOut<Fulfilment> for Shop {
    async fn carry_out(&self, order_id: Uuid, step: &FulfilmentStep, cause: &Cause) -> Result<(), Error> {
        match step {
            FulfilmentStarted { wanted, total_cents, .. } => {
                self.ask(order_id, (wanted, *total_cents), cause).await
            }
            FulfilmentChanged { wanted, dropped, total_cents } => {
                self.give_back(order_id, dropped, cause).await?;
                self.ask(order_id, (wanted, *total_cents), cause).await
            }
            FulfilmentConfirmed {} => self.order(order_id, OrderCommand::ConfirmOrder, cause).await,
            FulfilmentAbandoned { reason, products } => {
                self.give_back(order_id, products, cause).await?;
                self.payment(order_id, PaymentCommand::Cancel { order_id }, cause).await?;
                self.order(order_id, OrderCommand::CancelOrder { reason: reason.clone() }, cause).await
            }
            FulfilmentReturned { product_id } => {
                self.give_back(order_id, std::slice::from_ref(product_id), cause).await
            }
            FulfilmentPaid { .. } | FulfilmentKept { .. } => Ok(()),
        }
    }
}

/// A refused command is an answer: the order was cancelled meanwhile, and the saga hears of that.
fn taken<T, R: std::error::Error>(done: Result<T, CommandError<R>>) -> Result<(), Error> {
    match done {
        Ok(_) | Err(CommandError::Refused(_)) => Ok(()),
        Err(CommandError::Store(error)) => Err(error),
    }
}

impl DomainEvent for FulfilmentStep {
    fn event_type(&self) -> &'static str {
        match self {
            FulfilmentStarted { .. } => "FulfilmentStarted",
            FulfilmentChanged { .. } => "FulfilmentChanged",
            FulfilmentPaid { .. } => "FulfilmentPaid",
            FulfilmentKept { .. } => "FulfilmentKept",
            FulfilmentConfirmed {} => "FulfilmentConfirmed",
            FulfilmentAbandoned { .. } => "FulfilmentAbandoned",
            FulfilmentReturned { .. } => "FulfilmentReturned",
        }
    }

    fn encode(&self) -> Result<String, serde_json::Error> {
        tagged::encode(self)
    }

    fn decode(event_type: &str, _: i32, payload: &str) -> Result<Self, serde_json::Error> {
        tagged::decode(event_type, payload)
    }
}

#[cfg(test)]
mod tests;
