//! Appending to a partition as its leader.

use bytes::Bytes;
use ottla_protocol::{ErrorCode, Str};

use super::Partition;
use crate::broker::data::{ProduceError, Produced, TxnEnd};
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

    /// Ends a transaction with a marker; answers its offset.
    pub fn write_txn_marker(&mut self, cx: &mut Cx<'_, S>, end: TxnEnd) -> Result<i64, ErrorCode> {
        let TxnEnd { producer_id, producer_epoch, marker, transaction_version } = end;
        if self.isr < usize::try_from(self.config.min_insync_replicas).unwrap_or(0) {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        if transaction_version >= 2 && !self.may_end(producer_id, producer_epoch) {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        self.append(cx, &marker.batch(producer_id, producer_epoch, cx.now.wall, self.leader_epoch))
    }

    /// Since KIP-890 a transaction ends with an epoch above that of its records; a repeated marker, or one of the last epoch
    /// there is, has the same.
    fn may_end(&self, producer_id: i64, producer_epoch: i16) -> bool {
        let Some(producer) = self.log.producers().producer(producer_id) else { return true };
        let is_repeated = producer.current_txn_first_offset.is_none() || producer_epoch == i16::MAX;
        producer_epoch > producer.producer_epoch || (producer_epoch == producer.producer_epoch && is_repeated)
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
