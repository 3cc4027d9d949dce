//! The saga of the orders example, killed again and again: at the end, money and goods agree with every order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;
use weir_event_store::{Cause, CommandHandler, EventStore};
use weir_orders::{Item, Order, OrderCommand, Payment, PaymentCommand, Status, Stock, StockCommand};

use crate::harness::{Database, Weir, until};

const LIMIT: Duration = Duration::from_secs(60);
const PRODUCTS: [&str; 3] = ["apple", "pear", "plum"];
/// More is ordered of plums than there is.
const THERE: [u32; 3] = [1000, 1000, 20];
const ORDERS: u128 = 30;

fn pipeline() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines/orders/fulfilment.yaml")
}

/// The application's side of the shop.
struct Shop {
    orders: CommandHandler<Order>,
    payments: CommandHandler<Payment>,
    stocks: CommandHandler<Stock>,
}

impl Shop {
    fn of(store: &EventStore) -> Self {
        let (orders, payments) = (CommandHandler::new(store.clone()), CommandHandler::new(store.clone()));
        Self { orders, payments, stocks: CommandHandler::new(store.clone()) }
    }

    async fn fill(&self) {
        for (product, quantity) in PRODUCTS.into_iter().zip(THERE) {
            let add = StockCommand::Add { product_id: product.into(), quantity };
            self.stocks.execute(Stock::id_of(product), &add, &Cause::new_request()).await.unwrap();
        }
    }

    async fn place(&self, order: u128) {
        let items = PRODUCTS.iter().enumerate().filter(|(number, _)| order % 3 != *number as u128);
        let item = |product: &str| Item { product_id: product.into(), quantity: 2, unit_price_cents: 150 };
        let items = items.map(|(_, product)| item(product)).collect();
        let create = OrderCommand::CreateOrder { customer_id: Uuid::from_u128(7), items };
        self.orders.execute(Uuid::from_u128(order), &create, &Cause::new_request()).await.unwrap();
    }

    /// One in five customers never pays. The saga asks first; before that there is nothing to pay.
    async fn pay(&self, order: u128) -> bool {
        let id = Payment::id_of(Uuid::from_u128(order));
        order.is_multiple_of(5)
            || self.payments.execute(id, &PaymentCommand::Pay, &Cause::new_request()).await.is_ok()
    }

    async fn cancel(&self, order: u128) {
        let cancel = OrderCommand::CancelOrder { reason: "changed my mind".into() };
        // One that was confirmed is cancelled too; one that the saga has cancelled already refuses.
        self.orders.execute(Uuid::from_u128(order), &cancel, &Cause::new_request()).await.ok();
    }

    /// Whether every order has its end, and money and goods agree with it.
    async fn is_settled(&self) -> bool {
        let mut kept = BTreeMap::new();
        for product in PRODUCTS {
            let stock = self.stocks.load(Stock::id_of(product)).await.unwrap().aggregate;
            kept.insert(product, stock.kept().clone());
        }
        for order in 1..=ORDERS {
            let id = Uuid::from_u128(order);
            let placed = self.orders.load(id).await.unwrap().aggregate;
            let held = self.payments.load(Payment::id_of(id)).await.unwrap().aggregate.held_cents();
            let wanted: BTreeMap<_, _> = match placed.status() {
                Some(Status::Confirmed) => {
                    placed.items().iter().map(|item| (item.product_id.as_str(), 2)).collect()
                }
                Some(Status::Cancelled) => BTreeMap::new(),
                _ => return false,
            };
            let found: BTreeMap<_, _> =
                kept.iter().filter_map(|(product, kept)| Some((*product, *kept.get(&id)?))).collect();
            if found != wanted || held != wanted.len() as i64 * 300 {
                return false;
            }
        }
        true
    }
}

#[test]
fn every_order_is_paid_and_in_stock_or_cancelled_and_undone_over_kills() {
    let (database, folder) = (Database::start(), tempfile::tempdir().unwrap());
    let environment = [("SCYLLA_NODES", database.address()), ("FULFILMENT_WAIT", "4s")];
    let shop = Shop::of(&database.store());
    let run = || Weir::run(&[&pipeline()], folder.path(), &environment);
    database.with(async |_| shop.fill().await);
    let mut weir = run();
    for begin in [1, 11, 21] {
        database.with(async |_| {
            for order in begin..begin + 10 {
                shop.place(order).await;
            }
        });
        for order in begin..begin + 10 {
            until("the saga asks for the payment", LIMIT, || {
                database.with(async |_| shop.pay(order).await).then_some(())
            });
        }
        // In the middle of what the payments lead to.
        weir.kill();
        database.with(async |_| shop.cancel(begin + 3).await);
        weir = run();
    }
    until("every order has its end", LIMIT, || {
        database.with(async |_| shop.is_settled().await).then_some(())
    });
    let ends = database.with(async |_| {
        let mut ends = BTreeMap::<_, u32>::new();
        for order in 1..=ORDERS {
            let status = shop.orders.load(Uuid::from_u128(order)).await.unwrap().aggregate.status().unwrap();
            *ends.entry(status.name()).or_default() += 1;
        }
        ends
    });
    println!("{ends:?}");
    // Six never pay, three change their mind, and plums are short.
    assert!(ends["confirmed"] >= 6 && ends["cancelled"] >= 9, "{ends:?}");
    weir.kill();
}
