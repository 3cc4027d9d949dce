//! The load generator, judged by what stands in the outbox afterwards.
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;
use uuid::Uuid;
use weir_event_store::{Aggregate, Context, DomainEvent, EventEnvelope};
use weir_orders::{Load, LoadOptions, Order, OrderEvent, Script, Written, script};

use crate::place::{Message, Place};

fn options(orders: u64, seed: u64) -> LoadOptions {
    LoadOptions {
        orders: Some(orders),
        rate: None,
        seed,
        concurrency: NonZeroUsize::new(4).expect("4 is not 0"),
    }
}

/// What the scripts of a seed lead to by the rules alone, without a database: types of events by order.
pub(crate) fn expected(seed: u64, orders: u64) -> (BTreeMap<Uuid, Vec<String>>, u64) {
    let mut refused = 0;
    let mut lives = BTreeMap::new();
    for number in 0..orders {
        let Script { order_id, commands } = script(seed, number);
        let context = Context { aggregate_id: order_id, now: jiff::Timestamp::now() };
        let mut order = Order::default();
        let life: &mut Vec<String> = lives.entry(order_id).or_default();
        for command in &commands {
            match order.decide(command, &context) {
                Ok(events) => events.iter().for_each(|event| {
                    order.apply(event);
                    life.push(event.event_type().to_owned());
                }),
                Err(_) => refused += 1,
            }
        }
    }
    (lives, refused)
}

pub(crate) fn lives(outbox: &BTreeMap<Uuid, Vec<Message>>) -> BTreeMap<Uuid, Vec<String>> {
    let types = |messages: &Vec<Message>| messages.iter().map(|m| m.event_type.clone()).collect();
    outbox.iter().map(|(id, messages)| (*id, types(messages))).collect()
}

fn assert_told_what_is_there(written: &Written, outbox: &BTreeMap<Uuid, Vec<Message>>) {
    let there: BTreeSet<_> = outbox.values().flatten().map(|m| m.event_id).collect();
    let told: BTreeSet<_> = written.event_ids.iter().copied().collect();
    assert_eq!(told, there);
    assert_eq!(written.events(), told.len() as u64, "no event is counted twice");
    assert_eq!(written.by_type.values().sum::<u64>(), written.events());
}

#[tokio::test]
async fn a_seed_leads_to_the_events_that_the_rules_give_and_is_counted_exactly() {
    let place = Place::find().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&seen);
    let load = Load::new(place.store.clone(), options(25, 9))
        .on_event(move |event: &EventEnvelope| listener.lock().unwrap().push(event.event_id));
    let written = load.run(std::future::pending()).await;

    let outbox = place.outbox().await;
    let (expected, refused) = expected(9, 25);
    assert_eq!(lives(&outbox), expected, "each order's events by write time");
    assert_eq!((written.orders, written.refused, written.open), (25, refused, 0));
    assert_eq!(written.commands, written.events() + refused);
    assert_told_what_is_there(&written, &outbox);
    assert_eq!(seen.lock().unwrap().len() as u64, written.events(), "each event is shown once");
    for messages in outbox.values() {
        for (at, message) in (1..).zip(messages) {
            assert_eq!(message.sequence_number, at);
            let event = OrderEvent::decode(&message.event_type, 1, &message.payload).unwrap();
            assert_eq!(event.about.order_id, message.aggregate_id);
        }
    }

    let again = Load::new(place.store.clone(), options(25, 9)).run(std::future::pending()).await;
    assert_eq!(again.events(), 0, "the same seed again: every order is through its life, {again:?}");
    assert_eq!(again.refused, again.commands);
    place.remove().await;
}

#[tokio::test]
async fn a_cancelled_run_finishes_what_is_under_way_and_counts_it() {
    let place = Place::find().await;
    let (cancel, cancelled) = oneshot::channel::<()>();
    let cancel = Mutex::new(Some(cancel));
    let seen = Mutex::new(0);
    let endless = LoadOptions { orders: None, ..options(0, 4) };
    let load = Load::new(place.store.clone(), endless).on_event(move |_| {
        let mut seen = seen.lock().unwrap();
        *seen += 1;
        if *seen == 20
            && let Some(cancel) = cancel.lock().unwrap().take()
        {
            cancel.send(()).expect("the run listens");
        }
    });
    let written = load.run(async { cancelled.await.expect("cancelled by the listener") }).await;
    // Four writers: each finishes its command, and may have begun one more before it hears of the end.
    assert!((20..=28).contains(&written.events()), "{written:?}");
    assert_eq!(written.open, 0);
    assert_told_what_is_there(&written, &place.outbox().await);
    place.remove().await;
}
