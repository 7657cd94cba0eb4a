//! Apache Kafka's cleaner and ours: what they leave of the same segments, and how they end what was interrupted, must be the same,
//! offset by offset and byte by byte.

mod left;
mod logs;
mod swap;
