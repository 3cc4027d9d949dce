//! `weir dev`: everything on this machine, embedded, and independent readers that show and count what arrives.
//!
//! * [`services`]: a ScyllaDB and a Kafka broker in this process, on real sockets
//! * [`pipelines`]: what runs, restarted when its file is saved
//! * [`receive`]: the consumer, which knows nothing but the broker's address
//! * [`tally`]: what was written against what arrived on the topic
//! * [`tables`]: what was written against what the projections show
//! * [`screen`]: lines for a person, or JSON for a script
//! * [`show`]: the demonstration itself, from the first record to the last

mod pipelines;
mod receive;
mod screen;
mod services;
mod show;
mod tables;
mod tally;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use weir_host::config::{self, Lookup, PipelineConfig, Report};
use weir_host::control::Control;
use weir_host::data_dir::DataDir;
use weir_host::http;
use weir_host::registry::Registry;
use weir_host::run::Kept;
use weir_host::stop::Stop;
use weir_orders::LoadOptions;

use crate::commands::run::HostArgs;
use crate::exit::Exit;
use crate::output;
use pipelines::Pipelines;
use receive::Receiver;
use screen::{Addresses, Screen, Style};
use services::Services;
use show::Show;
use tally::Summary;

/// Run everything on this machine, embedded: a ScyllaDB, a Kafka broker, and the orders example or your own pipelines.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Your own pipeline files and folders, run on the embedded services; without any, the orders example.
    #[arg(value_name = "FILE|DIR")]
    pub(crate) files: Vec<PathBuf>,
    /// Place so many orders, wait until all has arrived, and end: 0 only when nothing was lost.
    #[arg(long, value_name = "N", conflicts_with_all = ["no_load", "files"])]
    pub(crate) orders: Option<u64>,
    /// Commands a second [default: 20, or with --orders as many as the database takes].
    #[arg(long, value_name = "N", conflicts_with_all = ["no_load", "files"])]
    pub(crate) rate: Option<f64>,
    /// Place no orders: only serve.
    #[arg(long)]
    pub(crate) no_load: bool,
    /// Print one JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
    /// Where the embedded ScyllaDB listens [default: 127.0.0.1:9042, or any free port].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) cql: Option<SocketAddr>,
    /// Where the embedded broker listens [default: 127.0.0.1:9092, or any free port].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) kafka: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) host: HostArgs,
}

/// Runs the demonstration until its load is done, or until `stop`.
///
/// # Errors
/// What this machine should have given and did not.
pub(crate) async fn run(
    args: Args,
    registry: &Registry,
    lookup: &dyn Lookup,
    stop: Stop,
) -> anyhow::Result<Exit> {
    let services = Services::start(args.cql, args.kafka).await?;
    if args.is_example() {
        services.lay_orders().await?;
    }
    let embedded = |name: &str| match name {
        "SCYLLA_NODES" => Some(services.cql().to_string()),
        "REDPANDA_BROKERS" => Some(services.kafka().to_string()),
        other => lookup.env(other),
    };
    // The database is gone with this process: a checkpoint that stayed would point at nothing.
    let folder = tempfile::tempdir().context("cannot make a folder for checkpoints")?;
    let data_dir = args.host.data_dir.clone().unwrap_or_else(|| folder.path().to_owned());
    let mut pipelines = Pipelines {
        registry,
        lookup: &embedded,
        kept: Kept::open(&DataDir::open(data_dir)?).await?,
        control: Control::default(),
        drain: args.host.drain(),
        running: BTreeMap::new(),
    };
    let wanted = match args.wanted(&pipelines) {
        Ok(wanted) => wanted,
        Err(report) => {
            output::report(&report);
            return Ok(Exit::Configuration);
        }
    };
    let server = args.serve(lookup, &pipelines.control).await?;
    pipelines.apply(wanted).await?;
    let screen = Screen::new(if args.json { Style::Json } else { Style::Human });
    screen.ready(&Addresses { cql: services.cql(), kafka: services.kafka(), http: server.address() });
    let show = Show::new(screen, pipelines.control.board().clone(), services.session());
    let summary = demonstrate(&args, &services, show, &mut pipelines, &stop).await?;
    server.stop().await;
    Ok(if summary.is_whole() { Exit::Ok } else { Exit::Failed })
}

/// Places the load, shows what arrives, and counts it at the end.
async fn demonstrate(
    args: &Args,
    services: &Services,
    mut show: Show,
    pipelines: &mut Pipelines<'_>,
    stop: &Stop,
) -> anyhow::Result<Summary> {
    let _receiver = Receiver::start(&services.kafka().to_string(), show.received())?;
    if let Some(options) = args.load() {
        let written = show.written();
        // Nobody counts any more only when the demonstration is over.
        let load = services
            .load(options, move |event| {
                written.send(event).ok();
            })
            .await?;
        show.until(load.run(stop.clone())).await;
    } else {
        show.until(pipelines.watch(&args.files, stop)).await?;
    }
    show.catch_up(stop).await;
    show.until(pipelines.stop()).await;
    show.settle().await;
    Ok(show.summary(&services.dead_letters().await?).await)
}

impl Args {
    fn is_example(&self) -> bool {
        self.files.is_empty()
    }

    /// What to place, unless nothing is to be placed.
    fn load(&self) -> Option<LoadOptions> {
        if self.no_load || !self.is_example() {
            return None;
        }
        let rate = self.rate.or(if self.orders.is_none() { Some(20.0) } else { None });
        Some(LoadOptions { orders: self.orders, rate, seed: rand::random(), ..LoadOptions::default() })
    }

    /// One's own pipelines, or the example's.
    fn wanted(&self, pipelines: &Pipelines<'_>) -> Result<Vec<PipelineConfig>, Report> {
        if self.is_example() {
            let example = [("publisher", weir_orders::PUBLISHER), ("projections", weir_orders::PROJECTIONS)];
            let texts =
                example.map(|(name, text)| (format!("pipelines/orders/{name}.yaml").into(), text.to_owned()));
            return config::load_texts(texts, pipelines.registry, pipelines.lookup);
        }
        pipelines.load(&self.files)
    }

    /// HTTP where it was asked for, or else where there is room.
    async fn serve(&self, lookup: &dyn Lookup, control: &Control) -> anyhow::Result<http::Server> {
        let (wanted, access) = (self.host.listener.address(lookup)?, self.host.access(lookup)?);
        match http::Server::start(wanted, access.clone(), control.clone()).await {
            Err(_) if self.host.listener.listen.is_none() => {
                Ok(http::Server::start(([127, 0, 0, 1], 0).into(), access, control.clone()).await?)
            }
            started => Ok(started?),
        }
    }
}
