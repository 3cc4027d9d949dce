//! `Hosted`: the host as a library inside the test, for sinks that no binary carries; its HTTP on a real port.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use std::net::SocketAddr;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use weir_host::config;
use weir_host::control::Control;
use weir_host::data_dir::DataDir;
use weir_host::http::{Access, Server};
use weir_host::registry::Registry;
use weir_host::run::{Host, Kept};
use weir_host::stop::{Stop, Stopper};
use weir_host::supervisor::Outcome;
use weir_sdk::{SinkFactory, TaskId};

use super::troubled::Troubled;

/// A running host.
pub(super) struct Hosted {
    runtime: Runtime,
    stopper: Stopper,
    server: Server,
    host: JoinHandle<Vec<(TaskId, Outcome)>>,
}

impl Hosted {
    /// Runs this pipeline as `weir run` does, its data below `data`, with `sink` among the connectors.
    pub(super) fn run(pipeline: &str, data: &Path, sink: &Troubled) -> Self {
        let runtime = Runtime::new().unwrap();
        let (stopper, stop) = Stopper::new();
        let (server, host) = runtime.block_on(start(pipeline, data, sink, &stop));
        let host = runtime.spawn(host.ended());
        Self { runtime, stopper, server, host }
    }

    /// Where it serves HTTP.
    pub(super) fn http(&self) -> SocketAddr {
        self.server.address()
    }

    /// Asks every task to stop; how each did.
    pub(super) fn stop(self) -> Vec<(TaskId, Outcome)> {
        let Self { runtime, stopper, server, host } = self;
        stopper.stop(Duration::from_secs(10));
        runtime.block_on(async {
            let outcomes = host.await.unwrap();
            server.stop().await;
            outcomes
        })
    }
}

async fn start(pipeline: &str, data: &Path, sink: &Troubled, stop: &Stop) -> (Server, Host) {
    let mut registry = Registry::default();
    let sink: Arc<dyn SinkFactory> = Arc::new(sink.clone());
    let sinks = [weir_redpanda::sinks(), weir_local::sinks(), vec![sink]];
    sinks.into_iter().flatten().try_for_each(|sink| registry.add_sink(sink)).unwrap();
    weir_local::sources().into_iter().try_for_each(|source| registry.add_source(source)).unwrap();
    let no_environment = |_: &str| None;
    let texts = [("test.yaml".into(), pipeline.to_owned())];
    let pipelines = config::load_texts(texts, &registry, &no_environment);
    let pipelines = pipelines.unwrap_or_else(|report| panic!("{report}"));
    let data = DataDir::open(data).unwrap();
    let kept = Kept::open(&data).await.unwrap();
    let control = Control::default();
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::start(any_port, Access::Loopback, control.clone()).await.unwrap();
    let host = Host::start(&pipelines, &registry, &kept, &control, stop);
    (server, host.unwrap_or_else(|problem| panic!("{}", problem.message)))
}
