//! Records of `__remote_log_metadata`, as Apache Kafka shows their objects.

use std::collections::BTreeMap;

use crate::tree::IntoTree as _;
use bytes::Bytes;
use ottla_protocol::records::remote::remote_log_segment_metadata_record::{
    self as segment, RemoteLogSegmentMetadataRecord,
};
use ottla_protocol::records::remote::remote_log_segment_metadata_snapshot_record::RemoteLogSegmentMetadataSnapshotRecord;
use ottla_protocol::records::remote::remote_log_segment_metadata_update_record::RemoteLogSegmentMetadataUpdateRecord;
use ottla_protocol::records::remote::remote_partition_delete_metadata_record::RemotePartitionDeleteMetadataRecord;
use ottla_protocol::{Decoder, Message, Uuid};

const SEGMENT_STATES: [&str; 4] =
    ["COPY_SEGMENT_STARTED", "COPY_SEGMENT_FINISHED", "DELETE_SEGMENT_STARTED", "DELETE_SEGMENT_FINISHED"];
const DELETE_STATES: [&str; 3] =
    ["DELETE_PARTITION_MARKED", "DELETE_PARTITION_STARTED", "DELETE_PARTITION_FINISHED"];

/// The frame version before every record.
const FRAME_VERSION: u32 = 1;

/// A value: frame version, type and version as variable-length integers, then the record. The error is a sentence.
pub(super) fn shown(value: Bytes) -> Result<String, String> {
    let mut decoder = Decoder::new(value);
    let mut number = || decoder.varint().map_err(|error| error.to_string());
    let (frame, kind, version) = (number()?, number()?, number()?);
    if frame != FRAME_VERSION {
        return Err(format!("frame version {frame} is unknown"));
    }
    let version = i16::try_from(version).map_err(|_| format!("version {version} is unknown"))?;
    match kind {
        0 => segment_metadata(&read(decoder, version)?),
        1 => update(&read(decoder, version)?),
        2 => partition_delete(&read(decoder, version)?),
        3 => snapshot(&read(decoder, version)?),
        other => Err(format!("record type {other} is unknown")),
    }
}

fn read<M: Message>(mut decoder: Decoder, version: i16) -> Result<M, String> {
    let record = M::decode(&mut decoder, version).map_err(|error| error.to_string())?;
    decoder.finish().map_err(|error| error.to_string())?;
    Ok(record)
}

fn segment_metadata(record: &RemoteLogSegmentMetadataRecord) -> Result<String, String> {
    let epochs = record.segment_leader_epochs.iter().map(|entry| (entry.leader_epoch, entry.offset));
    Ok(format!(
        "RemoteLogSegmentMetadata{{remoteLogSegmentId={}, startOffset={}, endOffset={}, brokerId={}, maxTimestampMs={}, \
         eventTimestampMs={}, segmentLeaderEpochs={}, segmentSizeInBytes={}, customMetadata={}, state={}, \
         txnIdxEmpty={}}}",
        segment_id(&record.remote_log_segment_id),
        record.start_offset,
        record.end_offset,
        record.broker_id,
        record.max_timestamp_ms,
        record.event_timestamp_ms,
        leader_epochs(epochs)?,
        record.segment_size_in_bytes,
        custom(record.custom_metadata.as_ref()),
        state(&SEGMENT_STATES, record.remote_log_segment_state)?,
        record.txn_index_empty,
    ))
}

fn update(record: &RemoteLogSegmentMetadataUpdateRecord) -> Result<String, String> {
    let id = &record.remote_log_segment_id;
    let of = &id.topic_id_partition;
    Ok(format!(
        "RemoteLogSegmentMetadataUpdate{{remoteLogSegmentId=RemoteLogSegmentId{{topicIdPartition={}, id={}}}, \
         customMetadata={}, state={}, eventTimestampMs={}, brokerId={}}}",
        partition(of.id, &of.name, of.partition),
        id.id,
        custom(record.custom_metadata.as_ref()),
        state(&SEGMENT_STATES, record.remote_log_segment_state)?,
        record.event_timestamp_ms,
        record.broker_id,
    ))
}

fn partition_delete(record: &RemotePartitionDeleteMetadataRecord) -> Result<String, String> {
    let of = &record.topic_id_partition;
    Ok(format!(
        "RemotePartitionDeleteMetadata{{topicPartition={}, state={}, eventTimestampMs={}, brokerId={}}}",
        partition(of.id, &of.name, of.partition),
        state(&DELETE_STATES, record.remote_partition_delete_state)?,
        record.event_timestamp_ms,
        record.broker_id,
    ))
}

fn snapshot(record: &RemoteLogSegmentMetadataSnapshotRecord) -> Result<String, String> {
    let epochs = record.segment_leader_epochs.iter().map(|entry| (entry.leader_epoch, entry.offset));
    Ok(format!(
        "RemoteLogSegmentMetadataSnapshot{{segmentId={}, startOffset={}, endOffset={}, maxTimestampMs={}, \
         segmentLeaderEpochs={}, segmentSizeInBytes={}, customMetadata={}, state={}, txnIdxEmpty={}}}",
        record.segment_id,
        record.start_offset,
        record.end_offset,
        record.max_timestamp_ms,
        leader_epochs(epochs)?,
        record.segment_size_in_bytes,
        custom(record.custom_metadata.as_ref()),
        state(&SEGMENT_STATES, record.remote_log_segment_state)?,
        record.txn_index_empty,
    ))
}

fn segment_id(id: &segment::RemoteLogSegmentIdEntry) -> String {
    let of = &id.topic_id_partition;
    let partition = partition(of.id, &of.name, of.partition);
    format!("RemoteLogSegmentId{{topicIdPartition={partition}, id={}}}", id.id)
}

fn partition(topic_id: Uuid, topic: &str, partition: i32) -> String {
    format!("{topic_id}:{topic}-{partition}")
}

/// As Java shows a map; there is one always.
fn leader_epochs(entries: impl Iterator<Item = (i32, i64)>) -> Result<String, String> {
    let entries: BTreeMap<i32, i64> = entries.into_map();
    let shown: Vec<String> = entries.iter().map(|(epoch, offset)| format!("{epoch}={offset}")).collect();
    if shown.is_empty() {
        return Err("there are no leader epochs".to_owned());
    }
    Ok(format!("{{{}}}", shown.join(", ")))
}

fn custom(metadata: Option<&Bytes>) -> String {
    metadata.map_or_else(
        || "Optional.empty".to_owned(),
        |bytes| format!("Optional[CustomMetadata{{{} bytes}}]", bytes.len()),
    )
}

fn state(states: &[&'static str], id: i8) -> Result<&'static str, String> {
    let state = usize::try_from(id).ok().and_then(|id| states.get(id)).copied();
    state.ok_or_else(|| format!("state {id} is unknown"))
}
