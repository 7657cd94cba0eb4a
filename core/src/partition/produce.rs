//! Appending to a partition as its leader.

use bytes::Bytes;
use ottla_protocol::{ErrorCode, Str};

use super::Partition;
use crate::broker::data::{ProduceError, Produced};
use crate::log::{AppendOrigin as LogOrigin, LogError, LogStore};
use crate::machine::Cx;
use crate::record::{AppendOrigin, ValidatedBatch, ValidationError, validate};
use crate::trace::TraceEvent;

impl<S: LogStore> Partition<S> {
    /// Appends a client's batch. A batch that is there already answers as it did the first time.
    pub fn produce(
        &mut self,
        cx: &mut Cx<'_, S>,
        produce_version: i16,
        acks: i16,
        records: &Bytes,
    ) -> Result<Produced, ProduceError> {
        self.serving().map_err(ProduceError::of)?;
        if acks == -1 && i64::try_from(self.isr).unwrap_or(0) < i64::from(self.config.min_insync_replicas) {
            return Err(ProduceError::of(ErrorCode::NotEnoughReplicas));
        }
        let origin = AppendOrigin::Client { produce_version };
        let batch = validate(records, origin, &self.rules, cx.now.wall, cx.compressors)
            .map_err(|error| self.refused(&error))?;
        let info = self.append_validated(cx, LogOrigin::Client, &batch).map_err(|error| {
            let code = self.log_error(&error);
            // An old sequence that is no longer remembered was appended once.
            ProduceError { log_start_offset: self.log.log_start_offset(), ..ProduceError::of(code) }
        })?;
        Ok(Produced {
            base_offset: info.first_offset,
            log_append_time: info.log_append_time,
            log_start_offset: info.log_start_offset,
        })
    }

    /// Appends a batch of the node itself (a coordinator's records); answers its base offset.
    pub fn append(&mut self, cx: &mut Cx<'_, S>, records: &Bytes) -> Result<i64, ErrorCode> {
        self.serving()?;
        let batch = validate(records, AppendOrigin::Coordinator, &self.rules, cx.now.wall, cx.compressors)
            .map_err(|error| error.error_code())?;
        let info = self.append_validated(cx, LogOrigin::Coordinator, &batch);
        info.map(|info| info.first_offset).map_err(|error| self.log_error(&error))
    }

    fn append_validated(
        &mut self,
        cx: &mut Cx<'_, S>,
        origin: LogOrigin,
        batch: &ValidatedBatch,
    ) -> Result<crate::log::LogAppendInfo, LogError> {
        let info = self.log.append_as_leader(cx.store, cx.now, self.leader_epoch, origin, &[batch.into()])?;
        if info.is_duplicate {
            return Ok(info);
        }
        let partition = &self.name;
        if info.has_rolled {
            let base_offset = info.first_offset;
            cx.traces.emit(|| TraceEvent::SegmentRolled { partition: partition.clone(), base_offset });
        }
        cx.traces.emit(|| TraceEvent::RecordsAppended {
            partition: partition.clone(),
            base_offset: info.first_offset,
            last_offset: info.last_offset,
            bytes: batch.size_in_bytes(),
        });
        self.advance_high_watermark(cx);
        Ok(info)
    }

    fn refused(&self, error: &ValidationError) -> ProduceError {
        let records = error.rejected_records();
        ProduceError {
            code: error.error_code(),
            message: Some(Str::from(error.to_string())),
            records: records
                .iter()
                .map(|record| (record.batch_index, Some(Str::from(record.reason.to_string()))))
                .collect(),
            log_start_offset: -1,
        }
    }
}
