//! Places orders step by step and prints each step, so that a test can kill it between the two steps of an append.
//!
//! One line for each thing that has happened, flushed at once:
//! `claimed ORDER SEQUENCE`, `published ORDER SEQUENCE`, `refused ORDER REASON`, `halted ORDER SEQUENCE`, `done EVENTS`.
//! The same seed gives the same orders again, so a second run goes on with the orders of a first one that was killed:
//! what was carried out already is refused, the rest follows.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the lines are what this program is for")]

use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use scylla::client::session_builder::SessionBuilder;
use uuid::Uuid;
use weir_event_store::{Aggregate, Cause, CommandError, CommandHandler, Error, EventStore, Options};
use weir_orders::{Order, OrderCommand, Script, script};

#[derive(Debug, Parser)]
struct Arguments {
    /// The node to connect to, HOST:PORT.
    node: String,
    /// How many orders to take through their life.
    #[arg(long, default_value_t = 10)]
    orders: u64,
    /// Decides everything about the orders.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The keyspace with the tables of the example.
    #[arg(long, default_value = weir_orders::KEYSPACE)]
    keyspace: String,
    /// Make the keyspace and the tables first.
    #[arg(long)]
    lay_schema: bool,
    /// Wait for ever after the claim of this append, counted from 1, and before it is published.
    #[arg(long)]
    halt_after_claim: Option<u64>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let session = Box::pin(SessionBuilder::new().known_node(&arguments.node).build()).await;
    let session = Arc::new(session.with_context(|| format!("could not connect to {}", arguments.node))?);
    if arguments.lay_schema {
        weir_orders::lay_schema(&session).await?;
    }
    let store = EventStore::open(session, Options::new(&arguments.keyspace)).await?;
    let mut placing = Placing {
        orders: CommandHandler::new(store),
        claims: 0,
        events: 0,
        halt: arguments.halt_after_claim,
    };
    for number in 0..arguments.orders {
        let Script { order_id, commands } = script(arguments.seed, number);
        for command in &commands {
            placing.carry_out(order_id, command).await?;
        }
    }
    println!("done {}", placing.events);
    Ok(())
}

struct Placing {
    orders: CommandHandler<Order>,
    claims: u64,
    events: u64,
    halt: Option<u64>,
}

impl Placing {
    async fn carry_out(&mut self, order_id: Uuid, command: &OrderCommand) -> Result<(), Error> {
        loop {
            match self.try_once(order_id, command).await {
                Err(CommandError::Refused(reason)) => {
                    println!("refused {order_id} {reason}");
                    return Ok(());
                }
                Err(CommandError::Store(Error::Conflict { .. })) => {}
                Err(CommandError::Store(error)) => return Err(error),
                Ok(()) => return Ok(()),
            }
        }
    }

    async fn try_once(
        &mut self,
        order_id: Uuid,
        command: &OrderCommand,
    ) -> Result<(), CommandError<<Order as Aggregate>::Refusal>> {
        let decision = self.orders.decide(order_id, command, &Cause::new_request()).await?;
        let store = self.orders.store();
        let claim = store.claim(&decision.head, Order::TYPE, decision.events).await?;
        let sequence = claim.sequence();
        println!("claimed {order_id} {sequence}");
        self.claims += 1;
        if self.halt == Some(self.claims) {
            println!("halted {order_id} {sequence}");
            std::future::pending::<()>().await;
        }
        let published = store.publish(claim).await?;
        println!("published {order_id} {sequence}");
        self.events += published.events.len() as u64;
        Ok(())
    }
}
