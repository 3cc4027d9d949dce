//! What tests of connectors and of the host share: records, memory, faults on a script, and the contract battery.
//!
//! Reading order:
//! * [`records`]: short ways to write test records, and [`Trace`], which compares what arrived with what was sent
//! * [`memory`]: [`MemorySource`] and [`MemorySink`], with handles to look inside
//! * [`faulty`]: [`FaultySink`], any sink with a script of [`Fault`]s in front
//! * [`factory`]: any of them as a connector that a registry can hold
//! * [`contract`]: the battery that every source and sink passes, linked in or loaded
//!
//! All waiting is on tokio's clock, so a test that pauses it waits for nothing.

pub mod contract;
pub mod factory;
pub mod faulty;
pub mod memory;
pub mod records;

pub use faulty::{Effect, Fault, FaultySink};
pub use memory::{MemorySink, MemorySource, Step};
pub use records::{RecordExt, Trace, keyless, numbered, record, tombstone};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks without minding that a test panicked while it held the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
