//! What preparing tells a client, and what it refuses.
