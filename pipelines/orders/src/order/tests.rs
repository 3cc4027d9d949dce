//! Every command in every status, and what an event says about its order.
use weir_event_store::DomainEvent;

use super::*;

const CUSTOMER: Uuid = Uuid::from_u128(7);

fn context(second: i64) -> Context {
    Context { aggregate_id: Uuid::from_u128(1), now: Timestamp::from_second(second).unwrap() }
}

fn tea(quantity: u32) -> Vec<Item> {
    vec![Item { product_id: "tea".to_owned(), quantity, unit_price_cents: 1_500 }]
}

fn create() -> OrderCommand {
    OrderCommand::CreateOrder { customer_id: CUSTOMER, items: tea(2) }
}

fn update() -> OrderCommand {
    OrderCommand::UpdateItems { items: tea(3) }
}

fn ship() -> OrderCommand {
    OrderCommand::ShipOrder { tracking_number: "T1".to_owned(), carrier: "DHL".to_owned() }
}

fn deliver() -> OrderCommand {
    OrderCommand::DeliverOrder { signature: "A. B.".to_owned() }
}

fn cancel() -> OrderCommand {
    OrderCommand::CancelOrder { reason: "changed my mind".to_owned() }
}

/// An order after these commands, one second apart from second 1, and the events that they led to.
fn after(commands: &[OrderCommand]) -> (Order, Vec<OrderEvent>) {
    let mut order = Order::default();
    let mut events = Vec::new();
    for (second, command) in (1..).zip(commands) {
        for event in order.decide(command, &context(second)).unwrap() {
            order.apply(&event);
            events.push(event);
        }
    }
    (order, events)
}

/// What `command` leads to after `life`: the name of the event, or the refusal in words.
fn answer(life: &[OrderCommand], command: &OrderCommand) -> String {
    let (order, _) = after(life);
    match order.decide(command, &context(99)) {
        Ok(events) => events.iter().map(OrderEvent::event_type).collect::<Vec<_>>().join(" "),
        Err(refusal) => refusal.to_string(),
    }
}

#[test]
fn every_command_in_every_status() {
    let confirm = OrderCommand::ConfirmOrder;
    let lives = [
        ("not there", vec![]),
        ("created", vec![create()]),
        ("confirmed", vec![create(), confirm.clone()]),
        ("shipped", vec![create(), confirm.clone(), ship()]),
        ("delivered", vec![create(), confirm.clone(), ship(), deliver()]),
        ("cancelled", vec![create(), cancel()]),
    ];
    let commands = [create(), update(), confirm, ship(), deliver(), cancel()];
    let none = "there is no such order";
    let expected = [
        ["OrderCreated", none, none, none, none, none],
        [
            "the order exists already",
            "OrderItemsUpdated",
            "OrderConfirmed",
            "only a confirmed order can be shipped; it is created",
            "only a shipped order can be delivered; it is created",
            "OrderCancelled",
        ],
        [
            "the order exists already",
            "items can change only before the order is confirmed; it is confirmed",
            "only a created order can be confirmed; it is confirmed",
            "OrderShipped",
            "only a shipped order can be delivered; it is confirmed",
            "OrderCancelled",
        ],
        [
            "the order exists already",
            "items can change only before the order is confirmed; it is shipped",
            "only a created order can be confirmed; it is shipped",
            "only a confirmed order can be shipped; it is shipped",
            "OrderDelivered",
            "an order can be cancelled only before it is shipped; it is shipped",
        ],
        [
            "the order exists already",
            "items can change only before the order is confirmed; it is delivered",
            "only a created order can be confirmed; it is delivered",
            "only a confirmed order can be shipped; it is delivered",
            "only a shipped order can be delivered; it is delivered",
            "an order can be cancelled only before it is shipped; it is delivered",
        ],
        [
            "the order exists already",
            "items can change only before the order is confirmed; it is cancelled",
            "only a created order can be confirmed; it is cancelled",
            "only a confirmed order can be shipped; it is cancelled",
            "only a shipped order can be delivered; it is cancelled",
            "an order can be cancelled only before it is shipped; it is cancelled",
        ],
    ];
    for ((status, life), row) in lives.iter().zip(expected) {
        for (command, expected) in commands.iter().zip(row) {
            assert_eq!(answer(life, command), expected, "{} when {status}", command.name());
        }
    }
}

#[test]
fn items_are_checked_when_they_are_ordered_and_when_they_change() {
    let with = |items: Vec<Item>| {
        [
            answer(&[], &OrderCommand::CreateOrder { customer_id: CUSTOMER, items: items.clone() }),
            answer(&[create()], &OrderCommand::UpdateItems { items }),
        ]
    };
    assert_eq!(with(vec![]), ["an order needs at least one item"; 2]);
    assert_eq!(with(tea(0)), ["the quantity of `tea` is 0: order at least one"; 2]);
    assert_eq!(with([tea(1), tea(0)].concat()), ["the quantity of `tea` is 0: order at least one"; 2]);
    assert_eq!(with(tea(1)), ["OrderCreated", "OrderItemsUpdated"]);
}

#[test]
fn every_event_says_what_projections_need_to_know_about_its_order() {
    let life = [create(), update(), OrderCommand::ConfirmOrder, ship(), deliver()];
    let (order, events) = after(&life);
    use Status::{Confirmed, Created, Delivered, Shipped};
    let steps = [
        (None, Created, 2, 3_000),
        (Some(Created), Created, 3, 4_500),
        (Some(Created), Confirmed, 3, 4_500),
        (Some(Confirmed), Shipped, 3, 4_500),
        (Some(Shipped), Delivered, 3, 4_500),
    ];
    for (event, (previous_status, status, item_count, total_cents)) in events.iter().zip(steps) {
        let expected = About {
            order_id: Uuid::from_u128(1),
            customer_id: CUSTOMER,
            order_created_at: Timestamp::from_second(1).unwrap(),
            previous_status,
            status,
            item_count,
            total_cents,
        };
        assert_eq!(event.about, expected);
    }
    assert_eq!((order.status(), order.items()), (Some(Delivered), &tea(3)[..]));
}

#[test]
fn an_absurd_price_is_counted_as_far_as_the_column_goes() {
    let many = vec![Item { product_id: "x".to_owned(), quantity: u32::MAX, unit_price_cents: u32::MAX }; 3];
    assert_eq!(total_cents(&many), i64::MAX);
    assert_eq!(pieces(&many), 3 * u64::from(u32::MAX));
}
