//! What can be asked of an order.
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A wish, which the rules may refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderCommand {
    /// Place a new order.
    CreateOrder {
        /// Who orders.
        customer_id: Uuid,
        /// What.
        items: Vec<Item>,
    },
    /// Order something else instead.
    UpdateItems {
        /// The whole new list.
        items: Vec<Item>,
    },
    /// Agree to it.
    ConfirmOrder,
    /// Hand it to a carrier.
    ShipOrder {
        /// The carrier's number for it.
        tracking_number: String,
        /// Who carries it.
        carrier: String,
    },
    /// The carrier has handed it over.
    DeliverOrder {
        /// Who signed for it.
        signature: String,
    },
    /// Call it off.
    CancelOrder {
        /// Why.
        reason: String,
    },
}

impl OrderCommand {
    /// The name of the command.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::CreateOrder { .. } => "CreateOrder",
            Self::UpdateItems { .. } => "UpdateItems",
            Self::ConfirmOrder => "ConfirmOrder",
            Self::ShipOrder { .. } => "ShipOrder",
            Self::DeliverOrder { .. } => "DeliverOrder",
            Self::CancelOrder { .. } => "CancelOrder",
        }
    }
}

/// So many of one product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The product.
    pub product_id: String,
    /// How many, at least 1.
    pub quantity: u32,
    /// What one costs, in cents.
    pub unit_price_cents: u32,
}

impl Item {
    /// What they cost together, in cents.
    pub(crate) fn price_cents(&self) -> i64 {
        i64::from(self.quantity).saturating_mul(i64::from(self.unit_price_cents))
    }
}
