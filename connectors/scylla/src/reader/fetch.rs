//! Fetching the pages of many parts: a few in parallel, each one page ahead of the reader.

use std::sync::Arc;

use scylla::response::PagingState;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use weir_sdk::{Error, ErrorKind};

use super::statement::{Page, Part, Statement};

/// Parts read at the same time: enough to hide the way to the server, few enough to bound what waits here.
const PARALLEL: usize = 4;

/// The pages of some parts. Pages of one part come in order; parts come as they are answered.
///
/// Dropping it stops what is under way. After an error the next call goes on behind the last page that was given out.
pub struct Fetch<R> {
    statement: Arc<Statement<R>>,
    parts: Vec<Progress>,
    running: usize,
    tasks: JoinSet<()>,
    pages: mpsc::Receiver<Given<R>>,
    sender: mpsc::Sender<Given<R>>,
}

type Given<R> = (usize, Result<Page<R>, Error>);

struct Progress {
    part: Part,
    state: State,
}

enum State {
    Waiting(PagingState),
    /// Where to begin again if the task fails.
    Running(PagingState),
    Done,
}

impl<R: Send + 'static> Fetch<R> {
    /// Nothing is asked before the first [`next`](Self::next).
    pub fn new(statement: Arc<Statement<R>>, parts: Vec<Part>) -> Self {
        let begin = parts.into_iter().map(|part| (part, Some(PagingState::start()))).collect();
        Self::from_within(statement, begin)
    }

    /// Goes on within each part; `None` where it was read to its end.
    pub fn from_within(statement: Arc<Statement<R>>, parts: Vec<(Part, Option<PagingState>)>) -> Self {
        let (sender, pages) = mpsc::channel(1);
        let state = |next: Option<PagingState>| next.map_or(State::Done, State::Waiting);
        let parts = parts.into_iter().map(|(part, next)| Progress { part, state: state(next) }).collect();
        Self { statement, parts, running: 0, tasks: JoinSet::new(), pages, sender }
    }

    /// The next page and the index of its part; `None` when every part is read. Safe to drop.
    pub async fn next(&mut self) -> Result<Option<(usize, Page<R>)>, Error> {
        self.start();
        while self.running > 0 {
            tokio::select! {
                biased;
                Some((part, answer)) = self.pages.recv() => return self.answered(part, answer).map(Some),
                Some(ended) = self.tasks.join_next() => if let Err(crash) = ended {
                    return Err(Error::new(ErrorKind::Bug, "reading the log crashed").caused_by(crash));
                },
            }
        }
        Ok(None)
    }

    fn answered(&mut self, part: usize, answer: Result<Page<R>, Error>) -> Result<(usize, Page<R>), Error> {
        let progress = &mut self.parts[part];
        match answer {
            Ok(page) => {
                progress.state = match &page.next {
                    Some(next) => State::Running(next.clone()),
                    None => State::Done,
                };
                self.running -= usize::from(page.next.is_none());
                Ok((part, page))
            }
            Err(error) => {
                if let State::Running(state) = &progress.state {
                    progress.state = State::Waiting(state.clone());
                }
                self.running -= 1;
                Err(error)
            }
        }
    }

    fn start(&mut self) {
        let waiting = self.parts.iter_mut().enumerate();
        for (index, progress) in waiting.filter(|(_, progress)| matches!(progress.state, State::Waiting(_))) {
            if self.running == PARALLEL {
                return;
            }
            let State::Waiting(state) = &progress.state else { continue };
            let state = state.clone();
            progress.state = State::Running(state.clone());
            self.running += 1;
            let (statement, part, sender) =
                (self.statement.clone(), progress.part.clone(), self.sender.clone());
            self.tasks.spawn(async move { read(&statement, index, &part, state, &sender).await });
        }
    }
}

/// Asks for the next page before it decodes this one, so that the server and we work at the same time.
async fn read<R>(
    statement: &Statement<R>,
    index: usize,
    part: &Part,
    state: PagingState,
    pages: &mpsc::Sender<Given<R>>,
) {
    let mut asked = Some(statement.ask(part, state).await);
    while let Some(answer) = asked.take() {
        let next = answer.as_ref().ok().and_then(|answer| answer.next.clone());
        let ask = async {
            match next {
                Some(state) => Some(statement.ask(part, state).await),
                None => None,
            }
        };
        let give = async {
            let page = answer.and_then(|answer| statement.decode(answer));
            let decoded = page.is_ok();
            pages.send((index, page)).await.is_ok() && decoded
        };
        let (following, goes_on) = tokio::join!(ask, give);
        if !goes_on {
            return;
        }
        asked = following;
    }
}
