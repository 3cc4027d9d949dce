//! The program as its users meet it: real processes, real sockets, counted at the destination.
#![allow(clippy::disallowed_methods, reason = "these tests watch other processes, in real time")]

mod checkpoint;
mod dev;
mod generator;
mod harness;
mod late;
mod outbox;
mod outside;
mod tidy;
mod validate;
