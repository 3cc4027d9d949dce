//! The program as its users meet it: real processes, real sockets, counted at the destination.
#![allow(clippy::disallowed_methods, reason = "these tests watch other processes, in real time")]

mod checkpoint;
mod generator;
mod harness;
mod outbox;
mod tidy;
mod validate;
