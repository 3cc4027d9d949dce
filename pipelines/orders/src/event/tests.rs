//! The payloads as readers of the topic see them.
use super::*;

fn event(previous_status: Option<Status>, status: Status, change: Change) -> OrderEvent {
    let about = About {
        order_id: Uuid::from_u128(1),
        customer_id: Uuid::from_u128(2),
        order_created_at: "2026-01-02T03:04:05.678Z".parse().unwrap(),
        previous_status,
        status,
        item_count: 3,
        total_cents: 4_500,
    };
    OrderEvent { about, change }
}

fn one_of_each() -> Vec<OrderEvent> {
    let at: Timestamp = "2026-01-03T00:00:00Z".parse().unwrap();
    let items = vec![Item { product_id: "tea".to_owned(), quantity: 3, unit_price_cents: 1_500 }];
    let text = str::to_owned;
    use Status::{Cancelled as C, Confirmed as F, Created as N, Delivered as D, Shipped as S};
    vec![
        event(None, N, Change::Created(Items { items: items.clone() })),
        event(Some(N), N, Change::ItemsUpdated(Items { items })),
        event(Some(N), F, Change::Confirmed(Confirmed { confirmed_at: at })),
        event(
            Some(F),
            S,
            Change::Shipped(Shipped { tracking_number: text("T1"), carrier: text("DHL"), shipped_at: at }),
        ),
        event(Some(S), D, Change::Delivered(Delivered { delivered_at: at, signature: text("A. B.") })),
        event(Some(F), C, Change::Cancelled(Cancelled { cancelled_at: at, reason: text("too late") })),
    ]
}

#[test]
fn every_event_survives_being_written_down() {
    let names: Vec<_> = one_of_each().iter().map(OrderEvent::event_type).collect();
    assert_eq!(names, EVENT_TYPES);
    for event in one_of_each() {
        let payload = event.encode().unwrap();
        assert_eq!(OrderEvent::decode(event.event_type(), 1, &payload).unwrap(), event, "{payload}");
    }
}

#[test]
fn a_payload_is_one_flat_object_with_all_that_projections_need() {
    let payload = one_of_each()[3].encode().unwrap();
    let value: serde_json::Value = serde_json::from_str(&payload).unwrap();
    assert_eq!(
        value,
        serde_json::json!({
            "order_id": "00000000-0000-0000-0000-000000000001",
            "customer_id": "00000000-0000-0000-0000-000000000002",
            "order_created_at": "2026-01-02T03:04:05.678Z",
            "previous_status": "confirmed",
            "status": "shipped",
            "item_count": 3,
            "total_cents": 4500,
            "tracking_number": "T1",
            "carrier": "DHL",
            "shipped_at": "2026-01-03T00:00:00Z",
        })
    );
}

#[test]
fn an_unknown_type_and_a_broken_payload_say_so() {
    let error = OrderEvent::decode("OrderEaten", 1, "{}").unwrap_err().to_string();
    assert_eq!(error, "an order knows no event `OrderEaten`");
    let error = OrderEvent::decode("OrderConfirmed", 1, "{}").unwrap_err().to_string();
    assert!(error.contains("missing field `confirmed_at`"), "{error}");
}
