//! The life of one generated order: a pure function of the seed and the number of the order.
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use crate::{Item, OrderCommand};

/// So many different customers place the orders of one seed, so that each has a list of them.
const CUSTOMERS: u64 = 50;
const PRODUCTS: [(&str, u32); 6] =
    [("tea", 450), ("coffee", 790), ("cocoa", 520), ("sugar", 180), ("cup", 1_200), ("kettle", 3_900)];
const CARRIERS: [&str; 3] = ["DHL", "UPS", "PostNord"];
const REASONS: [&str; 3] = ["changed my mind", "ordered twice", "found it cheaper"];

/// What is asked of one order, from first to last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The order.
    pub order_id: Uuid,
    /// Everything that is asked of it, in order. Now and then one that the rules refuse.
    pub commands: Vec<OrderCommand>,
}

/// The script of order number `order` of `seed`. Every order ends delivered or cancelled.
#[must_use]
pub fn script(seed: u64, order: u64) -> Script {
    let mut rng = generator(seed, order, Purpose::Order);
    let order_id = uuid(&mut rng);
    let customer = rng.random_range(0..CUSTOMERS);
    let customer_id = uuid(&mut generator(seed, customer, Purpose::Customer));
    let mut commands = vec![OrderCommand::CreateOrder { customer_id, items: items(&mut rng) }];
    if rng.random_bool(0.3) {
        commands.push(OrderCommand::UpdateItems { items: items(&mut rng) });
    }
    if rng.random_bool(0.05) {
        commands.push(ship(&mut rng)); // too early: refused
    }
    let cancelled = rng.random_bool(0.15);
    if cancelled && rng.random_bool(0.5) {
        commands.push(cancel(&mut rng));
        return Script { order_id, commands };
    }
    commands.push(OrderCommand::ConfirmOrder);
    if cancelled {
        commands.push(cancel(&mut rng));
        return Script { order_id, commands };
    }
    commands.push(ship(&mut rng));
    if rng.random_bool(0.05) {
        commands.push(cancel(&mut rng)); // too late: refused
    }
    commands.push(OrderCommand::DeliverOrder { signature: format!("customer {customer}") });
    Script { order_id, commands }
}

enum Purpose {
    Order,
    Customer,
}

/// One generator for each thing that is generated, so that what one draws does not move the others.
fn generator(seed: u64, number: u64, purpose: Purpose) -> StdRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&number.to_le_bytes());
    bytes[16] = purpose as u8;
    StdRng::from_seed(bytes)
}

fn uuid(rng: &mut StdRng) -> Uuid {
    uuid::Builder::from_random_bytes(rng.random()).into_uuid()
}

fn items(rng: &mut StdRng) -> Vec<Item> {
    let kinds = rng.random_range(1..=4);
    let item = |_| {
        let (product_id, unit_price_cents) = PRODUCTS[rng.random_range(0..PRODUCTS.len())];
        Item { product_id: product_id.to_owned(), quantity: rng.random_range(1..=3), unit_price_cents }
    };
    (0..kinds).map(item).collect()
}

fn ship(rng: &mut StdRng) -> OrderCommand {
    OrderCommand::ShipOrder {
        tracking_number: format!("TRACK-{:08}", rng.random_range(0..100_000_000)),
        carrier: CARRIERS[rng.random_range(0..CARRIERS.len())].to_owned(),
    }
}

fn cancel(rng: &mut StdRng) -> OrderCommand {
    OrderCommand::CancelOrder { reason: REASONS[rng.random_range(0..REASONS.len())].to_owned() }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use jiff::Timestamp;
    use weir_event_store::{Aggregate, Context};

    use super::*;
    use crate::{Order, Status};

    #[test]
    fn a_seed_gives_the_same_orders_every_time_and_another_seed_gives_others() {
        let orders = |seed| (0..50).map(|order| script(seed, order)).collect::<Vec<_>>();
        assert_eq!(orders(1), orders(1));
        assert!(orders(1).iter().zip(orders(2)).all(|(a, b)| a.order_id != b.order_id));
    }

    #[test]
    fn every_order_ends_and_all_that_can_happen_happens() {
        let (mut ends, mut names, mut customers) = (HashSet::new(), HashSet::new(), HashSet::new());
        let (mut ids, mut refused) = (HashSet::new(), 0);
        for number in 0..1_000 {
            let Script { order_id, commands } = script(3, number);
            let context = Context { aggregate_id: order_id, now: Timestamp::UNIX_EPOCH };
            let mut order = Order::default();
            for command in &commands {
                names.insert(command.name());
                if let OrderCommand::CreateOrder { customer_id, .. } = command {
                    customers.insert(*customer_id);
                }
                match order.decide(command, &context) {
                    Ok(events) => events.iter().for_each(|event| order.apply(event)),
                    Err(_) => refused += 1,
                }
            }
            ends.insert(order.status());
            ids.insert(order_id);
        }
        assert_eq!(ends, HashSet::from([Some(Status::Delivered), Some(Status::Cancelled)]));
        assert_eq!(names.len(), 6, "{names:?}");
        assert_eq!((customers.len(), ids.len()), (50, 1_000));
        assert!((20..200).contains(&refused), "{refused} refused of 1 000 orders");
    }
}
