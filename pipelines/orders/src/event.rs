//! What can happen to an order, and how it is written down.
//!
//! A payload is one flat JSON object: what every event says ([`About`]) and what this type adds ([`Change`]). Readers
//! of the stream are stateless, so each event says about its order all that a projection shows or needs as a key.
use jiff::Timestamp;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weir_event_store::DomainEvent;

use crate::{Item, Status};

/// The names of all types of events.
pub const EVENT_TYPES: [&str; 6] = [
    "OrderCreated",
    "OrderItemsUpdated",
    "OrderConfirmed",
    "OrderShipped",
    "OrderDelivered",
    "OrderCancelled",
];

/// Something that has happened to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderEvent {
    /// The order as it is after it.
    pub about: About,
    /// What has changed.
    pub change: Change,
}

/// What every event says about its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The order.
    pub order_id: Uuid,
    /// Whose it is.
    pub customer_id: Uuid,
    /// When it was created: part of the key of every list of orders.
    pub order_created_at: Timestamp,
    /// The status before the event; none before the first.
    pub previous_status: Option<Status>,
    /// The status after the event.
    pub status: Status,
    /// How many pieces it has.
    pub item_count: u64,
    /// What they cost together.
    pub total_cents: i64,
}

/// What has changed, by type of event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Change {
    /// `OrderCreated`
    Created(Items),
    /// `OrderItemsUpdated`
    ItemsUpdated(Items),
    /// `OrderConfirmed`
    Confirmed(Confirmed),
    /// `OrderShipped`
    Shipped(Shipped),
    /// `OrderDelivered`
    Delivered(Delivered),
    /// `OrderCancelled`
    Cancelled(Cancelled),
}

/// The items from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Items {
    /// All of them.
    pub items: Vec<Item>,
}

/// The order was agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// When.
    pub confirmed_at: Timestamp,
}

/// The order was handed to a carrier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipped {
    /// The carrier's number for it.
    pub tracking_number: String,
    /// Who carries it.
    pub carrier: String,
    /// When it was handed over.
    pub shipped_at: Timestamp,
}

/// The order has arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// When.
    pub delivered_at: Timestamp,
    /// Who signed for it.
    pub signature: String,
}

/// The order was called off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    /// When.
    pub cancelled_at: Timestamp,
    /// Why.
    pub reason: String,
}

impl DomainEvent for OrderEvent {
    fn event_type(&self) -> &'static str {
        match self.change {
            Change::Created(_) => "OrderCreated",
            Change::ItemsUpdated(_) => "OrderItemsUpdated",
            Change::Confirmed(_) => "OrderConfirmed",
            Change::Shipped(_) => "OrderShipped",
            Change::Delivered(_) => "OrderDelivered",
            Change::Cancelled(_) => "OrderCancelled",
        }
    }

    fn encode(&self) -> Result<String, serde_json::Error> {
        #[derive(Serialize)]
        struct Payload<'a> {
            #[serde(flatten)]
            about: &'a About,
            #[serde(flatten)]
            change: &'a Change,
        }
        serde_json::to_string(&Payload { about: &self.about, change: &self.change })
    }

    fn decode(event_type: &str, _: i32, payload: &str) -> Result<Self, serde_json::Error> {
        let change = match event_type {
            "OrderCreated" => Change::Created(part(payload)?),
            "OrderItemsUpdated" => Change::ItemsUpdated(part(payload)?),
            "OrderConfirmed" => Change::Confirmed(part(payload)?),
            "OrderShipped" => Change::Shipped(part(payload)?),
            "OrderDelivered" => Change::Delivered(part(payload)?),
            "OrderCancelled" => Change::Cancelled(part(payload)?),
            other => return Err(serde_json::Error::custom(format!("an order knows no event `{other}`"))),
        };
        Ok(Self { about: part(payload)?, change })
    }
}

/// One part of the flat object; the fields of the other are left alone.
fn part<T: DeserializeOwned>(payload: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(payload)
}

#[cfg(test)]
mod tests;
