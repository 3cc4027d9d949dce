//! kill -9 of an application between the two steps of an append, with real processes.
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::load::{expected, lives};
use crate::place::Place;

const ORDERS: u64 = 6;

#[tokio::test]
async fn orders_go_on_after_their_application_was_killed_between_the_steps() {
    let place = Place::find().await;
    // The first append of all, one in the middle, and the last of all. (Not one of items that change: a second run
    // would change them again, because it only knows the commands, not what became of them.)
    for (seed, which) in [(21, Halt::First), (22, Halt::Middle), (23, Halt::Last)] {
        let (expected, refused) = expected(seed, ORDERS);
        let in_all: u64 = expected.values().map(|life| life.len() as u64).sum();
        let halt_after = match which {
            Halt::First => 1,
            Halt::Middle => in_all / 2,
            Halt::Last => in_all,
        };
        let halting = format!("--halt-after-claim={halt_after}");
        let mut killed = place_orders(&place, seed, Some(&halting));
        let lines = lines_until(&mut killed, "halted").await;
        assert_eq!(count(&lines, "claimed"), halt_after, "{lines:?}");
        assert_eq!(count(&lines, "published"), halt_after - 1, "{lines:?}");
        killed.kill().await.unwrap();

        let mut next = place_orders(&place, seed, None);
        let lines = lines_until(&mut next, "done").await;
        assert!(next.wait().await.unwrap().success());
        let again = count(&lines, "refused");
        assert_eq!(again, refused + halt_after, "what was claimed is not done again: {lines:?}");
        let mut outbox = place.outbox().await;
        outbox.retain(|order, _| expected.contains_key(order));
        assert_eq!(lives(&outbox), expected, "killed after claim {halt_after} of {in_all}");
    }
    place.remove().await;
}

enum Halt {
    First,
    Middle,
    Last,
}

fn count(lines: &[String], word: &str) -> u64 {
    lines.iter().filter(|line| line.starts_with(word)).count() as u64
}

/// The example, as a process of its own.
fn place_orders(place: &Place, seed: u64, halting: Option<&str>) -> Child {
    let here = std::env::current_exe().unwrap();
    let example = here.parent().and_then(|deps| deps.parent()).unwrap().join("examples/place_orders");
    assert!(
        example.exists(),
        "{} is missing: cargo build -p weir-orders --example place_orders",
        example.display()
    );
    Command::new(example)
        .arg(place.node())
        .args(["--keyspace", place.keyspace(), &format!("--orders={ORDERS}"), &format!("--seed={seed}")])
        .args(halting)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// The lines that a process prints, up to the first that begins with `word`.
async fn lines_until(process: &mut Child, word: &str) -> Vec<String> {
    let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut lines = Vec::new();
    while let Some(line) = output.next_line().await.unwrap() {
        let last = line.starts_with(word);
        lines.push(line);
        if last {
            return lines;
        }
    }
    panic!("it ended without `{word}`: {lines:?}");
}
