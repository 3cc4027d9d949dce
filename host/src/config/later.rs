//! Keys that the design has and this version has not: refused, since a key that is accepted and ignored is a lie.

use serde_json::Value;
use weir_sdk::config::{Problem, child};

/// Keys at the top of a file.
const OF_PIPELINE: [&str; 1] = ["dead_letter"];
/// Keys of a sink.
const OF_SINK: [&str; 1] = ["on_record_error"];

/// Takes such keys out of the file, with a problem for each.
pub(super) fn refuse(file: &mut Value) -> Vec<Problem> {
    let mut problems = take(file, "", &OF_PIPELINE);
    let sinks = file.get_mut("sinks").and_then(Value::as_array_mut);
    for (index, sink) in sinks.into_iter().flatten().enumerate() {
        let pointer = format!("/sinks/{index}");
        problems.extend(take(sink, &pointer, &OF_SINK));
        let retry = sink.get_mut("retry").and_then(Value::as_object_mut);
        if let Some(retry) = retry.filter(|retry| retry.get("on_exhausted") == Some(&"dead_letter".into())) {
            retry.remove("on_exhausted");
            let problem = Problem::new(
                format!("{pointer}/retry/on_exhausted"),
                "this version of Weir does not have dead letters yet",
            );
            problems.push(problem.help("write `park` to wait, or `stop` to stop the task"));
        }
    }
    problems
}

fn take(block: &mut Value, pointer: &str, keys: &[&str]) -> Vec<Problem> {
    let Some(block) = block.as_object_mut() else {
        return Vec::new();
    };
    let taken = keys.iter().filter(|key| block.remove(**key).is_some());
    taken
        .map(|key| {
            let message = format!("this version of Weir does not have `{key}` yet");
            Problem::at_key(child(pointer, key), message).help("remove it; nothing stands in its place")
        })
        .collect()
}
