//! Statements run without sockets: what they leave and what they show.
mod anything;
mod captured;
mod collections;
mod conditional;
mod consistency;
mod converges;
mod database;
mod describe;
mod modify;
mod paging;
mod select;

use database::Database;
