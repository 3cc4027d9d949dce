//! Why an event came, followed to the topic: correlation, causation and trace, from the command to the headers.

use std::time::Duration;

use uuid::Uuid;
use weir_event_store::{Cause, CommandHandler};
use weir_orders::{Item, Order, OrderCommand};

use crate::harness::{Broker, Database, Weir, read_topic};
use crate::outbox::pipeline;

#[test]
fn the_headers_on_the_topic_say_why_an_event_came() {
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let (database, broker, folder) = (Database::start(), Broker::start(), tempfile::tempdir().unwrap());
    let file = pipeline(folder.path(), &database, &broker, "causes");
    let orders = CommandHandler::<Order>::new(database.store());
    let (id, request) = (Uuid::new_v4(), Cause::new_request().traced(TRACE.parse().unwrap()));
    let created = database.with(async |_| {
        let item = Item { product_id: "apple".into(), quantity: 1, unit_price_cents: 100 };
        let create = OrderCommand::CreateOrder { customer_id: Uuid::new_v4(), items: vec![item] };
        let created = orders.execute(id, &create, &request).await.unwrap().events.remove(0);
        let follows = Cause::from_event(&created);
        orders.execute(id, &OrderCommand::ConfirmOrder, &follows).await.unwrap();
        let other = OrderCommand::CancelOrder { reason: "changed my mind".into() };
        orders.execute(id, &other, &Cause::new_request()).await.unwrap();
        created
    });
    let _weir = Weir::run(&[&file], &folder.path().join("data"), &[]);
    let read = read_topic(&broker.address(), "causes", Duration::from_secs(60), |read| {
        read.iter().filter(|record| record.key == id.to_string()).count() >= 3
    });
    let ours: Vec<_> = read.iter().filter(|record| record.key == id.to_string()).collect();
    let header = |at: usize, name: &str| ours[at].headers.get(name).map(String::as_str);
    let (correlation, causation) = (request.correlation_id.to_string(), request.causation_id.to_string());
    assert_eq!(header(0, "correlation_id"), Some(correlation.as_str()));
    assert_eq!(header(0, "causation_id"), Some(causation.as_str()));
    // What follows from an event is of the same request and trace, and caused by that event.
    assert_eq!(header(1, "correlation_id"), Some(correlation.as_str()));
    assert_eq!(header(1, "causation_id"), Some(created.event_id.to_string().as_str()));
    assert_eq!([header(0, "traceparent"), header(1, "traceparent")], [Some(TRACE); 2]);
    // Another request has nothing of it.
    assert_ne!(header(2, "correlation_id"), Some(correlation.as_str()));
    assert_eq!(header(2, "traceparent"), None);
}
