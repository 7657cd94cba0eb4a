//! Why a produced batch is refused, and what the Produce response says of it.

use std::fmt;

use ottla_protocol::ErrorCode;

use crate::record::batch::BatchError;
use crate::record::compression::DecompressError;
use crate::record::entries::CorruptEntry;
use crate::record::records::RecordError;

/// The most rejected records that are listed; one is enough to refuse the batch.
pub const REJECTED_RECORDS_MAX: usize = 1_000;

/// Why a produced batch is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValidationError {
    /// There is no whole batch.
    NoBatch,
    MoreThanOneBatch,
    /// The format does not go with the version of the request.
    UnexpectedMagic {
        magic: i8,
        produce_version: i16,
    },
    /// Length or checksum are wrong.
    Corrupt,
    TooLarge {
        size_in_bytes: usize,
        batch_bytes_max: usize,
    },
    /// A codec that this version of the request may not carry.
    UnsupportedCompression,
    /// The attributes name no codec.
    UnknownCompression,
    /// A client's offsets begin at 0.
    BaseOffset {
        base_offset: i64,
    },
    /// Count and last offset delta disagree, or there are no records.
    Count {
        records_count: i32,
        last_offset_delta: i32,
    },
    /// Offset deltas are 0, 1, 2 … (Kafka lets gaps pass in uncompressed batches, and fails on them in others.)
    OffsetDelta {
        batch_index: i32,
        offset_delta: i32,
    },
    ControlBatch,
    /// A producer id without a sequence.
    Sequence {
        base_sequence: i32,
    },
    /// The records are not what the header says.
    Records(RecordError),
    /// Well-formed records that the topic's configuration refuses; at most [`REJECTED_RECORDS_MAX`].
    Rejected(Vec<RejectedRecord>),
}

/// A record that is refused, for `record_errors` of the Produce response (KIP-467).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    /// The index of the record in the batch.
    pub batch_index: i32,
    pub reason: RejectionReason,
}

impl RejectedRecord {
    fn is_about_timestamp(&self) -> bool {
        !matches!(self.reason, RejectionReason::NoKey)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectionReason {
    /// A compacted topic needs keys.
    NoKey,
    /// ms; not within `[earliest, latest]`.
    TimestampOutOfRange { timestamp: i64, earliest: i64, latest: i64 },
    /// LogAppendTime is the broker's to set. ms, and the sizes that tell the record.
    TimestampType { timestamp: i64, key_bytes: usize, value_bytes: usize },
}

impl RejectedRecord {
    /// In Kafka's words: producers show them. `partition` is `topic-index`.
    pub fn sentence(&self, partition: &dyn fmt::Display) -> String {
        let index = self.batch_index;
        match self.reason {
            RejectionReason::NoKey => {
                format!("Compacted topic cannot accept message without key in topic partition {partition}")
            }
            RejectionReason::TimestampOutOfRange { timestamp, earliest, latest } => format!(
                "Timestamp {timestamp} of message with offset {index} is out of range. \
                 The timestamp should be within [{earliest}, {latest}]"
            ),
            RejectionReason::TimestampType { timestamp, key_bytes, value_bytes } => format!(
                "Invalid timestamp type in message DefaultRecord(offset={index}, timestamp={timestamp}, \
                 key={key_bytes} bytes, value={value_bytes} bytes). \
                 Producer should not set timestamp type to LogAppendTime."
            ),
        }
    }
}

impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBatch => f.write_str("there is no whole record batch"),
            Self::MoreThanOneBatch => f.write_str("there is more than one record batch"),
            Self::UnexpectedMagic { magic, produce_version } => {
                write!(f, "magic {magic} does not go with Produce version {produce_version}")
            }
            Self::Corrupt => f.write_str("the record batch is corrupt"),
            Self::TooLarge { size_in_bytes, batch_bytes_max } => {
                write!(
                    f,
                    "the record batch has {size_in_bytes} bytes, max.message.bytes is {batch_bytes_max}"
                )
            }
            Self::UnsupportedCompression => {
                f.write_str("the compression type is not supported by this version")
            }
            Self::UnknownCompression => f.write_str("there is no such compression type"),
            Self::BaseOffset { base_offset } => write!(f, "the base offset is {base_offset} and should be 0"),
            Self::Count { records_count, last_offset_delta } => {
                write!(f, "the batch declares {records_count} records up to offset delta {last_offset_delta}")
            }
            Self::OffsetDelta { batch_index, offset_delta } => {
                write!(f, "record {batch_index} has offset delta {offset_delta}")
            }
            Self::ControlBatch => f.write_str("clients may not write control records"),
            Self::Sequence { base_sequence } => write!(f, "sequence {base_sequence} with a producer id"),
            Self::Records(error) => error.fmt(f),
            Self::Rejected(records) => write!(f, "{} records were rejected", records.len()),
        }
    }
}

impl std::error::Error for ValidationError {}

impl From<BatchError> for ValidationError {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Incomplete { .. } => Self::NoBatch,
            _ => Self::Corrupt,
        }
    }
}

impl From<CorruptEntry> for ValidationError {
    fn from(_: CorruptEntry) -> Self {
        Self::Corrupt
    }
}

impl ValidationError {
    /// What the Produce response says.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::Corrupt => ErrorCode::CorruptMessage,
            Self::TooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::UnsupportedCompression => ErrorCode::UnsupportedCompressionType,
            // Kafka falls over these.
            Self::UnknownCompression | Self::Records(RecordError::Decompress(_)) => {
                ErrorCode::UnknownServerError
            }
            Self::Rejected(records) if records.iter().any(RejectedRecord::is_about_timestamp) => {
                ErrorCode::InvalidTimestamp
            }
            Self::NoBatch
            | Self::MoreThanOneBatch
            | Self::UnexpectedMagic { .. }
            | Self::BaseOffset { .. }
            | Self::Count { .. }
            | Self::OffsetDelta { .. }
            | Self::ControlBatch
            | Self::Sequence { .. }
            | Self::Records(_)
            | Self::Rejected(_) => ErrorCode::InvalidRecord,
        }
    }

    /// What goes into `record_errors` of the Produce response; empty unless single records are to blame.
    pub fn rejected_records(&self) -> &[RejectedRecord] {
        match self {
            Self::Rejected(records) => records,
            _ => &[],
        }
    }

    pub(in crate::record) fn of_records(error: RecordError, batch_bytes_max: usize) -> Self {
        match error {
            RecordError::Decompress(DecompressError::TooLarge { bytes_max }) => {
                Self::TooLarge { size_in_bytes: bytes_max, batch_bytes_max }
            }
            RecordError::UnknownCompression { .. } => Self::UnknownCompression,
            RecordError::Decompress(DecompressError::Corrupt)
            | RecordError::Malformed { .. }
            | RecordError::CountMismatch { .. } => Self::Records(error),
        }
    }
}
