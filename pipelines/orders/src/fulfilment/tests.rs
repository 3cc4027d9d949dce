//! The saga against a shop of the mind: whatever comes in what order, money and goods agree with the order at the end.
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;
use weir_event_store::{Aggregate, Context, Saga};

use super::{Fulfilment, FulfilmentStep, Heard};
use crate::Item;

fn item(product_id: &str, quantity: u32) -> Item {
    Item { product_id: product_id.into(), quantity, unit_price_cents: 100 }
}

fn ordered(items: &[Item]) -> Heard {
    let total_cents = items.iter().map(|item| i64::from(item.quantity) * 100).sum();
    Heard::Ordered { items: items.to_vec(), total_cents, within: Duration::from_secs(60) }
}

/// What a saga has done after these signals.
fn after(signals: impl IntoIterator<Item = Heard>) -> Vec<FulfilmentStep> {
    let context = Context { aggregate_id: Uuid::nil(), now: Timestamp::UNIX_EPOCH };
    let (mut saga, mut done) = (Fulfilment::default(), Vec::new());
    for signal in signals {
        let steps = saga.react(&signal, &context);
        steps.iter().for_each(|step| saga.apply(step));
        done.extend(steps);
    }
    done
}

fn is_confirmed(steps: &[FulfilmentStep]) -> bool {
    steps.contains(&FulfilmentStep::FulfilmentConfirmed {})
}

#[test]
fn an_order_is_confirmed_when_everything_is_there_whatever_came_first() {
    let items = [item("a", 2), item("b", 1)];
    let kept = |product: &str, quantity| Heard::Kept(product.into(), quantity);
    let signals = [Heard::Paid(300), kept("a", 2), kept("b", 1)];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let heard = order.map(|index| signals[index].clone());
        assert!(is_confirmed(&after([ordered(&items)].into_iter().chain(heard.clone()))));
        assert!(!is_confirmed(&after([ordered(&items)].into_iter().chain(heard[..2].to_vec()))));
    }
    assert!(!is_confirmed(&after([ordered(&items), Heard::Paid(299), kept("a", 2), kept("b", 1)])));
    assert!(!is_confirmed(&after([ordered(&items), Heard::Paid(300), kept("a", 1), kept("b", 1)])));
}

#[test]
fn what_is_kept_too_late_is_given_back() {
    let steps =
        after([ordered(&[item("a", 1)]), Heard::TimedOut, Heard::Kept("a".into(), 1), Heard::TimedOut]);
    let abandoned = FulfilmentStep::FulfilmentAbandoned {
        reason: "payment or stock did not come in time".into(),
        products: vec!["a".into()],
    };
    assert_eq!(steps[1..], [abandoned, FulfilmentStep::FulfilmentReturned { product_id: "a".into() }]);
}

#[test]
fn items_that_change_are_kept_anew_and_those_that_go_are_given_back() {
    let before = [item("a", 2), item("b", 1)];
    let now = [item("a", 3), item("c", 1)];
    let steps = after([ordered(&before), Heard::Kept("a".into(), 2), ordered(&now), Heard::Paid(400)]);
    let FulfilmentStep::FulfilmentChanged { wanted, dropped, total_cents } = &steps[2] else {
        panic!("{steps:?}")
    };
    assert_eq!((wanted.get("a"), wanted.get("c"), *total_cents), (Some(&3), Some(&1), 400));
    assert_eq!(*dropped, ["b"]);
    assert!(!is_confirmed(&steps));
    let heard = [ordered(&before), Heard::Kept("a".into(), 2), ordered(&now), Heard::Paid(400)];
    let rest = [Heard::Kept("a".into(), 3), Heard::Kept("c".into(), 1)];
    assert!(is_confirmed(&after(heard.into_iter().chain(rest))));
}

/// A stock that has been asked for more than there is answers so; kept goods never exceed it.
#[test]
fn a_stock_keeps_no_more_than_there_is() {
    use crate::{Stock, StockCommand, StockEvent};
    let context = Context { aggregate_id: Uuid::nil(), now: Timestamp::UNIX_EPOCH };
    let mut stock = Stock::default();
    let mut run = |command: StockCommand| -> VecDeque<StockEvent> {
        let events = stock.decide(&command, &context).unwrap();
        events.iter().for_each(|event| stock.apply(event));
        events.into()
    };
    let keep = |order: u128, quantity| StockCommand::Keep {
        order_id: Uuid::from_u128(order),
        product_id: "a".into(),
        quantity,
    };
    run(StockCommand::Add { product_id: "a".into(), quantity: 5 });
    assert!(matches!(run(keep(1, 4)).pop_front(), Some(StockEvent::StockReserved { .. })));
    assert!(matches!(run(keep(2, 2)).pop_front(), Some(StockEvent::StockRefused { .. })));
    assert!(matches!(run(keep(1, 5)).pop_front(), Some(StockEvent::StockReserved { quantity: 5, .. })));
    assert!(matches!(run(keep(1, 0)).pop_front(), Some(StockEvent::StockReleased { .. })));
    assert!(run(keep(1, 0)).is_empty(), "given back is given back");
    assert!(matches!(run(keep(2, 2)).pop_front(), Some(StockEvent::StockReserved { .. })));
    assert_eq!(*stock.kept(), BTreeMap::from([(Uuid::from_u128(2), 2)]));
}
