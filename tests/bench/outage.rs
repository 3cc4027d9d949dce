//! What an outage costs: how soon records flow again, and what one sink that is parked takes from another.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use super::process::{Process, until};
use super::report::{median, say};
use super::servers::Server;
use super::topic::Topic;

/// How soon records flow again after an outage, and what a parked sink takes from another one.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Records of a run beside a parked sink.
    #[arg(long, default_value_t = 400_000)]
    records: u64,
    /// How many outages, and how often each contestant runs.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
}

/// Nobody listens there.
const NOBODY: &str = "127.0.0.1:1";

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let mut broker = Server::own_broker()?;
    let topic = runtime.block_on(Topic::create(&broker.address, "outages"))?;
    outages(args, &mut broker, &topic, folder.path())?;

    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for round in 0..args.rounds {
        for (parked, rates) in [(false, &mut alone), (true, &mut beside)] {
            let name = format!("topic-{round}-{parked}");
            let topic = runtime.block_on(Topic::create(&broker.address, &name))?;
            let rate = arrive(args.records, &broker.address, &topic, parked, folder.path())?;
            say(format_args!(
                "{rate:>9.0} records/s {}",
                if parked { "beside a parked sink" } else { "alone" }
            ));
            rates.push(rate);
        }
    }
    let (alone, beside) = (median(alone), median(beside));
    say(format_args!(
        "medians of {} rounds, by turns: beside a parked sink / alone = {:.2}   ({beside:.0} / {alone:.0} records/s)",
        args.rounds,
        beside / alone,
    ));
    Ok(())
}

/// The broker leaves for a few seconds and comes back, over and over.
fn outages(args: &Args, broker: &mut Server, topic: &Topic, folder: &Path) -> anyhow::Result<()> {
    let source = "connector: generator\n  config: { rate: 1000 }";
    let sink = format!("config: {{ brokers: '{}', topic: {} }}", broker.address, topic.name);
    let breaker = "circuit_breaker: { open_for: 1s, open_for_max: 2s }";
    let text = format!(
        "name: outages\nsource:\n  {source}\nsinks:\n  - name: topic\n    connector: redpanda\n    {sink}\n    {breaker}\n"
    );
    let weir = start(&text, "outages", folder)?;
    let http = weir.line("where it listens", |line| {
        let fields = &serde_json::from_str::<serde_json::Value>(line).ok()?["fields"];
        (fields["message"] == "listening").then(|| fields["address"].as_str()?.parse::<SocketAddr>().ok())?
    })?;
    until("records flow", || Ok((topic.count()? > 0).then_some(())))?;
    let (mut beyond, mut whole) = (Vec::new(), Vec::new());
    for round in 0..args.rounds {
        broker.pause()?;
        std::thread::sleep(Duration::from_millis(3000 + 370 * u64::from(round)));
        broker.resume()?;
        let (back, before) = (Instant::now(), topic.count()?);
        let (mut tried, mut was_open) = (back, false);
        until("records flow again", || {
            let is_open = breaker_state(http)? == 2.0;
            if was_open && !is_open {
                tried = Instant::now();
            }
            was_open = is_open;
            Ok((topic.count()? > before).then_some(()))
        })?;
        beyond.push(tried.elapsed().as_secs_f64());
        whole.push(back.elapsed().as_secs_f64());
    }
    let most = |times: &[f64]| times.iter().copied().fold(0.0, f64::max);
    say(format_args!(
        "{} outages of 3 s and more: records flow again {:.2} s after the broker is back (at most {:.2} s), {:.2} s (at \
         most {:.2} s) after the breaker, which waits 2 s at most, tries again",
        args.rounds,
        median(whole.clone()),
        most(&whole),
        median(beyond.clone()),
        most(&beyond),
    ));
    Ok(())
}

/// Records a second on the topic, from the first to the last.
fn arrive(records: u64, brokers: &str, topic: &Topic, parked: bool, folder: &Path) -> anyhow::Result<f64> {
    let sink = |name: &str, brokers: &str| {
        format!(
            "  - name: {name}\n    connector: redpanda\n    config: {{ brokers: '{brokers}', topic: {} }}\n",
            topic.name
        )
    };
    let source = format!("connector: generator\n  config: {{ records: {records} }}");
    let other = if parked { sink("nobody", NOBODY) } else { String::new() };
    let text = format!("name: beside\nsource:\n  {source}\nsinks:\n{}{other}", sink("topic", brokers));
    let _weir = start(&text, &topic.name, folder)?;
    let first = until("the first records arrive", || Ok(Some(topic.count()?).filter(|count| *count > 0)))?;
    let began = Instant::now();
    until("all records arrive", || Ok((topic.count()? >= records).then_some(())))?;
    Ok((records - first) as f64 / began.elapsed().as_secs_f64())
}

fn start(pipeline: &str, name: &str, folder: &Path) -> anyhow::Result<Process> {
    let file = folder.join(format!("{name}.yaml"));
    std::fs::write(&file, pipeline)?;
    Process::weir(&file, &folder.join(name))
}

/// 0 closed, 1 half-open, 2 open; a task that is not built yet has none, and is taken for closed.
fn breaker_state(http: SocketAddr) -> anyhow::Result<f64> {
    let (mut stream, mut answer) = (TcpStream::connect(http)?, String::new());
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n")?;
    stream.read_to_string(&mut answer)?;
    let line = answer.lines().find(|line| line.starts_with("circuit_breaker_state"));
    Ok(line.and_then(|line| line.rsplit(' ').next()).map_or(Ok(0.0), |value| value.trim().parse())?)
}
