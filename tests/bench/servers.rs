//! The servers on both sides, each a process of its own, so that their cost is told apart from that of what is measured.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use weir_redpanda_dev::RedpandaDev;
use weir_scylla_dev::{Clock, ScyllaDev};

use super::process::{self, Ending, Process, Used};

/// How far the clock of a database can be moved: its streams exist since then.
pub(crate) const AGE: Duration = Duration::from_secs(600);

/// A server and where it listens.
pub(crate) struct Server {
    /// What it is, for the report.
    pub(crate) kind: &'static str,
    /// `host:port`
    pub(crate) address: String,
    process: Process,
    pid: u32,
}

/// Which broker stands at the destination.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Choice {
    /// A real Apache Kafka, started by tests/kafka/start, instead of the in-memory stand-in.
    #[arg(long)]
    kafka: bool,
}

/// Serves until standard input ends.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// The database; a line of standard input moves its clock forward by so many seconds, or, being `statements`, asks
    /// how many it has run.
    Scylla {
        #[arg(long)]
        vnodes: u16,
        #[arg(long)]
        shards: u16,
        /// By how many seconds its clock is slow at first.
        #[arg(long)]
        slow: u64,
    },
    /// The broker; it leaves at the line `pause` of standard input, and returns at `resume`.
    Kafka,
}

impl Server {
    /// scylla-dev with this many vnodes. Its clock is slow by [`AGE`] until [`Server::age`].
    pub(crate) fn aged_scylla(vnodes: u16) -> anyhow::Result<Self> {
        Self::scylla_dev((vnodes, 1), AGE)
    }

    /// scylla-dev with this many vnodes.
    pub(crate) fn scylla(vnodes: u16) -> anyhow::Result<Self> {
        Self::sharded_scylla(vnodes, 1)
    }

    /// scylla-dev with this many vnodes, and a stream for each shard in each of them.
    pub(crate) fn sharded_scylla(vnodes: u16, shards: u16) -> anyhow::Result<Self> {
        Self::scylla_dev((vnodes, shards), Duration::ZERO)
    }

    fn scylla_dev((vnodes, shards): (u16, u16), slow: Duration) -> anyhow::Result<Self> {
        let [vnodes, shards] = [vnodes, shards].map(|count| count.to_string());
        let slow = slow.as_secs().to_string();
        let layout = ["--vnodes", &vnodes, "--shards", &shards, "--slow", &slow];
        Self::own("scylla-dev, not ScyllaDB", &[&["serve", "scylla"], &layout[..]].concat())
    }

    /// The broker of this choice; a real one keeps its data in `data`.
    pub(crate) fn broker(choice: Choice, data: &Path) -> anyhow::Result<Self> {
        if !choice.kafka {
            return Self::own_broker();
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/kafka/start");
        let process = Process::start(Command::new(script).arg(data), Ending::ByItself)?;
        let line = process.line("where Kafka listens", |line| Some(line.to_owned()))?;
        let (address, pid) = line.split_once(' ').context("the script says `host:port pid`")?;
        let (address, pid) = (address.to_owned(), pid.parse()?);
        Ok(Self { kind: "Apache Kafka 4.3.1", address, process, pid })
    }

    /// The in-memory stand-in, which can be away for a while.
    pub(crate) fn own_broker() -> anyhow::Result<Self> {
        Self::own("in-memory stand-in broker", &["serve", "kafka"])
    }

    /// The stand-in broker is gone: its port refuses.
    pub(crate) fn pause(&mut self) -> anyhow::Result<()> {
        self.process.tell("pause")
    }

    /// The stand-in broker is back.
    pub(crate) fn resume(&mut self) -> anyhow::Result<()> {
        self.process.tell("resume")
    }

    fn own(kind: &'static str, arguments: &[&str]) -> anyhow::Result<Self> {
        let process = Process::own(arguments)?;
        let address = process.line("where it listens", |line| Some(line.to_owned()))?;
        let pid = process.pid();
        Ok(Self { kind, address, process, pid })
    }

    /// Moves the clock of an aged database to now: what was written so far is then older than any late row may be.
    pub(crate) fn age(&mut self) -> anyhow::Result<()> {
        self.process.tell(&AGE.as_secs().to_string())
    }

    /// How many statements the database has run; scylla-dev counts them.
    pub(crate) fn statements(&mut self) -> anyhow::Result<u64> {
        self.process.tell("statements")?;
        self.process.line("how many statements", |line| line.parse().ok())
    }

    /// How many partitions it has looked for by their keys, those of each `IN` one by one; scylla-dev counts them.
    pub(crate) fn partitions_read(&mut self) -> anyhow::Result<u64> {
        self.process.tell("partitions")?;
        self.process.line("how many partitions", |line| line.parse().ok())
    }

    /// The same of the prepared statements whose text begins so.
    pub(crate) fn partitions_read_by(&mut self, begin: &str) -> anyhow::Result<u64> {
        self.process.tell(begin)?;
        self.process.line("how many partitions", |line| line.parse().ok())
    }

    /// What the server has used.
    pub(crate) fn used(&self) -> anyhow::Result<Used> {
        process::used(self.pid)
    }
}

/// The other end of [`Server`]: serves in this process.
pub(crate) fn serve(args: &Args) -> anyhow::Result<()> {
    match args.what {
        What::Scylla { vnodes, shards, slow } => {
            let runtime = tokio::runtime::Runtime::new()?;
            let clock = Clock::system();
            clock.rewind(Duration::from_secs(slow));
            let builder = ScyllaDev::builder().vnodes(vnodes).shards(shards).clock(clock);
            let server = runtime.block_on(builder.start())?;
            super::report::say(server.address());
            for line in std::io::stdin().lines() {
                match line?.as_str() {
                    "statements" => super::report::say(server.faults().statements()),
                    "partitions" => super::report::say(server.faults().partitions_read()),
                    begin if begin.starts_with("SELECT") => {
                        super::report::say(server.asked(begin).partitions);
                    }
                    seconds => server.clock().advance(Duration::from_secs(seconds.parse()?)),
                }
            }
        }
        What::Kafka => {
            let broker = RedpandaDev::start("127.0.0.1:0")?;
            super::report::say(broker.address());
            for line in std::io::stdin().lines() {
                match line?.as_str() {
                    "pause" => broker.pause()?,
                    "resume" => broker.resume()?,
                    other => anyhow::bail!("no such order: {other}"),
                }
            }
        }
    }
    Ok(())
}
