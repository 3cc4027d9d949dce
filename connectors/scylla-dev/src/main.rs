//! Serves a development ScyllaDB until it is interrupted.
#![forbid(unsafe_code)]

use std::net::SocketAddr;

use anyhow::Context;
use clap::Parser;
use weir_scylla_dev::ScyllaDev;

/// A development ScyllaDB: CQL v4 with a CDC log, in memory, one node.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen; port 0 lets the system choose one.
    #[arg(long, default_value = "127.0.0.1:9042")]
    listen: SocketAddr,
    /// How many ranges of the ring the node has, each with a CDC stream.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    vnodes: u16,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let server = ScyllaDev::builder()
        .listen(arguments.listen)
        .vnodes(arguments.vnodes)
        .start()
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    announce(&server);
    tokio::signal::ctrl_c().await.context("cannot wait for an interrupt")?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the one line that tells whoever started it where it listens")]
fn announce(server: &ScyllaDev) {
    println!("listening on {}", server.address());
}
