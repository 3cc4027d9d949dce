//! Every type, from the bytes of an answer to JSON.
