//! `Place`: what a sink fills and a rebuild fills anew, by the name that its configuration gives it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A part of the far side that a sink alone fills, such as a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Where the `config:` block names it, as a JSON pointer.
    pub pointer: String,
    /// Its name.
    pub name: String,
}

impl Place {
    /// Whether this is the place that the block names.
    pub fn is_named_in(&self, config: &Value) -> bool {
        config.pointer(&self.pointer).and_then(Value::as_str) == Some(&self.name)
    }

    /// The block with this place in the place of the one that it names.
    #[must_use]
    pub fn put_in(&self, mut config: Value) -> Value {
        if let Some(name) = config.pointer_mut(&self.pointer) {
            *name = Value::String(self.name.clone());
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use super::Place;
    use serde_json::json;

    #[test]
    fn a_block_names_another_place_and_is_the_same_otherwise() {
        let place = Place { pointer: "/table".into(), name: "orders_rebuilt".into() };
        let config = json!({"keyspace": "shop", "table": "orders"});
        assert!(!place.is_named_in(&config));
        let put = place.put_in(config);
        assert_eq!(put, json!({"keyspace": "shop", "table": "orders_rebuilt"}));
        assert!(place.is_named_in(&put));
    }
}
