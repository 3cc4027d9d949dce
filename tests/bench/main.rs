//! What Weir costs: each figure beside that of a bare loop in the same run, counted at the destination.
//!
//! `cargo bench -p weir --bench figures -- outbox` (or `latency`, `idle`, `host`, `middleware`, `outage`; `--help` tells their options). What
//! the figures mean, and those of a quiet machine, stand in `docs/benchmarks.md`.
//!
//! * [`outbox`]: a backlog of the outbox to a topic, or a snapshot of it, by `weir run` and by the loop of [`bare`] and [`scan`]
//! * [`latency`]: from a write to a consumer, at a steady rate
//! * [`idle`]: what a `weir run` costs that has nothing to do, and how soon it has something to do
//! * [`host`]: the task loop alone, from memory to nowhere
//! * [`middleware`]: what the middleware adds to a write, and what of the throughput it leaves
//! * [`outage`]: how soon records flow again, and what a parked sink takes from another one
//! * [`projection`]: a backlog of the outbox into a table, by `weir run` and by a bare loop of prepared upserts
//! * [`appends`]: what the event store takes, alone and several on the same aggregates
//! * [`polling`]: the same events by CDC and by polling, and what each asks of the database
//! * [`fanout`]: what several sinks ask of the database, beside one
//! * [`consumers`]: a topic and three tables at a steady rate, and how late an event is in each
//! * [`visits`]: what the visits for late rows cost
//! * [`servers`], [`events`], [`topic`], [`process`], [`report`]: what they stand on
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "benchmarks watch other processes, in real time")]

mod appends;
mod bare;
mod consumers;
mod events;
mod fanout;
mod host;
mod idle;
mod latency;
mod middleware;
mod outage;
mod outbox;
mod polling;
mod process;
mod projection;
mod report;
mod scan;
mod servers;
mod topic;
mod visits;

use clap::Parser as _;

/// The same as that of `weir`, so that the loop it is compared with has no other.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Debug, clap::Parser)]
#[command(name = "figures", about = "What Weir costs, beside a bare loop")]
struct Cli {
    #[command(subcommand)]
    figure: Figure,
    /// Cargo says so; there is nothing else to do here.
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Figure {
    Outbox(outbox::Args),
    Latency(latency::Args),
    Idle(idle::Args),
    Host(host::Args),
    Middleware(middleware::Args),
    Outage(outage::Args),
    Projection(projection::Args),
    Appends(appends::Args),
    Polling(polling::Args),
    Fanout(fanout::Args),
    Consumers(consumers::Args),
    Visits(visits::Args),
    #[command(hide = true)]
    Poller(polling::Poller),
    #[command(hide = true)]
    Upserts(projection::Upserts),
    #[command(hide = true)]
    Bare(bare::Args),
    #[command(hide = true)]
    Serve(servers::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().figure {
        Figure::Outbox(args) => outbox::run(&args),
        Figure::Latency(args) => latency::run(&args),
        Figure::Idle(args) => idle::run(&args),
        Figure::Host(args) => host::run(&args),
        Figure::Middleware(args) => middleware::run(&args),
        Figure::Outage(args) => outage::run(&args),
        Figure::Projection(args) => projection::run(&args),
        Figure::Appends(args) => appends::run(&args),
        Figure::Polling(args) => polling::run(&args),
        Figure::Fanout(args) => fanout::run(&args),
        Figure::Consumers(args) => consumers::run(&args),
        Figure::Visits(args) => visits::run(&args),
        Figure::Poller(args) => polling::poll(&args),
        Figure::Upserts(args) => projection::upserts(&args),
        Figure::Bare(args) => bare::run(&args),
        Figure::Serve(args) => servers::serve(&args),
    }
}
