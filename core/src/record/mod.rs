//! Record batches: Kafka's message format v2 (KIP-98) in place, and the legacy message sets v0 and v1.
//!
//! A log, a produce request and a fetch response all carry the same thing: a run of batches, each an 8-byte base
//! offset, a 4-byte length and that many bytes. All numbers are big-endian; inside a batch the records are counted
//! with zig-zag varints.
//!
//! ```text
//!  0  base_offset             i64   ┐ log overhead: rewritten by the leader,
//!  8  batch_length            i32   ┘ bytes that follow this field
//! 12  partition_leader_epoch  i32     rewritten by the leader
//! 16  magic                   i8      2 (0 and 1: `legacy`; the magic is at byte 16 there too)
//! 17  crc                     u32     CRC-32C of everything from byte 21 to the end
//! 21  attributes              i16     bits 0–2 compression, 3 timestamp type, 4 transactional, 5 control,
//!                                     6 base_timestamp is a delete horizon (KIP-534)
//! 23  last_offset_delta       i32
//! 27  base_timestamp          i64   ms
//! 35  max_timestamp           i64   ms
//! 43  producer_id             i64     -1: none
//! 51  producer_epoch          i16     -1: none
//! 53  base_sequence           i32     -1: none
//! 57  records_count           i32
//! 61  records                 …       compressed as one block unless the attributes say none
//!
//! record: length, attributes i8, timestamp delta, offset delta, key, value, headers count, (key, value)…
//! ```
//!
//! The bytes in this module come from sockets and disks, so nothing here panics on them: indexing and unchecked
//! arithmetic are lints, every length is checked against what remains before it is believed, and decompression is
//! streamed under a bound.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]

mod batch;
mod builder;
pub mod compression;
mod control;
mod entries;
mod filter;
mod header;
pub mod legacy;
mod records;
mod stamp;
#[cfg(test)]
mod tests;
mod validate;
mod varint;

pub use batch::{Batch, BatchError, BatchView, BatchViews, Batches, batch_views, batches};
pub use builder::{BatchBuilder, BatchOptions, HeaderRef, estimate_size_upper_bound};
pub use compression::{Compression, CompressionType, Compressors};
pub use control::{ControlRecordType, EndTxnMarker};
pub use entries::{CorruptEntry, Entries, Entry, entries};
pub use filter::{DeleteHorizon, FilteredBatch};
pub use header::{
    Attributes, BATCH_HEADER_SIZE, BatchHeader, LOG_OVERHEAD, MAGIC_OFFSET, MAGIC_V0, MAGIC_V1, MAGIC_V2,
    NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP, TimestampType,
    decrement_sequence, increment_sequence,
};
pub use records::{Header, Record, RecordError, RecordView, RecordViews, Records, record_views};
pub use validate::{
    AppendOrigin, BatchRules, REJECTED_RECORDS_MAX, RejectedRecord, RejectionReason, ValidatedBatch,
    ValidationError, validate,
};
