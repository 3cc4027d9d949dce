//! What every checkpoint store promises: saves are merged, survive, and stay with their source.
#![expect(clippy::unwrap_used, reason = "a broken promise fails the test that asks for it")]

use std::sync::Arc;

use crate::checkpoint::{Checkpoint, Partition};
use crate::error::ErrorKind;
use crate::store::{CheckpointStore, Saved, TaskId};

/// Checks a store that holds nothing yet. `open` opens it anew, as the next start of a host does, after the one before
/// was dropped.
///
/// # Panics
/// When a promise is broken.
pub async fn checkpoint_store(mut open: impl AsyncFnMut() -> Arc<dyn CheckpointStore>) {
    let task = |sink: &str| TaskId { pipeline: "shop".to_owned(), sink: sink.to_owned() };
    let (a, b) = (task("a"), task("b"));
    let store = open().await;
    assert_eq!(store.load(&a).await.unwrap(), None, "nothing was saved");
    assert_eq!(store.claim(&a).await.unwrap(), None, "nothing was saved");
    assert_eq!(store.claim(&b).await.unwrap(), None);
    store.save(&a, "table 1", &at(&[("one", "1"), ("two", "1")])).await.unwrap();
    store.save(&b, "table 2", &at(&[("one", "other")])).await.unwrap();
    let mut later = at(&[("two", "2"), ("", "")]);
    later.retire(Partition::from("one"));
    later.retire(Partition::from("never"));
    store.save(&a, "table 1", &later).await.unwrap();
    let wanted = Some(Saved { identity: "table 1".to_owned(), checkpoint: at(&[("two", "2"), ("", "")]) });
    assert_eq!(store.load(&a).await.unwrap(), wanted, "saves are merged, and what is retired is gone");

    let refused = store.save(&a, "table 9", &at(&[("two", "9")])).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config, "{refused:?}");
    assert!(refused.to_string().contains("it is of table 1, not of table 9"), "{refused:?}");
    assert!(refused.operator_advice().unwrap().contains("another name"), "{refused:?}");
    assert_eq!(store.load(&a).await.unwrap(), wanted, "what is refused changes nothing");

    drop(store);
    let store = open().await;
    assert_eq!(store.load(&a).await.unwrap(), wanted, "it survives");
    assert_eq!(store.claim(&a).await.unwrap(), wanted);
    assert_eq!(store.claim(&b).await.unwrap().map(|saved| saved.checkpoint), Some(at(&[("one", "other")])));
    let refused = store.save(&a, "table 9", &at(&[("two", "9")])).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config, "also of a source that was known before: {refused:?}");

    let large: Checkpoint = (0..40).map(|n| (Partition::from(format!("{n}")), vec![n; 40_000])).collect();
    store.save(&a, "table 1", &large).await.unwrap();
    let mut wanted = at(&[("two", "2"), ("", "")]);
    wanted.merge(large);
    assert_eq!(store.load(&a).await.unwrap().map(|saved| saved.checkpoint), Some(wanted), "a large one");
    assert_eq!(store.in_use(&a).await.unwrap(), None, "nobody else is there");
}

fn at(offsets: &[(&str, &str)]) -> Checkpoint {
    offsets.iter().map(|(name, offset)| (Partition::from(*name), (*offset).to_owned())).collect()
}
