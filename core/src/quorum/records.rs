//! Metadata records as they stand in batches of the log.

use ottla_protocol::Bytes;
use ottla_protocol::records::MetadataRecord;

use super::METADATA_DIR;
use super::open::OpenError;
use crate::metadata::{MetadataState, record};
use crate::record::{Compressors, batches};

/// What whole batches say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decoded {
    /// Metadata records with their offsets; control records are left out.
    pub records: Vec<(i64, MetadataRecord)>,
    /// What follows the last batch.
    pub next_offset: i64,
    /// Of the last batch, ms.
    pub timestamp: i64,
}

/// Reads the records of whole batches from `offset` on. The error says where and what.
pub(crate) fn decode(bytes: &Bytes, compressors: &Compressors, offset: i64) -> Result<Decoded, OpenError> {
    let mut decoded = Decoded { next_offset: offset, ..Decoded::default() };
    for batch in batches(bytes) {
        let at = decoded.next_offset;
        let broken = |reason: String| bad(at, &reason);
        let batch = batch.map_err(|error| broken(error.to_string()))?;
        decoded.next_offset = batch.header().next_offset();
        decoded.timestamp = batch.header().max_timestamp;
        if batch.header().is_control() {
            continue;
        }
        for record in batch.records(compressors).map_err(|error| broken(error.to_string()))? {
            let record = record.map_err(|error| broken(error.to_string()))?;
            if record.offset >= offset {
                let value = record.value.unwrap_or_default();
                let (metadata, _) =
                    MetadataRecord::decode(value).map_err(|error| bad(record.offset, &error.to_string()))?;
                decoded.records.push((record.offset, metadata));
            }
        }
    }
    Ok(decoded)
}

/// Replays them; the records without their offsets.
pub(crate) fn replay(decoded: Decoded, state: &mut MetadataState) -> Result<Vec<MetadataRecord>, OpenError> {
    let mut records = Vec::with_capacity(decoded.records.len());
    for (offset, one) in decoded.records {
        let refused = |error| bad(offset, &format!("{}: {error}", record::name(&one)));
        state.replay(&one).map_err(refused)?;
        records.push(one);
    }
    Ok(records)
}

fn bad(offset: i64, reason: &str) -> OpenError {
    OpenError::BadRecord(format!("{METADATA_DIR} at offset {offset}: {reason}"))
}
