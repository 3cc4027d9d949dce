//! The stock of a product: what there is, and for which orders it is kept.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weir_event_store::{Aggregate, Context, DomainEvent, Snapshot};

use crate::tagged;

/// The stock of one product.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// All there is, kept or not.
    quantity: u32,
    kept: BTreeMap<Uuid, u32>,
}

/// What can be asked of a stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StockCommand {
    /// More has come in.
    Add {
        /// The product.
        product_id: String,
        /// How many.
        quantity: u32,
    },
    /// Keep exactly so many for an order, instead of what was kept for it; 0 gives them back.
    Keep {
        /// The order.
        order_id: Uuid,
        /// The product.
        product_id: String,
        /// How many.
        quantity: u32,
    },
}

/// What can happen to a stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each says what its name says, of the product and order that are named")]
pub enum StockEvent {
    StockAdded {
        product_id: String,
        quantity: u32,
    },
    /// So many are kept for the order now.
    StockReserved {
        order_id: Uuid,
        product_id: String,
        quantity: u32,
    },
    /// There are not so many; what was kept for the order stays.
    StockRefused {
        order_id: Uuid,
        product_id: String,
        quantity: u32,
    },
    StockReleased {
        order_id: Uuid,
        product_id: String,
    },
}

/// A stock says no by an event, so that whoever waits for an answer gets one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stock refuses nothing")]
pub struct Never;

impl Stock {
    /// The id of a product's stock.
    #[must_use]
    pub fn id_of(product_id: &str) -> Uuid {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, product_id.as_bytes())
    }

    /// What is kept, by order.
    #[must_use]
    pub fn kept(&self) -> &BTreeMap<Uuid, u32> {
        &self.kept
    }

    fn free_for(&self, order_id: Uuid) -> u32 {
        let others = self.kept.iter().filter(|(order, _)| **order != order_id).map(|(_, quantity)| *quantity);
        self.quantity.saturating_sub(others.fold(0, u32::saturating_add))
    }
}

impl Aggregate for Stock {
    const TYPE: &'static str = "Stock";
    type Command = StockCommand;
    type Event = StockEvent;
    type Refusal = Never;

    fn apply(&mut self, event: &StockEvent) {
        match event {
            StockEvent::StockAdded { quantity, .. } => {
                self.quantity = self.quantity.saturating_add(*quantity);
            }
            StockEvent::StockReserved { order_id, quantity, .. } => {
                self.kept.insert(*order_id, *quantity);
            }
            StockEvent::StockRefused { .. } => {}
            StockEvent::StockReleased { order_id, .. } => {
                self.kept.remove(order_id);
            }
        }
    }

    fn decide(&self, command: &StockCommand, _: &Context) -> Result<Vec<StockEvent>, Never> {
        Ok(match command.clone() {
            StockCommand::Add { product_id, quantity } => {
                vec![StockEvent::StockAdded { product_id, quantity }]
            }
            StockCommand::Keep { order_id, quantity: 0, .. } if !self.kept.contains_key(&order_id) => {
                Vec::new()
            }
            StockCommand::Keep { order_id, product_id, quantity: 0 } => {
                vec![StockEvent::StockReleased { order_id, product_id }]
            }
            StockCommand::Keep { order_id, product_id, quantity } if quantity > self.free_for(order_id) => {
                vec![StockEvent::StockRefused { order_id, product_id, quantity }]
            }
            StockCommand::Keep { order_id, product_id, quantity } => {
                vec![StockEvent::StockReserved { order_id, product_id, quantity }]
            }
        })
    }
}

impl Snapshot for Stock {
    const VERSION: i32 = 1;
}

impl DomainEvent for StockEvent {
    fn event_type(&self) -> &'static str {
        match self {
            Self::StockAdded { .. } => "StockAdded",
            Self::StockReserved { .. } => "StockReserved",
            Self::StockRefused { .. } => "StockRefused",
            Self::StockReleased { .. } => "StockReleased",
        }
    }

    fn encode(&self) -> Result<String, serde_json::Error> {
        tagged::encode(self)
    }

    fn decode(event_type: &str, _: i32, payload: &str) -> Result<Self, serde_json::Error> {
        tagged::decode(event_type, payload)
    }
}
