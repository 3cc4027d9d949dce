//! `weir dlq list` and `weir dlq show`: dead letters as a table, in full, or as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use weir_host::config::Lookup;
use weir_host::registry::Registry;
use weir_sdk::Timestamp;
use weir_sdk::dead_letter::{DeadLetter, Id};

use super::filter::Filter;
use super::place::{Place, PlaceArgs};
use crate::exit::Exit;
use crate::output;

/// List dead letters, oldest record first.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    filter: Filter,
    /// At most so many.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Show one dead letter in full.
#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Its id, as `list` shows it.
    #[arg(long, value_name = "ID")]
    id: Id,
    /// As a JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) async fn list(args: &ListArgs, registry: &Registry, lookup: &dyn Lookup) -> anyhow::Result<Exit> {
    let place = match Place::find(&args.place, registry, lookup) {
        Ok(place) => place,
        Err(exit) => return Ok(exit),
    };
    let mut entries = place.index(&args.filter).await?;
    entries.truncate(args.limit.unwrap_or(usize::MAX));
    let (mut left, mut rows) = (&entries[..], Vec::new());
    while !left.is_empty() {
        let (portion, letters) = place.load(left).await?;
        if args.json {
            letters.iter().for_each(|letter| output::line(object(letter)));
        } else {
            rows.extend(letters.iter().map(row));
        }
        left = &left[portion..];
    }
    if !args.json {
        table(&rows);
    }
    Ok(Exit::Ok)
}

pub(super) async fn show(args: &ShowArgs, registry: &Registry, lookup: &dyn Lookup) -> anyhow::Result<Exit> {
    let place = match Place::find(&args.place, registry, lookup) {
        Ok(place) => place,
        Err(exit) => return Ok(exit),
    };
    let entries = place.index(&Filter::of(args.id)).await?;
    let letters = if entries.is_empty() { Vec::new() } else { place.load(&entries).await?.1 };
    match letters.first() {
        None => {
            output::complaint(
                &format!("there is no dead letter {}", args.id),
                "`weir dlq list` shows those that are",
            );
            Ok(Exit::Failed)
        }
        Some(letter) => {
            if args.json {
                output::line(object(letter));
            } else {
                whole(letter);
            }
            Ok(Exit::Ok)
        }
    }
}

fn table(rows: &[[String; 10]]) {
    if rows.is_empty() {
        output::line("no dead letters");
        return;
    }
    let titles =
        ["ID", "LAST FAILED", "SINK", "STAGE", "KIND", "TYPE", "KEY", "TRIED", "REPLAYED", "MESSAGE"];
    let width = |column: usize| {
        let widest = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        widest.max(titles[column].len())
    };
    let widths: Vec<_> = (0..titles.len()).map(width).collect();
    let line = |cells: &[String; 10]| {
        let cells: Vec<_> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        output::line(cells.join("  ").trim_end());
    };
    line(&titles.map(str::to_owned));
    rows.iter().for_each(line);
}

fn row(letter: &DeadLetter) -> [String; 10] {
    let (record, facts) = (&letter.record, &letter.facts);
    let text = |bytes: Option<&[u8]>| short(&bytes.map_or("-".into(), String::from_utf8_lossy), 36);
    [
        facts.id.to_string(),
        time(facts.last_failed),
        facts.task.sink.clone(),
        facts.stage.to_string(),
        facts.kind.to_string(),
        text(record.headers.get("event_type")),
        text(record.key.as_deref()),
        facts.attempts.to_string(),
        facts.replays.to_string(),
        short(&facts.message, 80),
    ]
}

/// On one line, and cut where it is too long.
fn short(text: &str, longest: usize) -> String {
    let plain: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if plain.chars().count() <= longest {
        return plain;
    }
    plain.chars().take(longest - 1).chain(['…']).collect()
}

fn whole(letter: &DeadLetter) {
    let (record, facts) = (&letter.record, &letter.facts);
    let origin = &record.origin;
    let lines = [
        ("id", facts.id.to_string()),
        ("task", facts.task.to_string()),
        ("refused by", format!("{} ({})", facts.refused_by, facts.stage)),
        ("kind", facts.kind.to_string()),
        ("error", facts.message.clone()),
        ("advice", facts.advice.clone()),
        ("attempts", facts.attempts.to_string()),
        ("replays", facts.replays.to_string()),
        ("first failed", time(facts.first_failed)),
        ("last failed", time(facts.last_failed)),
        ("source", format!("{} at {}", origin.partition, shown(Some(origin.offset.as_bytes())))),
        ("written", time(record.timestamp)),
        ("key", shown(record.key.as_deref())),
    ];
    for (name, text) in lines {
        output::line(format!("{name:<13} {text}"));
    }
    output::line("headers");
    for header in record.headers.iter() {
        output::line(format!("  {} = {}", header.name.as_str(), shown(header.value)));
    }
    output::line("payload");
    output::line(shown(record.value.as_deref()));
}

/// Bytes for a person: text where they are text, otherwise base64.
fn shown(bytes: Option<&[u8]>) -> String {
    let Some(bytes) = bytes else { return "(none)".to_owned() };
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("base64:{}", STANDARD.encode(bytes)),
    }
}

fn time(time: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(time.0).map_or_else(|_| time.to_string(), |time| format!("{time:.3}"))
}

/// Everything, bytes as text or `{"base64": …}`, as the file sink writes them.
fn object(letter: &DeadLetter) -> Value {
    let (record, facts) = (&letter.record, &letter.facts);
    let headers: Vec<_> =
        record.headers.iter().map(|header| json!([header.name.as_str(), coded(header.value)])).collect();
    json!({
        "id": facts.id.to_string(),
        "pipeline": facts.task.pipeline,
        "sink": facts.task.sink,
        "stage": facts.stage.as_str(),
        "refused_by": facts.refused_by,
        "kind": facts.kind.as_str(),
        "message": facts.message,
        "advice": facts.advice,
        "attempts": facts.attempts,
        "replays": facts.replays,
        "first_failed": time(facts.first_failed),
        "last_failed": time(facts.last_failed),
        "key": coded(record.key.as_deref()),
        "value": coded(record.value.as_deref()),
        "headers": headers,
        "timestamp_us": record.timestamp.0,
        "origin": {
            "partition": record.origin.partition.as_str(),
            "offset": coded(Some(record.origin.offset.as_bytes())),
        },
    })
}

fn coded(bytes: Option<&[u8]>) -> Value {
    bytes.map_or(Value::Null, |bytes| match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    })
}
