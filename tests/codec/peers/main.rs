//! The codec's proof: every message at every version, with random content, against Apache Kafka's own classes
//! and against the `kafka-protocol` crate; both ways, byte for byte.
//!
//! The Java side needs Maven (which caches what it fetches) and a JDK 17. `OTTLA_CODEC_SEED` and
//! `OTTLA_CODEC_COUNT` (messages per version) repeat or deepen a run.

#[path = "../common/mod.rs"]
mod common;
mod hex;
mod java;
mod kafka_protocol;
