//! Serves a development ScyllaDB until it is interrupted.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::path::PathBuf;

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
    /// How many ranges of the ring the node has, each with a CDC stream for every shard.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    vnodes: u16,
    /// How many shards the node has.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    shards: u16,
    /// Put new keyspaces on tablets unless they say otherwise, and start their tables with so many (0: ten a shard).
    #[arg(long, value_name = "INITIAL", num_args = 0..=1, default_missing_value = "0")]
    tablets: Option<u32>,
    /// Clients must log in as this user; without it nobody is asked.
    #[arg(long)]
    user: Option<String>,
    /// The user's password. The environment or a file keeps it off the list of processes.
    #[arg(long, env = "SCYLLA_DEV_PASSWORD", hide_env_values = true, requires = "user")]
    password: Option<String>,
    /// The file whose first line is the user's password.
    #[arg(long, requires = "user", conflicts_with = "password")]
    password_file: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = Arguments::parse();
    let mut builder =
        ScyllaDev::builder().listen(arguments.listen).vnodes(arguments.vnodes).shards(arguments.shards);
    if let Some(initial) = arguments.tablets {
        builder = builder.tablets(initial);
    }
    if let Some(user) = arguments.user.take() {
        builder = builder.password(user, password(&arguments)?);
    }
    let server = builder.start().await.with_context(|| format!("cannot listen on {}", arguments.listen))?;
    announce(&server);
    tokio::signal::ctrl_c().await.context("cannot wait for an interrupt")?;
    Ok(())
}

fn password(arguments: &Arguments) -> anyhow::Result<String> {
    let Some(file) = &arguments.password_file else {
        let missing = "--user needs a password: --password-file, SCYLLA_DEV_PASSWORD or --password";
        return arguments.password.clone().context(missing);
    };
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let password = text.lines().next().unwrap_or_default().to_owned();
    anyhow::ensure!(!password.is_empty(), "{} has no password in its first line", file.display());
    Ok(password)
}

#[expect(clippy::print_stdout, reason = "the one line that tells whoever started it where it listens")]
fn announce(server: &ScyllaDev) {
    println!("listening on {}", server.address());
}
