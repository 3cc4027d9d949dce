//! The writing side: append events and outbox rows to ScyllaDB without losing or doubling one.
//!
//! An application decides, from the events of an aggregate, which events come next, and appends them. Two things must
//! then be true at once: the event is in the event store, and it is in the outbox, from where Weir carries it on. And
//! when two processes decide at the same time on the same aggregate, one of them must be told to look again.
//!
//! ScyllaDB has a conditional update (LWT) for one partition, and a logged batch over many, but no conditional batch
//! over several tables. So an append takes **two steps**:
//!
//! 1. **claim** ([`EventStore::claim`]): one LWT on the aggregate's row in `aggregate_sequence`, `IF` nothing has
//!    happened since it was read. It moves `current_sequence` on, and stores the events themselves as `pending` and
//!    the time they are to be written at, `claim_ts`.
//! 2. **publish** ([`EventStore::publish`]): one logged batch writes the rows of `event_store` and `outbox_messages`,
//!    event i `USING TIMESTAMP claim_ts + i`.
//!
//! [`EventStore::append`] is the two in a row. [`EventStore::load`] reads the events in order, and finishes an append
//! that stopped half-way before it answers. [`CommandHandler`] is the loop around them: load, decide, append, and
//! again when somebody else was faster.
//!
//! Around it: snapshots of long histories ([`CommandHandler::with_snapshots`]), payloads of older forms
//! ([`Upcasters`]), an aggregate as it was ([`CommandHandler::replay`]), commands that may come twice
//! ([`CommandHandler::execute_once`]), all events in a row, for a rebuild ([`EventStore::scan`]),
//! processes over several aggregates ([`Saga`]), and finishing what killed writers left behind
//! ([`EventStore::finish_abandoned`]).
//!
//! # Why no event is lost, doubled or out of order
//!
//! *A claim is the decision.* Once the LWT is decided, the events are part of the aggregate for good: their content,
//! ids and sequence numbers stand in `pending`, and whoever comes next must publish them. Before, nothing happened.
//!
//! *`pending` is overwritten only when its events are durable.* A claim needs a [`Head`], and a `Head` comes only from
//! a load that saw every event up to it by a quorum read, or from a publish that was acknowledged. The batch is
//! logged: when one of its rows can be seen, its batchlog entry was written first, so the others follow.
//!
//! *Two claims of one sequence number are impossible.* The condition is `current_sequence = n AND claim_ts = t`, and
//! every claim raises both. The loser reads the row and gets [`Error::Conflict`].
//!
//! *Write times rise strictly per aggregate, whatever the writers' clocks say.* A claim of k events takes the times
//! `claim_ts … claim_ts + k − 1`; the next one takes `max(now, claim_ts + k)`. The condition on `claim_ts` makes sure
//! that it was computed from the row that it replaces, also when only a recovery came in between, which does not
//! move `current_sequence`.
//!
//! *A crash between the steps blocks nobody.* A loader that finds `current_sequence` ahead of the events gives their
//! writer a moment ([`Options::recover_after`], counted from `claim_ts`), then takes the claim over: an LWT gives the
//! same pending events a fresh, higher `claim_ts`, and the loader publishes them. The time must be fresh, because a
//! reader of the CDC log does not look back for ever: rows written into the distant past would be in the store, but
//! never reach a topic. For the same reason [`EventStore::publish`] does not use a claim older than
//! [`Options::renew_after`] but goes through that same recovery.
//!
//! *Two that recover at once*: the take-over is conditional on the old `claim_ts`, so one of them wins; the other finds
//! a claim that is new again, and waits for it.
//!
//! *The original writer was only slow*: its late batch writes the same events with an older time. The newer cells win
//! in both tables, and they have the same content, so nothing changes; the CDC log gets the `event_id` a second time.
//! That is the one visible trace, and consumers of an at-least-once stream drop repeats by `event_id`.
//!
//! *A batch that timed out* may or may not have been applied. It is sent again with the same times, which changes
//! nothing where it was applied. When it keeps failing, the answer is [`Error::Unpublished`]: the events are part of
//! the aggregate, and the next load publishes them.
//!
//! *An LWT that timed out* may or may not have been decided. The row is read back at SERIAL consistency, which
//! completes or fences off what was still under way, and the events in `pending` tell by their ids whether the claim
//! was ours; when others have moved on since, the event at our first sequence number tells. The same look makes a
//! repeated append with the same event ids harmless. When the row cannot be read either: [`Error::Busy`].
//!
//! # What this asks of its surroundings
//!
//! * All writers of one aggregate use the same [`Scope`]; `Scope::Local` only when they are in one data centre.
//! * Nothing else writes `aggregate_sequence`, and its rows have no TTL.
//! * Clocks: ScyllaDB refuses writes to a CDC table from more than 5 s in the future, and a CDC reader finds only rows
//!   written within its safety window (120 s by default). A writer whose clock is wrong by more than that needs a
//!   better clock. Any smaller error costs nothing here.
//! * A process that is stopped after [`EventStore::publish`] looked at the clock and before the batch leaves, for
//!   longer than the reader's safety window, and that nobody recovered meanwhile, writes into the past. Milliseconds
//!   of code against minutes of standstill; the outbox row itself stays readable for its TTL.
#![forbid(unsafe_code)]

mod abandoned;
mod aggregate;
mod claim;
mod clock;
mod command;
mod envelope;
mod error;
mod head;
mod load;
mod options;
mod publish;
mod replay;
mod saga;
mod scan;
pub mod schema;
mod snapshot;
mod statements;
mod store;
mod trace;
mod upcast;

pub use aggregate::{Aggregate, Context, DomainEvent};
pub use claim::Claim;
pub use clock::Clock;
pub use command::{Cause, CommandError, CommandHandler, Decision, Executed, Loaded, Retries};
pub use envelope::{EventEnvelope, NewEvent};
pub use error::Error;
pub use head::Head;
pub use load::History;
pub use options::{Options, Scope};
pub use publish::Appended;
pub use replay::Until;
pub use saga::{CarryOut, Saga, SagaRunner};
pub use scan::{Page, Scan};
pub use snapshot::Snapshot;
pub use store::EventStore;
pub use trace::{NotATraceparent, Traceparent};
pub use upcast::Upcasters;
