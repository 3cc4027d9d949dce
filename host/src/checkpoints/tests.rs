//! The bytes after every kind of accident, and the store on real files and on a disk that fails on demand.

mod bytes;
mod store;

use weir_sdk::{Checkpoint, Partition, TaskId};

fn task(name: &str) -> TaskId {
    TaskId { pipeline: "orders".to_owned(), sink: name.to_owned() }
}

fn at(partition: &str, offset: impl Into<Vec<u8>>) -> Checkpoint {
    std::iter::once((Partition::from(partition), offset.into())).collect()
}
