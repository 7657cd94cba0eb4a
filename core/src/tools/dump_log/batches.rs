//! Batches and records, as lines.

use std::fmt::Write as _;

use bytes::Bytes;

use super::decoder::control_record;
use super::entries::Entries;
use super::{Dump, Refusal, failed, optional, unreadable_records};
use crate::log::LogStore;
use crate::record::{Batch, BatchHeader, Record, TimestampType, increment_sequence};

impl<S: LogStore> Dump<'_, S> {
    /// The batches of a `.log` or `.checkpoint` file.
    pub(super) fn batches(&mut self, path: &str) -> Result<(), Refusal> {
        let file = self.open(path)?;
        let bytes_max = u64::try_from(self.tool.bytes_max).map_err(|_| {
            let message = format!("Invalid size: {} in read from {path}", self.tool.bytes_max);
            failed("java.lang.IllegalArgumentException", message)
        })?;
        let mut entries = Entries::new(self.store, path, &file, (0, bytes_max))?;
        let mut last_offset = -1;
        while let Some((position, batch)) = entries.next(self.store)? {
            let mut text = String::new();
            let shown = self.batch(path, &batch, position, &mut last_offset, &mut text);
            // What was said before something could not be read stays said.
            self.print(text);
            shown?;
        }
        let name = path.rsplit('/').next().unwrap_or(path);
        if entries.rest() > 0 && self.tool.bytes_max == i32::MAX {
            self.line(format_args!("Found {} invalid bytes at the end of {name}", entries.rest()));
        }
        Ok(())
    }

    fn batch(
        &mut self,
        path: &str,
        batch: &Batch,
        position: u64,
        last_offset: &mut i64,
        text: &mut String,
    ) -> Result<(), Refusal> {
        let header = batch.header();
        batch_line(batch, position, text)?;
        if !self.tool.deep {
            return Ok(());
        }
        let records = batch.records(self.lent.compressors).map_err(|error| unreadable_records(&error))?;
        for record in records {
            let record = record.map_err(|error| unreadable_records(&error))?;
            if record.offset != last_offset.saturating_add(1) {
                let path = self.absolute(path);
                self.complaints.skip(&path, *last_offset, record.offset);
            }
            *last_offset = record.offset;
            self.record(header, &record, text)?;
        }
        Ok(())
    }

    fn record(&self, header: &BatchHeader, record: &Record, text: &mut String) -> Result<(), Refusal> {
        if !self.tool.skip_record_metadata {
            record_metadata(header, record, text);
        }
        if self.tool.data && !header.is_control() {
            let (key, payload) = self.tool.decoder.decode(record)?;
            let mut indent = if self.tool.skip_record_metadata { "| " } else { " " };
            if let Some(key) = key {
                let _ = write!(text, "{indent}key: {key}");
                indent = " ";
            }
            if let Some(payload) = payload {
                let _ = write!(text, "{indent}payload: {payload}");
            }
        }
        text.push('\n');
        Ok(())
    }
}

fn batch_line(batch: &Batch, position: u64, text: &mut String) -> Result<(), Refusal> {
    let header = batch.header();
    let _ = write!(
        text,
        "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} producerId: {} producerEpoch: {} \
         partitionLeaderEpoch: {} isTransactional: {} isControl: {} deleteHorizonMs: {}",
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
        optional(header.delete_horizon_ms()),
    );
    let Some(codec) = header.compression() else {
        let message = format!("Unknown compression type id: {}", header.attributes.0 & 7);
        return Err(failed("java.lang.IllegalArgumentException", message));
    };
    let _ = writeln!(
        text,
        " position: {position} {}: {} size: {} magic: {} compresscodec: {} crc: {} isvalid: {}",
        timestamp_type(header),
        header.max_timestamp,
        header.size_in_bytes(),
        header.magic,
        codec.name(),
        header.crc,
        batch.check_crc().is_ok(),
    );
    Ok(())
}

fn record_metadata(header: &BatchHeader, record: &Record, text: &mut String) {
    let size = |bytes: &Option<Bytes>| bytes.as_ref().map_or(-1, |bytes| bytes.len() as i64);
    let relative = i32::try_from(record.offset.saturating_sub(header.base_offset)).unwrap_or(0);
    let sequence =
        if header.base_sequence < 0 { -1 } else { increment_sequence(header.base_sequence, relative) };
    let keys: Vec<_> = record.headers.iter().map(|header| header.key_text()).collect();
    let _ = write!(
        text,
        "| offset: {} {}: {} keySize: {} valueSize: {} sequence: {sequence} headerKeys: [{}]",
        record.offset,
        timestamp_type(header),
        record.timestamp,
        size(&record.key),
        size(&record.value),
        keys.join(","),
    );
    if header.is_control() {
        text.push_str(&control_record(record));
    }
}

fn timestamp_type(header: &BatchHeader) -> &'static str {
    match header.timestamp_type() {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    }
}
