//! Statements run without sockets: what they leave and what they show.
