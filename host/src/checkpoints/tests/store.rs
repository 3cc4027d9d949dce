//! The store as tasks use it: on real files, and on a disk that fails on demand.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use futures::future::join_all;
use tempfile::TempDir;
use weir_sdk::testing::contract;
use weir_sdk::{Checkpoint, CheckpointStore, Error, ErrorKind, Partition};

use super::super::disk::{Disk, Folder};
use super::super::format::{self, State};
use super::super::journal::Journal;
use super::super::{FileStore, journal_path};
use super::{at, task};
use crate::data_dir::DataDir;

async fn open(parent: &TempDir) -> Result<FileStore, Error> {
    FileStore::open(&DataDir::open(parent.path().join("weir")).unwrap()).await
}

/// The store ends as after kill -9: what it would still do at the end is undone.
async fn save_then_kill(parent: &TempDir, saves: &[(&str, Checkpoint)]) {
    let journal = parent.path().join("weir/checkpoints/journal");
    let store = open(parent).await.unwrap();
    for (name, checkpoint) in saves {
        store.save(&task(name), "table 1", checkpoint).await.unwrap();
    }
    let bytes = fs::read(&journal).unwrap();
    drop(store);
    fs::write(&journal, bytes).unwrap();
}

async fn loaded(store: &FileStore, name: &str) -> Option<Checkpoint> {
    store.load(&task(name)).await.unwrap().map(|saved| saved.checkpoint)
}

#[tokio::test]
async fn it_keeps_what_every_store_promises() {
    let parent = TempDir::new().unwrap();
    contract::checkpoint_store(async || Arc::new(open(&parent).await.unwrap()) as Arc<dyn CheckpointStore>)
        .await;
}

#[tokio::test]
async fn saves_are_merged_and_survive_a_kill() {
    let parent = TempDir::new().unwrap();
    let mut retires = at("two", "b");
    retires.retire(Partition::from("one"));
    save_then_kill(
        &parent,
        &[("a", at("one", "a")), ("b", at("one", "x")), ("a", at("three", "c")), ("a", retires)],
    )
    .await;
    let store = open(&parent).await.unwrap();
    let expected = [(Partition::from("two"), "b"), (Partition::from("three"), "c")].into_iter().collect();
    assert_eq!(loaded(&store, "a").await, Some(expected));
    assert_eq!(loaded(&store, "b").await, Some(at("one", "x")));
    assert_eq!(loaded(&store, "c").await, None);
}

#[tokio::test]
async fn another_source_is_refused_and_changes_nothing() {
    let parent = TempDir::new().unwrap();
    let store = open(&parent).await.unwrap();
    store.save(&task("a"), "table 1", &at("p", "1")).await.unwrap();
    let error = store.save(&task("a"), "table 2", &at("p", "2")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(
        error.message(),
        "the checkpoint of orders/a belongs to another source: it is of table 1, not of table 2"
    );
    assert!(error.operator_advice().unwrap().contains("another name"));
    let saved = store.load(&task("a")).await.unwrap().unwrap();
    assert_eq!((saved.identity.as_str(), saved.checkpoint), ("table 1", at("p", "1")));
}

#[tokio::test]
async fn an_unfinished_append_is_dropped_and_the_next_one_is_kept() {
    let parent = TempDir::new().unwrap();
    save_then_kill(&parent, &[("a", at("p", "1")), ("a", at("p", "2"))]).await;
    let journal = parent.path().join("weir/checkpoints/journal");
    let bytes = fs::read(&journal).unwrap();
    fs::write(&journal, &bytes[..bytes.len() - 3]).unwrap();
    save_then_kill(&parent, &[("a", at("q", "3"))]).await;
    let expected = [(Partition::from("p"), "1"), (Partition::from("q"), "3")].into_iter().collect();
    assert_eq!(loaded(&open(&parent).await.unwrap(), "a").await, Some(expected));
}

#[tokio::test]
async fn what_cannot_be_trusted_is_refused_and_left_alone() {
    let parent = TempDir::new().unwrap();
    save_then_kill(&parent, &[("a", at("p", "1")), ("a", at("p", "2"))]).await;
    let data = parent.path().join("weir");
    let journal = data.join("checkpoints/journal");
    let good = fs::read(&journal).unwrap();
    let mut damaged = good.clone();
    let middle = format::whole(&State::new()).len() + 20;
    damaged[middle] ^= 1;
    let other: Vec<u8> = [&b"weir checkpoints 7\n"[..], &good[19..]].concat();
    for (bytes, says) in [
        (damaged, "is damaged at byte 31"),
        (other, "of version 7; this weir reads version 1"),
        (b"hello".to_vec(), "is not a checkpoint journal"),
        (Vec::new(), "is not a checkpoint journal"),
    ] {
        fs::write(&journal, &bytes).unwrap();
        let error = open(&parent).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(says), "{error:?}");
        assert!(error.message().contains(&journal.display().to_string()), "{error:?}");
        assert!(error.operator_advice().unwrap().contains("move"), "{error:?}");
        assert_eq!(fs::read(&journal).unwrap(), bytes);
    }
}

#[tokio::test]
async fn after_an_orderly_end_any_damage_shows() {
    let parent = TempDir::new().unwrap();
    let data = DataDir::open(parent.path()).unwrap();
    let store = FileStore::open(&data).await.unwrap();
    store.save(&task("a"), "table 1", &at("p", "1")).await.unwrap();
    drop(store);
    let good = fs::read(journal_path(&data)).unwrap();
    for place in 0..good.len() {
        let mut damaged = good.clone();
        damaged[place] ^= 0x40;
        assert!(format::read(&damaged).is_err(), "changed at {place}");
    }
}

#[tokio::test]
async fn the_file_stays_within_a_few_times_its_content() {
    let parent = TempDir::new().unwrap();
    let data = DataDir::open(parent.path()).unwrap();
    let store = FileStore::open(&data).await.unwrap();
    let (mut largest, mut shrank) = (0, 0);
    for round in 0..40u8 {
        store.save(&task("a"), "table 1", &at("p", vec![round; 1 << 20])).await.unwrap();
        // Compaction follows the answer; a load is answered after it.
        loaded(&store, "b").await;
        let length = fs::metadata(journal_path(&data)).unwrap().len();
        shrank += usize::from(length < largest && length < 3 << 20);
        largest = largest.max(length);
    }
    assert!(largest < 10 << 20, "{largest}");
    assert!(shrank >= 3, "{shrank}");
    assert_eq!(loaded(&store, "a").await, Some(at("p", vec![39; 1 << 20])));
    drop(store);
    let store = FileStore::open(&data).await.unwrap();
    assert_eq!(loaded(&store, "a").await, Some(at("p", vec![39; 1 << 20])));
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_cannot_be_used_is_an_error_with_advice() {
    let parent = TempDir::new().unwrap();
    let data = DataDir::open(parent.path()).unwrap();
    fs::write(parent.path().join("checkpoints"), "a file in the way").unwrap();
    let error = FileStore::open(&data).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot read "), "{error}");
    assert!(error.operator_advice().is_some());
}

/// A real folder in which operations can be made to fail, and which counts its fsyncs.
struct Faulty {
    folder: Folder,
    faults: Faults,
}

#[derive(Clone, Default)]
struct Faults {
    next: Arc<Mutex<Vec<Fault>>>,
    syncs: Arc<AtomicUsize>,
    /// The next fsync takes until this says so.
    gate: Arc<Mutex<Option<mpsc::Receiver<()>>>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// Appends this many bytes, then fails so.
    Append(usize, io::ErrorKind),
    Sync,
    Truncate,
    Replace,
}

impl Faults {
    fn plan(&self, faults: &[Fault]) {
        self.next.lock().unwrap().extend(faults);
    }

    fn take(&self, wanted: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let mut next = self.next.lock().unwrap();
        let place = next.iter().position(wanted)?;
        Some(next.remove(place))
    }

    fn strike(&self, fault: Fault) -> io::Result<()> {
        self.take(|planned| *planned == fault).map_or(Ok(()), |_| Err(io::Error::other("input/output error")))
    }
}

impl Disk for Faulty {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(Fault::Append(part, kind)) = self.faults.take(|fault| matches!(fault, Fault::Append(..)))
        {
            self.folder.append(&bytes[..part])?;
            return Err(kind.into());
        }
        self.folder.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.faults.syncs.fetch_add(1, Ordering::Relaxed);
        if let Some(gate) = self.faults.gate.lock().unwrap().take() {
            gate.recv().unwrap();
        }
        self.faults.strike(Fault::Sync)?;
        self.folder.sync()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.faults.strike(Fault::Truncate)?;
        self.folder.truncate(length)
    }

    fn replace(&mut self, content: &[u8]) -> io::Result<()> {
        self.faults.strike(Fault::Replace)?;
        self.folder.replace(content)
    }
}

async fn faulty(path: &Path) -> (FileStore, Faults) {
    let (faults, path) = (Faults::default(), path.to_owned());
    let shared = faults.clone();
    let store = FileStore::start(move || {
        let content = format::whole(&State::new());
        let disk = Faulty { folder: Folder::create(&path, &content).unwrap(), faults: shared };
        Ok((Journal::new(disk, path.join("journal"), State::new(), content.len()), ()))
    });
    (store.await.unwrap(), faults)
}

/// What a run after a kill at this moment would find.
fn on_disk(path: &Path, name: &str) -> Option<Checkpoint> {
    let (state, _) = format::read(&fs::read(path.join("journal")).unwrap()).unwrap();
    state.get(&task(name)).map(|saved| saved.checkpoint.clone())
}

#[tokio::test]
async fn a_full_disk_fails_the_save_and_the_next_one_goes_on() {
    let parent = TempDir::new().unwrap();
    let (store, faults) = faulty(parent.path()).await;
    store.save(&task("a"), "table 1", &at("p", "1")).await.unwrap();
    for fault in [Fault::Append(0, io::ErrorKind::StorageFull), Fault::Append(30, io::ErrorKind::StorageFull)]
    {
        faults.plan(&[fault]);
        let error = store.save(&task("a"), "table 1", &at("p", "2")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transient);
        assert!(error.operator_advice().unwrap().contains("free some space"), "{error:?}");
        assert_eq!(loaded(&store, "a").await, Some(at("p", "1")));
        let bytes = fs::read(parent.path().join("journal")).unwrap();
        assert_eq!(format::read(&bytes).unwrap().1, bytes.len(), "the partial append was cut off");
    }
    store.save(&task("a"), "table 1", &at("p", "3")).await.unwrap();
    assert_eq!(on_disk(parent.path(), "a"), Some(at("p", "3")));
}

#[tokio::test]
async fn a_disk_gone_read_only_needs_the_operator() {
    let parent = TempDir::new().unwrap();
    let (store, faults) = faulty(parent.path()).await;
    faults.plan(&[Fault::Append(0, io::ErrorKind::ReadOnlyFilesystem)]);
    let error = store.save(&task("a"), "table 1", &at("p", "1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.operator_advice().unwrap().contains("--data-dir"), "{error:?}");
}

#[tokio::test]
async fn after_a_failed_sync_or_cut_nothing_is_built_on_the_old_file() {
    for accident in [
        vec![Fault::Sync],
        vec![Fault::Sync, Fault::Truncate],
        vec![Fault::Append(30, io::ErrorKind::StorageFull), Fault::Truncate],
    ] {
        let parent = TempDir::new().unwrap();
        let (store, faults) = faulty(parent.path()).await;
        store.save(&task("a"), "table 1", &at("p", "1")).await.unwrap();
        faults.plan(&accident);
        faults.plan(&[Fault::Replace]);
        store.save(&task("a"), "table 1", &at("p", "2")).await.unwrap_err();
        let error = store.save(&task("a"), "table 1", &at("p", "2")).await.unwrap_err();
        assert!(error.to_string().starts_with("cannot rewrite "), "{error}");
        store.save(&task("b"), "table 1", &at("p", "3")).await.unwrap();
        assert_eq!(on_disk(parent.path(), "a"), Some(at("p", "1")));
        assert_eq!(on_disk(parent.path(), "b"), Some(at("p", "3")));
    }
}

#[tokio::test]
async fn saves_that_wait_share_an_fsync() {
    let parent = TempDir::new().unwrap();
    let (store, faults) = faulty(parent.path()).await;
    let tasks: Vec<_> = (0..200).map(|n| task(&n.to_string())).collect();
    let checkpoint = at("p", "1");
    let saves = join_all(tasks.iter().map(|task| store.save(task, "table 1", &checkpoint)));
    assert!(behind_a_gate(&faults, saves).await.iter().all(Result::is_ok));
    let syncs = faults.syncs.load(Ordering::Relaxed);
    assert!(syncs <= 2, "200 saves took {syncs} fsyncs");
    for task in &tasks {
        assert_eq!(on_disk(parent.path(), &task.sink), Some(checkpoint.clone()));
    }
}

#[tokio::test]
async fn of_two_sources_that_save_first_together_one_is_refused() {
    let parent = TempDir::new().unwrap();
    let (store, faults) = faulty(parent.path()).await;
    let (busy, a, checkpoint) = (task("busy"), task("a"), at("p", "1"));
    let saves = [(&busy, "table 1"), (&a, "table 1"), (&a, "table 2")];
    let saves = join_all(saves.map(|(task, identity)| store.save(task, identity, &checkpoint)));
    let saved = behind_a_gate(&faults, saves).await;
    assert!(saved[0].is_ok() && saved[1].is_ok());
    assert_eq!(saved[2].as_ref().unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(on_disk(parent.path(), "a"), Some(checkpoint));
}

/// Lets the first fsync take until all of `saves` have been asked for.
async fn behind_a_gate<S>(faults: &Faults, saves: S) -> S::Output
where
    S: Future + Unpin,
{
    let mut saves = saves;
    let (open_gate, gate) = mpsc::channel();
    *faults.gate.lock().unwrap() = Some(gate);
    tokio::select! {
        biased;
        _ = &mut saves => panic!("answered before the fsync"),
        () = std::future::ready(()) => open_gate.send(()).unwrap(),
    }
    saves.await
}
