//! A bank account on the event store: the code of docs/event-store.md, against a server in this process.
//!
//! `cargo run -p weir-event-store --example account`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;
use weir_event_store::{
    Aggregate, Cause, CommandError, CommandHandler, Context, DomainEvent, EventStore, Options, Snapshot,
    Until, Upcasters, schema,
};
use weir_scylla_dev::ScyllaDev;

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Account {
    balance_cents: i64,
}

pub(crate) enum Command {
    Deposit { cents: i64 },
    Withdraw { cents: i64 },
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Event {
    Deposited { deposited_cents: i64, balance_cents: i64 },
    Withdrawn { withdrawn_cents: i64, balance_cents: i64 },
}

#[derive(Debug, thiserror::Error)]
#[error("the account holds {balance_cents} cents only")]
pub(crate) struct TooLittle {
    balance_cents: i64,
}

impl Aggregate for Account {
    const TYPE: &'static str = "Account";
    type Command = Command;
    type Event = Event;
    type Refusal = TooLittle;

    fn apply(&mut self, event: &Event) {
        let (Event::Deposited { balance_cents, .. } | Event::Withdrawn { balance_cents, .. }) = event;
        self.balance_cents = *balance_cents;
    }

    fn decide(&self, command: &Command, _: &Context) -> Result<Vec<Event>, TooLittle> {
        let balance_cents = self.balance_cents;
        match *command {
            Command::Deposit { cents } => {
                let balance_cents = balance_cents + cents;
                Ok(vec![Event::Deposited { deposited_cents: cents, balance_cents }])
            }
            Command::Withdraw { cents } if cents > balance_cents => Err(TooLittle { balance_cents }),
            Command::Withdraw { cents } => {
                let balance_cents = balance_cents - cents;
                Ok(vec![Event::Withdrawn { withdrawn_cents: cents, balance_cents }])
            }
        }
    }
}

impl DomainEvent for Event {
    fn event_type(&self) -> &'static str {
        match self {
            Self::Deposited { .. } => "Deposited",
            Self::Withdrawn { .. } => "Withdrawn",
        }
    }

    fn event_version(&self) -> i32 {
        2
    }

    fn encode(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    fn decode(_: &str, _: i32, payload: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(payload)
    }
}

impl Snapshot for Account {
    const VERSION: i32 = 1;
}

/// Everything that the guide shows, in its order.
pub(crate) async fn bank(session: Arc<Session>) -> Result<(), Box<dyn Error>> {
    schema::lay(&session, include_str!("../../../pipelines/orders/schema.cql")).await?;

    let options = Options { upcasters: upcasters(), ..Options::new("orders_ks") };
    let store = EventStore::open(session, options).await?;
    let accounts = CommandHandler::<Account>::new(store);
    let id = Uuid::new_v4();
    accounts.execute(id, &Command::Deposit { cents: 10_000 }, &Cause::new_request()).await?;
    match accounts.execute(id, &Command::Withdraw { cents: 99_999 }, &Cause::new_request()).await {
        Ok(done) => println!("{} cents are left", done.aggregate.balance_cents),
        Err(CommandError::Refused(TooLittle { balance_cents })) => println!("only {balance_cents} cents"),
        Err(CommandError::Store(error)) => return Err(error.into()),
    }

    let request = Cause { causation_id: Uuid::now_v7(), ..Cause::new_request() };
    let withdraw = Command::Withdraw { cents: 2_500 };
    let once = accounts.execute_once(id, &withdraw, &request).await?;
    let again = accounts.execute_once(id, &withdraw, &request).await?;
    assert_eq!(once.events, again.events);
    assert_eq!(again.aggregate.balance_cents, 7_500);

    accounts.store().finish_abandoned(Duration::from_secs(600)).await?;

    let (before, sequence) = accounts.replay(id, Until::Sequence(1)).await?;
    assert_eq!((before.balance_cents, sequence), (10_000, 1));
    let (now, _) = accounts.replay(id, Until::Time(once.events[0].created_at)).await?;
    assert_eq!(now.balance_cents, 7_500);

    let every_hundred = NonZeroU32::new(100).ok_or("not 0")?;
    let accounts = accounts.with_snapshots(every_hundred);
    assert_eq!(accounts.load(id).await?.aggregate.balance_cents, 7_500);

    let mut scan = accounts.store().scan(i64::MIN).await?;
    let mut seen = 0;
    while let Some(page) = scan.next().await? {
        seen += page.events.len();
        // `page.resume` is where a scan that was interrupted begins again.
    }
    assert!(seen >= 2);
    Ok(())
}

/// What brings the first version of the events, in whole euros, up to the one of today.
pub(crate) fn upcasters() -> Upcasters {
    Upcasters::default()
        .payload("Deposited", 1, |mut old| {
            for (euros, cents) in [("deposited", "deposited_cents"), ("balance", "balance_cents")] {
                old[cents] = json!(old[euros].as_i64().unwrap_or_default() * 100);
            }
            old
        })
        .renamed("MoneyPaidIn", 1, "Deposited")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = ScyllaDev::builder().start().await?;
    let session = SessionBuilder::new().known_node(server.address().to_string());
    bank(Arc::new(Box::pin(session.build()).await?)).await
}
