//! `weir offsets reset`: sends tasks that do not run to another place of their source, and says what that repeats or
//! skips.

use std::str::FromStr;
use std::sync::Arc;

use futures::future::join_all;
use serde_json::{Value, json};
use weir_host::checkpoints::{FileStore, put};
use weir_host::config::Lookup;
use weir_host::control::Target;
use weir_host::data_dir::DataDir;
use weir_host::registry::Registry;
use weir_sdk::config::HumanDuration;
use weir_sdk::metrics::Metrics;
use weir_sdk::store::Saved;
use weir_sdk::{CheckpointStore, Context, Error, ErrorKind, Position, Start, Timestamp, To};

use super::{Place, Task, tasks};
use crate::commands::{confirmed, failed};
use crate::exit::Exit;
use crate::output;

/// Send tasks that do not run elsewhere: to the oldest record, behind the newest one, or to a time.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// One task, every task of a pipeline, or `all`.
    #[arg(value_name = "PIPELINE[/SINK]")]
    target: Target,
    #[command(flatten)]
    place: Place,
    /// Where to: `earliest`, `everything` (with what the source's table holds before that), `latest`, or a time such as
    /// `2026-01-31T12:00:00Z`.
    #[arg(long, value_name = "WHERE")]
    to: Where,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Print one JSON object on standard output: `tasks`.
    #[arg(long, requires = "yes")]
    json: bool,
}

/// A place as it is written on the command line.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Where(To);

impl FromStr for Where {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "earliest" => Ok(Self(To::Earliest)),
            "everything" => Ok(Self(To::Everything)),
            "latest" => Ok(Self(To::Latest)),
            time => match time.parse::<jiff::Timestamp>() {
                Ok(time) => Ok(Self(To::At(Timestamp(time.as_microsecond())))),
                Err(_) => Err(
                    "expected `earliest`, `everything`, `latest`, or a time such as `2026-01-31T12:00:00Z`",
                ),
            },
        }
    }
}

/// What is going to be done to one task.
struct Move<'a> {
    task: &'a Task,
    anew: Saved,
    from: Option<Position>,
    to: Position,
    effect: String,
}

/// Finds out where to, says what it means, asks, and moves.
///
/// # Errors
/// A host has the data directory, or saves one of the tasks.
pub(super) async fn run(args: &Args, registry: &Registry, lookup: &dyn Lookup) -> anyhow::Result<Exit> {
    let pipelines = match args.place.pipelines(registry, lookup) {
        Ok(pipelines) => pipelines,
        Err(exit) => return Ok(exit),
    };
    let data_dir = DataDir::open(args.place.data_dir())?;
    let files: Arc<dyn CheckpointStore> = Arc::new(FileStore::open(&data_dir).await?);
    let tasks = match tasks(&pipelines, &args.target, registry, &files) {
        Ok(tasks) => tasks,
        Err(exit) => return Ok(exit),
    };
    for in_use in join_all(tasks.iter().map(in_use)).await {
        match in_use {
            Ok(None) => {}
            Ok(Some(held)) => return Err(held.into()),
            Err(error) => return failed(error.into()),
        }
    }
    let mut moves = Vec::new();
    for task in &tasks {
        match plan(task, args.to.0).await {
            Ok(planned) => moves.push(planned),
            Err(error) => return failed(error.context(format_args!("{}", task.id)).into()),
        }
    }
    if !args.json {
        moves.iter().for_each(|planned| output::line(planned.sentence()));
    }
    if !args.yes && !confirmed().await {
        output::complaint("nothing was changed", "say `yes`, or give --yes where nobody can be asked");
        return Ok(Exit::Configuration);
    }
    for planned in &moves {
        if let Err(error) = planned.apply().await {
            return failed(error.context(format_args!("{}", planned.task.id)).into());
        }
    }
    if args.json {
        let objects: Vec<_> = moves.iter().map(Move::object).collect();
        output::line(json!({ "tasks": objects }));
    }
    Ok(Exit::Ok)
}

/// Why the task cannot be moved now, if another host runs it.
async fn in_use(task: &Task) -> Result<Option<Error>, Error> {
    let holder = task.store.in_use(&task.id).await?;
    Ok(holder.map(|holder| {
        Error::new(ErrorKind::Config, format!("{} is in use by {holder}", task.id))
            .advice("stop that one first")
    }))
}

/// Asks the source where that is. Nothing is changed.
async fn plan(task: &Task, to: To) -> Result<Move<'_>, Error> {
    let saved = task.store.load(&task.id).await?;
    let context = Context::new(task.id.clone(), Metrics::default());
    let Start { identity, checkpoint } = task.source.seek(task.source_config.clone(), to, context).await?;
    let identity = format!("{}:{identity}", task.source.name());
    if let Some(saved) = saved.as_ref().filter(|saved| saved.identity != identity) {
        let message = format!("its checkpoint belongs to source {}, not to {identity}", saved.identity);
        return Err(Error::new(ErrorKind::Config, message).advice(
            "give the pipeline or the sink another name, and it begins with a checkpoint of its own; or bring the \
             former source back",
        ));
    }
    let from = task.position(saved.as_ref())?;
    let reached = task.source.position(&checkpoint)?;
    let effect = effect(from.as_ref(), &reached, to);
    let anew = Saved { identity, checkpoint };
    Ok(Move { task, anew, from, to: reached, effect })
}

/// What going from one place to the other does to the records between them.
fn effect(from: Option<&Position>, reached: &Position, to: To) -> String {
    let Some(from) = from else {
        return "nothing was saved before, so nothing is known to be repeated or skipped".to_owned();
    };
    let known = from.time.zip(reached.time);
    match (known, to) {
        (_, To::Everything) => "repeats everything that is still there".to_owned(),
        (Some((from, to)), _) if from == to => "repeats and skips nothing".to_owned(),
        (Some((from, to)), _) if to < from => {
            format!("repeats what was written in the {} between", length(to, from))
        }
        (Some((from, to)), _) => {
            format!("skips what was written in the {} between: it is not delivered", length(from, to))
        }
        (None, To::Earliest) => "repeats everything that is still there".to_owned(),
        (None, To::Latest) => "skips everything that was not read yet: it is not delivered".to_owned(),
        (None, To::At(_)) => {
            "repeats or skips what lies between: not delivered is what would be passed over".to_owned()
        }
    }
}

fn length(from: Timestamp, to: Timestamp) -> HumanDuration {
    let millis = to.0.saturating_sub(from.0) / 1000;
    match u64::try_from(millis).unwrap_or(0) {
        millis if millis >= 10_000 => HumanDuration::from_secs(millis / 1000),
        millis => HumanDuration::from_millis(millis),
    }
}

impl Move<'_> {
    /// Takes the task, and puts this checkpoint in the place of what is saved by now.
    async fn apply(&self) -> Result<(), Error> {
        let Task { id, store, .. } = self.task;
        put(&**store, id, &self.anew).await
    }

    /// `orders/topic: from … to …: repeats …`
    fn sentence(&self) -> String {
        let from = self.from.as_ref().map_or("nothing saved", |from| &from.words);
        format!("{}: from \"{from}\" to \"{}\": {}", self.task.id, self.to.words, self.effect)
    }

    fn object(&self) -> Value {
        json!({
            "pipeline": self.task.id.pipeline,
            "sink": self.task.id.sink,
            "from": self.from.as_ref().map(|from| &from.words),
            "to": self.to.words,
            "effect": self.effect,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Where, effect};
    use weir_sdk::{Position, Timestamp, To};

    #[test]
    fn what_lies_between_is_repeated_or_skipped() {
        let at = |second: i64| Position { words: String::new(), time: Some(Timestamp(second * 1_000_000)) };
        let told = |from: i64, to: i64| effect(Some(&at(from)), &at(to), To::Latest);
        assert_eq!(told(7200, 60), "repeats what was written in the 1h 59m between");
        assert_eq!(told(60, 62), "skips what was written in the 2s between: it is not delivered");
        assert_eq!(told(60, 60), "repeats and skips nothing");
        let unknown = Position { words: String::new(), time: None };
        assert!(effect(Some(&unknown), &at(1), To::Earliest).starts_with("repeats everything"));
        assert!(effect(Some(&unknown), &at(1), To::Latest).starts_with("skips everything"));
        assert!(effect(None, &at(1), To::Latest).starts_with("nothing was saved"));
    }

    #[test]
    fn places_as_they_are_written() {
        let to = |text: &str| text.parse::<Where>().map(|place| place.0);
        assert_eq!(to("earliest"), Ok(To::Earliest));
        assert_eq!(to("1970-01-01T00:00:02Z"), Ok(To::At(Timestamp(2_000_000))));
        assert!(to("yesterday").unwrap_err().contains("`latest`"));
    }
}
