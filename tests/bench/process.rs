//! Other processes: started, listened to, measured from `/proc`, and gone when dropped.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};

/// How long anything here may take to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that this one started.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    ending: Ending,
}

/// How a process that is dropped comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is killed.
    Killed,
    /// Its standard input closes, and it has processes of its own to end.
    ByItself,
}

/// What a process has used since it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// Time of all processors, in steps of 10 ms.
    pub(crate) cpu: Duration,
    /// Memory it has now, KiB.
    pub(crate) resident: u64,
    /// The most memory it ever had, KiB.
    pub(crate) peak: u64,
    /// How often its threads have waited for something.
    pub(crate) waits: u64,
}

impl Process {
    /// This very program with other arguments.
    pub(crate) fn own(arguments: &[&str]) -> anyhow::Result<Self> {
        Self::start(Command::new(std::env::current_exe()?).args(arguments), Ending::Killed)
    }

    /// Its output is read here; its errors appear among ours.
    pub(crate) fn start(command: &mut Command, ending: Ending) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("no output")?;
        Self::listen(child, output, ending)
    }

    /// `weir run` of a pipeline, with its data in a folder; what it logs is read here.
    pub(crate) fn weir(pipeline: &Path, data: &Path) -> anyhow::Result<Self> {
        let arguments = ["--listen", "127.0.0.1:0", "--log-format", "json"];
        Self::command(Command::new(env!("CARGO_BIN_EXE_weir")).arg("run").args(arguments), pipeline, data)
    }

    /// `weir rebuild` of the sink `table`, which goes on when it has caught up.
    pub(crate) fn rebuild(pipeline: &Path, data: &Path) -> anyhow::Result<Self> {
        let arguments = ["rebuild", "table", "--follow"];
        Self::command(Command::new(env!("CARGO_BIN_EXE_weir")).args(arguments), pipeline, data)
    }

    fn command(command: &mut Command, pipeline: &Path, data: &Path) -> anyhow::Result<Self> {
        let mut child = command
            .arg("--data-dir")
            .arg(data)
            .arg(pipeline)
            .env_remove("RUST_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = child.stderr.take().context("no log")?;
        Self::listen(child, log, Ending::Killed)
    }

    fn listen(mut child: Child, output: impl Read + Send + 'static, ending: Ending) -> anyhow::Result<Self> {
        let input = child.stdin.take();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, input, lines, ending })
    }

    /// The next line that it prints and `wanted` picks.
    pub(crate) fn line<T>(&self, what: &str, wanted: impl Fn(&str) -> Option<T>) -> anyhow::Result<T> {
        let (deadline, mut seen) = (Instant::now() + PATIENCE, Vec::new());
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                bail!("no line says {what}, but:\n{}", seen.join("\n"));
            };
            match wanted(&line) {
                Some(found) => return Ok(found),
                None => seen.push(line),
            }
        }
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Complains when it has ended.
    pub(crate) fn still_runs(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => {
                let said: Vec<String> = self.lines.try_iter().collect();
                bail!("a process ended before its time: {status}\n{}", said.join("\n"))
            }
            None => Ok(()),
        }
    }

    /// What it has used.
    pub(crate) fn used(&self) -> anyhow::Result<Used> {
        used(self.pid())
    }

    /// Writes a line to its standard input.
    pub(crate) fn tell(&mut self, line: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.input.as_mut().context("no input")?, "{line}")?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.input = None;
        if self.ending == Ending::Killed {
            // It may have ended already.
            self.child.kill().ok();
        }
        self.child.wait().ok();
    }
}

/// What a process has used, as `/proc` tells it.
pub(crate) fn used(pid: u32) -> anyhow::Result<Used> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}"));
    let stat = read("stat")?;
    // The name in parentheses may hold anything; user and system time are the 12th and 13th field behind it.
    let (_, behind) = stat.rsplit_once(')').context("no name in stat")?;
    let ticks = behind.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    let status = read("status")?;
    let kibibytes = |name: &str| field(&status, name);
    let mut waits = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end while we look.
        let Ok(status) = fs::read_to_string(task?.path().join("status")) else { continue };
        waits += field(&status, "voluntary_ctxt_switches")?;
    }
    Ok(Used {
        cpu: Duration::from_millis(ticks * 10),
        resident: kibibytes("VmRSS")?,
        peak: kibibytes("VmHWM")?,
        waits,
    })
}

fn field(status: &str, name: &str) -> anyhow::Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = line.and_then(|line| line.split_whitespace().next()).ok_or_else(|| anyhow!("no {name}"))?;
    Ok(value.parse()?)
}

/// Asks again and again until there is an answer.
pub(crate) fn until<T>(
    what: &str,
    mut wanted: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = wanted()? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("not within {PATIENCE:?}: {what}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
