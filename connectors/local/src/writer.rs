//! `Writer`: a thread that appends what it is given, in order, and lets waiting writes share a sync.
//!
//! Why a thread and not `spawn_blocking` for each write? A dropped write goes on in the background there, and a later
//! one may overtake it. One queue and one thread keep the order whatever is dropped.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};
use weir_sdk::{Error, ErrorKind};

/// How many writes may wait; with the bound on a batch this bounds what dropped writes still hold.
const QUEUE: usize = 16;

/// Where lines go. Called on the writer's own thread, where it may block.
pub(crate) trait Target: Send + 'static {
    /// Appends all of it, durably; after an error nothing may be assumed.
    fn append(&mut self, chunks: &[Vec<u8>]) -> Result<(), Error>;

    /// Would it take lines?
    fn probe(&mut self) -> Result<(), Error>;
}

/// The async side. Dropping it lets the thread finish what is queued and end.
pub(crate) struct Writer {
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    ended: tokio::sync::Mutex<Option<oneshot::Receiver<()>>>,
}

struct Job {
    work: Work,
    answer: oneshot::Sender<Result<(), Error>>,
}

enum Work {
    Append(Vec<u8>),
    Probe,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub(crate) fn start(name: &str, target: impl Target) -> Result<Self, Error> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (ending, ended) = oneshot::channel();
        let run = move || {
            // Dropped last, also when the target panics: whoever waits for the end is answered.
            let _ending: oneshot::Sender<()> = ending;
            work_off(target, jobs);
        };
        let no_thread =
            |error| Error::new(ErrorKind::Transient, "the system has no thread to give").caused_by(error);
        std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(no_thread)?;
        Ok(Self { queue: Mutex::new(Some(queue)), ended: Some(ended).into() })
    }

    /// Appends these lines after everything that was given before.
    pub(crate) async fn append(&self, lines: Vec<u8>) -> Result<(), Error> {
        self.ask(Work::Append(lines)).await
    }

    /// Asks the target whether it would take lines.
    pub(crate) async fn probe(&self) -> Result<(), Error> {
        self.ask(Work::Probe).await
    }

    /// Finishes what is queued and waits until the target is given back.
    pub(crate) async fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(ended) = self.ended.lock().await.take() {
            ended.await.ok(); // an error, since nothing is ever sent: the thread has ended
        }
    }

    async fn ask(&self, work: Work) -> Result<(), Error> {
        let gone = || Error::new(ErrorKind::Bug, "the writer's thread has ended");
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (answer, answered) = oneshot::channel();
        queue.ok_or_else(gone)?.send(Job { work, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

fn work_off(mut target: impl Target, mut jobs: mpsc::Receiver<Job>) {
    while let Some(first) = jobs.blocking_recv() {
        let mut group = vec![first];
        while group.len() < QUEUE
            && let Ok(job) = jobs.try_recv()
        {
            group.push(job);
        }
        let (mut chunks, mut appended, mut probed) = (Vec::new(), Vec::new(), Vec::new());
        for job in group {
            match job.work {
                Work::Append(lines) => {
                    chunks.push(lines);
                    appended.push(job.answer);
                }
                Work::Probe => probed.push(job.answer),
            }
        }
        if !appended.is_empty() {
            answer(appended, &target.append(&chunks));
        }
        if !probed.is_empty() {
            answer(probed, &target.probe());
        }
    }
}

fn answer(waiting: Vec<oneshot::Sender<Result<(), Error>>>, result: &Result<(), Error>) {
    for answer in waiting {
        answer.send(result.clone()).ok(); // whoever dropped the write does not want to know
    }
}
