//! The payment of an order: asked for, received, cancelled, given back.
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weir_event_store::{Aggregate, Context, DomainEvent};

use crate::tagged;

/// The payment of one order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payment {
    /// The order, and what it costs in cents; none before anybody asked for it.
    requested: Option<(Uuid, i64)>,
    paid_cents: i64,
    is_cancelled: bool,
}

/// What can be asked of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentCommand {
    /// Ask the customer for so much in all; asked again, the newest sum counts.
    Request {
        /// The order.
        order_id: Uuid,
        /// In cents.
        total_cents: i64,
    },
    /// The customer pays what is open.
    Pay,
    /// Ask for nothing any more, and give back what was paid.
    Cancel {
        /// The order.
        order_id: Uuid,
    },
}

/// What can happen to a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each says what its name says, of the order that is named")]
pub enum PaymentEvent {
    PaymentRequested { order_id: Uuid, total_cents: i64 },
    PaymentReceived { order_id: Uuid, paid_cents: i64 },
    PaymentCancelled { order_id: Uuid, refunded_cents: i64 },
}

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PaymentRefusal {
    /// Nobody has asked for it.
    #[error("no payment is asked for")]
    NotRequested,
    /// It was called off.
    #[error("the payment was cancelled")]
    Cancelled,
}

impl Payment {
    /// The id of an order's payment.
    #[must_use]
    pub fn id_of(order_id: Uuid) -> Uuid {
        Uuid::new_v5(&order_id, b"payment")
    }

    /// What the customer has paid and not been given back, in cents.
    #[must_use]
    pub fn held_cents(&self) -> i64 {
        if self.is_cancelled { 0 } else { self.paid_cents }
    }
}

impl Aggregate for Payment {
    const TYPE: &'static str = "Payment";
    type Command = PaymentCommand;
    type Event = PaymentEvent;
    type Refusal = PaymentRefusal;

    fn apply(&mut self, event: &PaymentEvent) {
        match event {
            PaymentEvent::PaymentRequested { order_id, total_cents } => {
                self.requested = Some((*order_id, *total_cents));
            }
            PaymentEvent::PaymentReceived { paid_cents, .. } => self.paid_cents = *paid_cents,
            PaymentEvent::PaymentCancelled { .. } => self.is_cancelled = true,
        }
    }

    fn decide(&self, command: &PaymentCommand, _: &Context) -> Result<Vec<PaymentEvent>, PaymentRefusal> {
        match command {
            // Called off twice is called off.
            PaymentCommand::Cancel { .. } if self.is_cancelled => Ok(Vec::new()),
            _ if self.is_cancelled => Err(PaymentRefusal::Cancelled),
            PaymentCommand::Cancel { order_id } => {
                let refunded_cents = self.paid_cents;
                Ok(vec![PaymentEvent::PaymentCancelled { order_id: *order_id, refunded_cents }])
            }
            PaymentCommand::Request { order_id, total_cents } => {
                let (order_id, total_cents) = (*order_id, *total_cents);
                Ok(vec![PaymentEvent::PaymentRequested { order_id, total_cents }])
            }
            PaymentCommand::Pay => match self.requested {
                None => Err(PaymentRefusal::NotRequested),
                Some((_, total_cents)) if total_cents <= self.paid_cents => Ok(Vec::new()),
                Some((order_id, paid_cents)) => {
                    Ok(vec![PaymentEvent::PaymentReceived { order_id, paid_cents }])
                }
            },
        }
    }
}

impl DomainEvent for PaymentEvent {
    fn event_type(&self) -> &'static str {
        match self {
            Self::PaymentRequested { .. } => "PaymentRequested",
            Self::PaymentReceived { .. } => "PaymentReceived",
            Self::PaymentCancelled { .. } => "PaymentCancelled",
        }
    }

    fn encode(&self) -> Result<String, serde_json::Error> {
        tagged::encode(self)
    }

    fn decode(event_type: &str, _: i32, payload: &str) -> Result<Self, serde_json::Error> {
        tagged::decode(event_type, payload)
    }
}
