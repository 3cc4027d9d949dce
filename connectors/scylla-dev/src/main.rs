//! Serves a development ScyllaDB until it is interrupted.
#![forbid(unsafe_code)]

mod control;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
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
    /// Refuse writes while the tables take more than this of memory: bytes, or a number of KiB, MiB or GiB.
    #[arg(long, default_value = "2GiB", value_parser = bytes)]
    memory: usize,
    /// Where to take commands that make the server misbehave, by HTTP: an address of this machine.
    #[arg(long, value_parser = loopback)]
    control: Option<SocketAddr>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = Arguments::parse();
    let mut builder =
        ScyllaDev::builder().listen(arguments.listen).vnodes(arguments.vnodes).shards(arguments.shards);
    builder = builder.memory(arguments.memory);
    if let Some(initial) = arguments.tablets {
        builder = builder.tablets(initial);
    }
    if let Some(user) = arguments.user.take() {
        builder = builder.password(user, password(&arguments)?);
    }
    let server = builder.start().await.with_context(|| format!("cannot listen on {}", arguments.listen))?;
    announce(&format!("listening on {}", server.address()));
    match arguments.control {
        Some(address) => serve_control(address, server).await,
        None => interrupted().await,
    }
}

/// Until it is interrupted; the server goes on for as long as it can be controlled.
async fn serve_control(address: SocketAddr, server: ScyllaDev) -> anyhow::Result<()> {
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("cannot take commands on {address}"))?;
    announce(&format!("commands on http://{}", listener.local_addr()?));
    tokio::select! {
        ended = control::serve(listener, Arc::new(Mutex::new(server))) => Ok(ended?),
        result = interrupted() => result,
    }
}

async fn interrupted() -> anyhow::Result<()> {
    tokio::signal::ctrl_c().await.context("cannot wait for an interrupt")
}

fn bytes(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        unit => return Err(format!("{unit} is no unit; write bytes, or KiB, MiB or GiB")),
    };
    let number = digits.trim().parse::<usize>().map_err(|_| format!("{digits:?} is no whole number"))?;
    number.checked_mul(factor).ok_or_else(|| "more than there can be".to_owned())
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|error| format!("{error}; write 127.0.0.1:9043"))?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err("commands are only taken from this machine: write 127.0.0.1:9043, or port 0 for any".to_owned())
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

#[expect(clippy::print_stdout, reason = "the lines that tell whoever started it where it listens")]
fn announce(line: &str) {
    println!("{line}");
}
