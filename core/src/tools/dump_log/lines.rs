//! A segment's batches and records, as lines.

use std::fmt::Write as _;

use bytes::Bytes;

use super::DumpLog;
use super::decoder::control_record;
use crate::record::{Batch, Compressors, Record, TimestampType, increment_sequence};

/// The lines of a segment, those of one batch at a time.
pub struct Batches<'a> {
    tool: &'a DumpLog,
    path: &'a str,
    bytes: &'a Bytes,
    position: usize,
    compressors: &'a Compressors,
}

impl<'a> Batches<'a> {
    /// From the beginning of the file.
    pub fn new(tool: &'a DumpLog, path: &'a str, bytes: &'a Bytes, compressors: &'a Compressors) -> Self {
        Self { tool, path, bytes, position: 0, compressors }
    }
}

impl Iterator for Batches<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        if self.position >= self.bytes.len() || self.position >= self.tool.bytes_max {
            return None;
        }
        let rest = self.bytes.slice(self.position..);
        match Batch::read(&rest) {
            Ok(batch) => {
                let text = batch_lines(self.tool, &batch, self.position, self.compressors);
                self.position += batch.header().size_in_bytes();
                Some(text)
            }
            Err(_) => {
                self.position = self.bytes.len();
                // Zeros at the end are room that was set aside.
                Some(format!("Found {} invalid bytes at the end of {}\n", rest.len(), self.path))
            }
        }
    }
}

fn batch_lines(tool: &DumpLog, batch: &Batch, position: usize, compressors: &Compressors) -> String {
    let header = batch.header();
    let kind = match header.timestamp_type() {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    };
    let valid = batch.check_crc().is_ok();
    let horizon = match header.delete_horizon_ms() {
        Some(at) => format!("OptionalLong[{at}]"),
        None => "OptionalLong.empty".to_owned(),
    };
    let codec = header.compression().map_or("unknown", |codec| codec.name());
    let mut text = format!(
        "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} producerId: {} producerEpoch: {} \
         partitionLeaderEpoch: {} isTransactional: {} isControl: {} deleteHorizonMs: {horizon} position: {position} \
         {kind}: {} size: {} magic: 2 compresscodec: {codec} crc: {} isvalid: {valid}\n",
        header.base_offset,
        header.last_offset(),
        header.records_count,
        header.base_sequence,
        header.last_sequence(),
        header.producer_id,
        header.producer_epoch,
        header.partition_leader_epoch,
        header.is_transactional(),
        header.is_control(),
        header.max_timestamp,
        header.size_in_bytes(),
        header.crc,
    );
    if !tool.deep {
        return text;
    }
    let Ok(records) = batch.records(compressors) else {
        text.push_str("| the records cannot be read\n");
        return text;
    };
    for (at, record) in (0..).zip(records) {
        let Ok(record) = record else {
            text.push_str("| the record cannot be read\n");
            break;
        };
        let sequence =
            if header.base_sequence < 0 { -1 } else { increment_sequence(header.base_sequence, at) };
        record_line(tool, &record, (kind, sequence, header.is_control()), &mut text);
    }
    text
}

fn record_line(
    tool: &DumpLog,
    record: &Record,
    (kind, sequence, control): (&str, i32, bool),
    text: &mut String,
) {
    if tool.skip_record_metadata && control {
        return;
    }
    if !tool.skip_record_metadata {
        let size = |bytes: &Option<Bytes>| bytes.as_ref().map_or(-1, |bytes| bytes.len() as i64);
        let keys: Vec<_> = record.headers.iter().map(|header| header.key_text()).collect();
        let _ = write!(
            text,
            "| offset: {} {kind}: {} keySize: {} valueSize: {} sequence: {sequence} headerKeys: [{}]",
            record.offset,
            record.timestamp,
            size(&record.key),
            size(&record.value),
            keys.join(","),
        );
    }
    if control {
        text.push_str(&control_record(record));
    } else if tool.data {
        let (key, payload) = tool.decoder.decode(record);
        if tool.skip_record_metadata && (key.is_some() || payload.is_some()) {
            text.push('|');
        }
        if let Some(key) = key {
            let _ = write!(text, " key: {key}");
        }
        if let Some(payload) = payload {
            let _ = write!(text, " payload: {payload}");
        }
    }
    text.push('\n');
}
