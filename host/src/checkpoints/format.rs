//! The bytes of a journal: a header, then frames; and what of them can be trusted after a crash.
//!
//! ```text
//! header  "weir checkpoints 1\n"  settled: u64  crc32 of settled: u32
//! frame   length of payload: u64  crc32 of payload: u32  crc32 of these 12 bytes: u32  payload
//! payload saves, one after the other: pipeline, sink, identity, count of partitions: u32, then for each
//!         partition, 0 (retired) or 1 and offset.  A text or offset is its length: u32, and its bytes.
//! ```
//!
//! Numbers are little-endian. A frame is one append, followed by an fsync before the next one begins; so a crash can
//! leave only the last frame unfinished, with any part of it missing, or zero, since pages reach the disk in any order.
//! Whatever is wrong before that is damage, and refused. The first `settled` bytes were synced before the file got its
//! name, so there even the last frame must be whole.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes};
use weir_sdk::store::Saved;
use weir_sdk::{Checkpoint, Partition, TaskId};

/// What a journal says about each task.
pub(super) type State = BTreeMap<TaskId, Saved>;

/// One save of one task.
#[derive(Clone, Debug)]
pub(super) struct Save {
    pub(super) task: TaskId,
    pub(super) identity: String,
    pub(super) checkpoint: Checkpoint,
}

impl Save {
    /// How many bytes it takes in a payload.
    pub(super) fn size(&self) -> usize {
        size(&self.task, &self.identity, &self.checkpoint)
    }
}

/// Why bytes are not taken for checkpoints.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It does not begin like a journal.
    NoJournal,
    /// It is of another version, this one.
    Version(String),
    /// It is damaged at this byte.
    Damaged(usize, &'static str),
}

const NAME: &[u8] = b"weir checkpoints ";
const VERSION: &[u8] = b"1\n";
const HEADER: usize = NAME.len() + VERSION.len() + 8 + 4;
const FRAME_HEADER: usize = 16;

/// A whole journal that says no more than `state`, all of it settled.
pub(super) fn whole(state: &State) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    for (task, saved) in state {
        frame(&mut bytes, [(task, saved.identity.as_str(), &saved.checkpoint)].into_iter());
    }
    let settled = (bytes.len() as u64).to_le_bytes();
    let mut header = bytes.as_mut_slice();
    header.put_slice(NAME);
    header.put_slice(VERSION);
    header.put_slice(&settled);
    header.put_u32_le(crc32fast::hash(&settled));
    bytes
}

/// One append.
pub(super) fn group(saves: &[Save]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FRAME_HEADER + saves.iter().map(Save::size).sum::<usize>());
    frame(&mut bytes, saves.iter().map(|save| (&save.task, save.identity.as_str(), &save.checkpoint)));
    bytes
}

/// Reads a journal: what it says, and how many of its bytes say it; the rest is an unfinished append.
///
/// # Errors
/// Anything wrong that an unfinished last append does not explain.
pub(super) fn read(bytes: &[u8]) -> Result<(State, usize), Refusal> {
    let settled = header(bytes)?;
    let (mut state, mut at) = (State::new(), HEADER);
    while at < bytes.len() {
        let Some(payload) = frame_at(bytes, at) else { break };
        apply_all(&mut state, payload).ok_or(Refusal::Damaged(at, "an entry makes no sense"))?;
        at += FRAME_HEADER + payload.len();
    }
    if at < settled || another_frame_follows(bytes, at) {
        return Err(Refusal::Damaged(at, "an entry is missing, or does not match its checksum"));
    }
    Ok((state, at))
}

/// Takes over what `save` says. `None` when the task's checkpoint is of another source.
pub(super) fn apply(state: &mut State, save: Save) -> Option<()> {
    let saved = state
        .entry(save.task)
        .or_insert_with(|| Saved { identity: save.identity.clone(), checkpoint: Checkpoint::default() });
    if saved.identity != save.identity {
        return None;
    }
    let retires = save.checkpoint.iter().any(|(_, offset)| offset.is_none());
    saved.checkpoint.merge(save.checkpoint);
    if retires {
        saved.checkpoint = std::mem::take(&mut saved.checkpoint).without_retired();
    }
    Some(())
}

fn header(bytes: &[u8]) -> Result<usize, Refusal> {
    let rest = bytes.strip_prefix(NAME).ok_or(Refusal::NoJournal)?;
    let Some(rest) = rest.strip_prefix(VERSION) else {
        let end = rest.iter().take(16).position(|byte| *byte == b'\n').ok_or(Refusal::NoJournal)?;
        return Err(Refusal::Version(String::from_utf8_lossy(&rest[..end]).into_owned()));
    };
    let (settled, mut crc) = rest
        .split_at_checked(8)
        .filter(|(_, crc)| crc.len() >= 4)
        .ok_or(Refusal::Damaged(bytes.len(), "the file ends before its time"))?;
    if crc32fast::hash(settled) != crc.get_u32_le() {
        return Err(Refusal::Damaged(
            NAME.len() + VERSION.len(),
            "the checksum of the header does not match",
        ));
    }
    let mut settled = settled;
    usize::try_from(settled.get_u64_le()).map_err(|_| Refusal::NoJournal)
}

/// The payload of a whole frame.
fn frame_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let (mut head, rest) = bytes.get(at..)?.split_at_checked(FRAME_HEADER)?;
    if crc32fast::hash(&head[..12]) != (&head[12..]).get_u32_le() {
        return None;
    }
    let (length, crc) = (head.get_u64_le(), head.get_u32_le());
    rest.get(..usize::try_from(length).ok()?).filter(|payload| crc32fast::hash(payload) == crc)
}

/// There is something after the broken frame at `at` that its append cannot have left.
fn another_frame_follows(bytes: &[u8], at: usize) -> bool {
    (at + 1..bytes.len()).any(|later| frame_at(bytes, later).is_some())
}

fn frame<'a>(bytes: &mut Vec<u8>, saves: impl Iterator<Item = (&'a TaskId, &'a str, &'a Checkpoint)>) {
    let begin = bytes.len();
    bytes.put_bytes(0, FRAME_HEADER);
    for (task, identity, checkpoint) in saves {
        put_save(bytes, task, identity, checkpoint);
    }
    let (mut head, payload) = bytes[begin..].split_at_mut(FRAME_HEADER);
    let mut fields = [0; 12];
    fields[..8].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    fields[8..].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
    head.put_slice(&fields);
    head.put_u32_le(crc32fast::hash(&fields));
}

fn put_save(bytes: &mut Vec<u8>, task: &TaskId, identity: &str, checkpoint: &Checkpoint) {
    put(bytes, task.pipeline.as_bytes());
    put(bytes, task.sink.as_bytes());
    put(bytes, identity.as_bytes());
    bytes.put_u32_le(checkpoint.len() as u32);
    for (partition, offset) in checkpoint.iter() {
        put(bytes, partition.as_str().as_bytes());
        match offset {
            None => bytes.put_u8(0),
            Some(offset) => {
                bytes.put_u8(1);
                put(bytes, offset.as_bytes());
            }
        }
    }
}

fn size(task: &TaskId, identity: &str, checkpoint: &Checkpoint) -> usize {
    let partitions: usize = checkpoint
        .iter()
        .map(|(partition, offset)| {
            4 + partition.as_str().len() + 1 + offset.map_or(0, |offset| 4 + offset.as_bytes().len())
        })
        .sum();
    4 + task.pipeline.len() + 4 + task.sink.len() + 4 + identity.len() + 4 + partitions
}

fn put(bytes: &mut Vec<u8>, text: &[u8]) {
    bytes.put_u32_le(text.len() as u32);
    bytes.put_slice(text);
}

fn apply_all(state: &mut State, mut payload: &[u8]) -> Option<()> {
    while !payload.is_empty() {
        apply(state, get_save(&mut payload)?)?;
    }
    Some(())
}

fn get_save(bytes: &mut &[u8]) -> Option<Save> {
    let task = TaskId { pipeline: get_text(bytes)?.to_owned(), sink: get_text(bytes)?.to_owned() };
    let identity = get_text(bytes)?.to_owned();
    let mut checkpoint = Checkpoint::default();
    for _ in 0..bytes.try_get_u32_le().ok()? {
        let partition = Partition::from(get_text(bytes)?);
        match bytes.try_get_u8().ok()? {
            0 => checkpoint.retire(partition),
            1 => checkpoint.set(partition, Bytes::copy_from_slice(get(bytes)?)),
            _ => return None,
        }
    }
    Some(Save { task, identity, checkpoint })
}

fn get_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(get(bytes)?).ok()
}

fn get<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = bytes.try_get_u32_le().ok()? as usize;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(text)
}
