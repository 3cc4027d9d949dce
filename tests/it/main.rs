//! The program as its users meet it: real processes, real sockets, counted at the destination.

mod tidy;
