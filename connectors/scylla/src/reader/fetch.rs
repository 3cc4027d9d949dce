//! Fetching the pages of many parts: a few in parallel, each one page ahead of the reader.

use std::sync::Arc;

use scylla::response::PagingState;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use weir_sdk::{Error, ErrorKind};

use super::statement::{Answer, Page};

/// Parts read at the same time: enough to hide the way to the server, few enough to bound what waits here.
const PARALLEL: usize = 4;

/// What is read part by part, and page by page.
pub trait Paged: Send + Sync + 'static {
    /// What one query asks for.
    type Part: Clone + Send + Sync + 'static;
    /// What it answers.
    type Row: Send + 'static;

    /// Asks for one page.
    fn ask(&self, part: &Self::Part, from: PagingState)
    -> impl Future<Output = Result<Answer, Error>> + Send;

    /// Turns an answer into rows.
    ///
    /// # Errors
    /// `Bug` when they do not look as they were asked for.
    fn decode(&self, answer: Answer) -> Result<Page<Self::Row>, Error>;
}

/// The pages of some parts. Pages of one part come in order; parts come as they are answered.
///
/// Dropping it stops what is under way. After an error the next call goes on behind the last page that was given out.
pub struct Fetch<P: Paged> {
    paged: Arc<P>,
    parts: Vec<Progress<P::Part>>,
    running: usize,
    tasks: JoinSet<()>,
    pages: mpsc::Receiver<Given<P>>,
    sender: mpsc::Sender<Given<P>>,
}

type Given<P> = (usize, Result<Page<<P as Paged>::Row>, Error>);

struct Progress<Part> {
    part: Part,
    state: State,
}

enum State {
    Waiting(PagingState),
    /// Where to begin again if the task fails.
    Running(PagingState),
    Done,
}

impl<P: Paged> Fetch<P> {
    /// Nothing is asked before the first [`next`](Self::next).
    pub fn new(paged: Arc<P>, parts: Vec<P::Part>) -> Self {
        let begin = parts.into_iter().map(|part| (part, Some(PagingState::start()))).collect();
        Self::from_within(paged, begin)
    }

    /// Goes on within each part; `None` where it was read to its end.
    pub fn from_within(paged: Arc<P>, parts: Vec<(P::Part, Option<PagingState>)>) -> Self {
        let (sender, pages) = mpsc::channel(1);
        let state = |next: Option<PagingState>| next.map_or(State::Done, State::Waiting);
        let parts = parts.into_iter().map(|(part, next)| Progress { part, state: state(next) }).collect();
        Self { paged, parts, running: 0, tasks: JoinSet::new(), pages, sender }
    }

    /// The next page and the index of its part; `None` when every part is read. Safe to drop.
    pub async fn next(&mut self) -> Result<Option<(usize, Page<P::Row>)>, Error> {
        self.start();
        while self.running > 0 {
            tokio::select! {
                biased;
                Some((part, answer)) = self.pages.recv() => return self.answered(part, answer).map(Some),
                Some(ended) = self.tasks.join_next() => if let Err(crash) = ended {
                    return Err(Error::new(ErrorKind::Bug, "reading a page crashed").caused_by(crash));
                },
            }
        }
        Ok(None)
    }

    fn answered(
        &mut self,
        part: usize,
        answer: Result<Page<P::Row>, Error>,
    ) -> Result<(usize, Page<P::Row>), Error> {
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
            let (paged, part, sender) = (self.paged.clone(), progress.part.clone(), self.sender.clone());
            self.tasks.spawn(async move { read(&*paged, index, &part, state, &sender).await });
        }
    }
}

/// Asks for the next page before it decodes this one, so that the server and we work at the same time.
async fn read<P: Paged>(
    paged: &P,
    index: usize,
    part: &P::Part,
    state: PagingState,
    pages: &mpsc::Sender<Given<P>>,
) {
    let mut asked = Some(paged.ask(part, state).await);
    while let Some(answer) = asked.take() {
        let next = answer.as_ref().ok().and_then(|answer| answer.next.clone());
        let ask = async {
            match next {
                Some(state) => Some(paged.ask(part, state).await),
                None => None,
            }
        };
        let give = async {
            let page = answer.and_then(|answer| paged.decode(answer));
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
