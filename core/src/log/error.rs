//! Why a log refused.

use std::fmt;

use super::store::StoreError;

/// Errors of a log's operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogError {
    /// Storage failed. The state in memory no longer vouches for the files: the directory goes offline
    /// (KAFKA_STORAGE_ERROR).
    Store(StoreError),
    /// Storage failed half-way: the state in memory no longer vouches for this log's files, whatever becomes of the directory
    /// (KAFKA_STORAGE_ERROR).
    HalfDone(StoreError),
    /// A file does not hold what its format promises, below the recovery point (KAFKA_STORAGE_ERROR).
    Corrupt {
        /// Which file.
        path: String,
        /// Where in it, in bytes.
        position: u64,
        /// What is wrong.
        reason: String,
    },
    /// OFFSET_OUT_OF_RANGE.
    OffsetOutOfRange {
        /// The offset asked for.
        offset: i64,
        /// The first that there is.
        log_start_offset: i64,
        /// The bound that was exceeded.
        upper_bound: i64,
    },
    /// The bytes are no batches, or batches that no append may have (CORRUPT_MESSAGE).
    InvalidRecords(String),
    /// The batches are larger than a segment (RECORD_LIST_TOO_LARGE).
    LargerThanSegment {
        /// Bytes to append.
        size: u64,
        /// `segment.bytes`.
        segment_bytes: u64,
    },
    /// A replicated batch does not follow the log's end: a hole is allowed, going back is not (UNKNOWN_SERVER_ERROR; a
    /// follower truncates and fetches again).
    UnexpectedOffset {
        /// The batch's first offset.
        first_offset: i64,
        /// What the log expects at least.
        log_end_offset: i64,
    },
    /// OUT_OF_ORDER_SEQUENCE_NUMBER.
    OutOfOrderSequence {
        /// Whose.
        producer_id: i64,
        /// The batch's first sequence.
        first_sequence: i32,
        /// The last sequence in the log; −1 where there is none.
        last_sequence: i32,
    },
    /// INVALID_PRODUCER_EPOCH.
    InvalidProducerEpoch {
        /// Whose.
        producer_id: i64,
        /// The batch's epoch.
        epoch: i16,
        /// The newest epoch in the log.
        current_epoch: i16,
    },
    /// A marker of a coordinator that has been replaced (TRANSACTION_COORDINATOR_FENCED).
    TransactionCoordinatorFenced {
        /// Whose transaction.
        producer_id: i64,
        /// The marker's coordinator epoch.
        coordinator_epoch: i32,
        /// The newest one in the log.
        current_epoch: i32,
    },
    /// A plain batch while the producer has a transaction open (INVALID_TXN_STATE).
    InvalidTxnState {
        /// Whose.
        producer_id: i64,
    },
}

impl LogError {
    /// Completes the path of a file that was named within its directory.
    pub(super) fn in_dir(self, dir: &str) -> Self {
        match self {
            Self::Corrupt { path, position, reason } if !path.contains('/') => {
                Self::Corrupt { path: format!("{dir}/{path}"), position, reason }
            }
            other => other,
        }
    }
}

impl From<StoreError> for LogError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "storage: {error}"),
            Self::HalfDone(error) => write!(f, "half done: {error}"),
            Self::Corrupt { path, position, reason } => write!(f, "{path} at byte {position}: {reason}"),
            Self::OffsetOutOfRange { offset, log_start_offset, upper_bound } => {
                write!(f, "offset {offset} is outside {log_start_offset}..={upper_bound}")
            }
            Self::InvalidRecords(reason) => f.write_str(reason),
            Self::LargerThanSegment { size, segment_bytes } => {
                write!(f, "{size} bytes do not fit a segment of {segment_bytes}")
            }
            Self::UnexpectedOffset { first_offset, log_end_offset } => {
                write!(f, "offset {first_offset} cannot follow a log that ends at {log_end_offset}")
            }
            Self::OutOfOrderSequence { producer_id, first_sequence, last_sequence } => {
                write!(f, "producer {producer_id}: sequence {first_sequence} does not follow {last_sequence}")
            }
            Self::InvalidProducerEpoch { producer_id, epoch, current_epoch } => {
                write!(f, "producer {producer_id}: epoch {epoch} is older than {current_epoch}")
            }
            Self::TransactionCoordinatorFenced { producer_id, coordinator_epoch, current_epoch } => write!(
                f,
                "producer {producer_id}: coordinator epoch {coordinator_epoch} is older than {current_epoch}"
            ),
            Self::InvalidTxnState { producer_id } => {
                write!(f, "producer {producer_id}: a batch outside the transaction that is open")
            }
        }
    }
}

impl std::error::Error for LogError {}
