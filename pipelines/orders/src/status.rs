//! Where an order is in its life.
use std::fmt;

use serde::{Deserialize, Serialize};

/// The states of an order, in the order of a life without trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Placed; its items may still change.
    Created,
    /// Agreed on both sides.
    Confirmed,
    /// On its way.
    Shipped,
    /// With the customer. Nothing follows.
    Delivered,
    /// Called off. Nothing follows.
    Cancelled,
}

impl Status {
    /// The name in tables and payloads.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Confirmed => "confirmed",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_use_the_names_that_the_tables_use() {
        for status in
            [Status::Created, Status::Confirmed, Status::Shipped, Status::Delivered, Status::Cancelled]
        {
            assert_eq!(serde_json::to_value(status).unwrap(), status.name());
        }
    }
}
