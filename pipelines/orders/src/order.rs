//! The order and its rules. Pure: no clock, no database.
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weir_event_store::{Aggregate, Context, Snapshot};

use crate::event::{About, Cancelled, Change, Confirmed, Delivered, Items, OrderEvent, Shipped};
use crate::{Item, OrderCommand, Status};

/// An order, as far as its rules need to know it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    placed: Option<Placed>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Placed {
    customer_id: Uuid,
    created_at: Timestamp,
    status: Status,
    items: Vec<Item>,
}

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Everything but creating it.
    #[error("there is no such order")]
    NoSuchOrder,
    /// Created twice.
    #[error("the order exists already")]
    ExistsAlready,
    /// An empty list of items.
    #[error("an order needs at least one item")]
    NoItems,
    /// An item with a quantity of 0.
    #[error("the quantity of `{product_id}` is 0: order at least one")]
    NoQuantity {
        /// The product.
        product_id: String,
    },
    /// Items changed after the confirmation.
    #[error("items can change only before the order is confirmed; it is {0}")]
    ItemsAreFixed(Status),
    /// Confirmed twice, or too late.
    #[error("only a created order can be confirmed; it is {0}")]
    NotConfirmable(Status),
    /// Shipped before the confirmation, or again.
    #[error("only a confirmed order can be shipped; it is {0}")]
    NotShippable(Status),
    /// Delivered before it was shipped, or again.
    #[error("only a shipped order can be delivered; it is {0}")]
    NotDeliverable(Status),
    /// Cancelled after it was shipped, or again.
    #[error("an order can be cancelled only before it is shipped; it is {0}")]
    NotCancellable(Status),
}

impl Order {
    /// Where the order is in its life; `None` before it is created.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.placed.as_ref().map(|placed| placed.status)
    }

    /// What was ordered.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        self.placed.as_ref().map_or(&[], |placed| &placed.items)
    }
}

impl Aggregate for Order {
    const TYPE: &'static str = "Order";
    type Command = OrderCommand;
    type Event = OrderEvent;
    type Refusal = Refusal;

    fn apply(&mut self, event: &OrderEvent) {
        let About { customer_id, order_created_at: created_at, status, .. } = event.about;
        let items = match &event.change {
            Change::Created(Items { items }) | Change::ItemsUpdated(Items { items }) => items.clone(),
            Change::Confirmed(_) | Change::Shipped(_) | Change::Delivered(_) | Change::Cancelled(_) => {
                self.placed.take().map_or_else(Vec::new, |placed| placed.items)
            }
        };
        self.placed = Some(Placed { customer_id, created_at, status, items });
    }

    fn decide(&self, command: &OrderCommand, context: &Context) -> Result<Vec<OrderEvent>, Refusal> {
        let Some(placed) = &self.placed else {
            let OrderCommand::CreateOrder { customer_id, items } = command else {
                return Err(Refusal::NoSuchOrder);
            };
            return create(*customer_id, items, context).map(|event| vec![event]);
        };
        let (status, change) = placed.decide(command, context.now)?;
        let items = match &change {
            Change::ItemsUpdated(changed) => &changed.items,
            _ => &placed.items,
        };
        let about = About {
            order_id: context.aggregate_id,
            customer_id: placed.customer_id,
            order_created_at: placed.created_at,
            previous_status: Some(placed.status),
            status,
            item_count: pieces(items),
            total_cents: total_cents(items),
        };
        Ok(vec![OrderEvent { about, change }])
    }
}

impl Snapshot for Order {
    const VERSION: i32 = 1;
}

impl Placed {
    /// The status that follows, and what changes.
    fn decide(&self, command: &OrderCommand, now: Timestamp) -> Result<(Status, Change), Refusal> {
        let only_when = |allowed: &[Status], refusal: fn(Status) -> Refusal| match allowed {
            _ if allowed.contains(&self.status) => Ok(()),
            _ => Err(refusal(self.status)),
        };
        match command {
            OrderCommand::CreateOrder { .. } => Err(Refusal::ExistsAlready),
            OrderCommand::UpdateItems { items } => {
                only_when(&[Status::Created], Refusal::ItemsAreFixed)?;
                check(items)?;
                Ok((Status::Created, Change::ItemsUpdated(Items { items: items.clone() })))
            }
            OrderCommand::ConfirmOrder => {
                only_when(&[Status::Created], Refusal::NotConfirmable)?;
                Ok((Status::Confirmed, Change::Confirmed(Confirmed { confirmed_at: now })))
            }
            OrderCommand::ShipOrder { tracking_number, carrier } => {
                only_when(&[Status::Confirmed], Refusal::NotShippable)?;
                let (tracking_number, carrier) = (tracking_number.clone(), carrier.clone());
                Ok((Status::Shipped, Change::Shipped(Shipped { tracking_number, carrier, shipped_at: now })))
            }
            OrderCommand::DeliverOrder { signature } => {
                only_when(&[Status::Shipped], Refusal::NotDeliverable)?;
                let signature = signature.clone();
                Ok((Status::Delivered, Change::Delivered(Delivered { delivered_at: now, signature })))
            }
            OrderCommand::CancelOrder { reason } => {
                only_when(&[Status::Created, Status::Confirmed], Refusal::NotCancellable)?;
                let reason = reason.clone();
                Ok((Status::Cancelled, Change::Cancelled(Cancelled { cancelled_at: now, reason })))
            }
        }
    }
}

fn create(customer_id: Uuid, items: &[Item], context: &Context) -> Result<OrderEvent, Refusal> {
    check(items)?;
    let about = About {
        order_id: context.aggregate_id,
        customer_id,
        order_created_at: context.now,
        previous_status: None,
        status: Status::Created,
        item_count: pieces(items),
        total_cents: total_cents(items),
    };
    Ok(OrderEvent { about, change: Change::Created(Items { items: items.to_vec() }) })
}

fn check(items: &[Item]) -> Result<(), Refusal> {
    if items.is_empty() {
        return Err(Refusal::NoItems);
    }
    match items.iter().find(|item| item.quantity == 0) {
        Some(item) => Err(Refusal::NoQuantity { product_id: item.product_id.clone() }),
        None => Ok(()),
    }
}

fn pieces(items: &[Item]) -> u64 {
    items.iter().map(|item| u64::from(item.quantity)).sum()
}

fn total_cents(items: &[Item]) -> i64 {
    items.iter().map(Item::price_cents).fold(0, i64::saturating_add)
}

#[cfg(test)]
mod tests;
