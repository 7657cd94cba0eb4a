//! Appending to a partition as its leader.

use bytes::Bytes;
use ottla_protocol::{ErrorCode, Str};

use super::Partition;
use crate::broker::data::{ProduceError, Produced, TxnEnd};
use crate::log::{AppendOrigin as LogOrigin, LogError, LogStore};
use crate::machine::Cx;
use crate::metrics::count;
use crate::record::{AppendOrigin, ValidatedBatch, ValidationError, validate};

/// Rejected records that the sentence about their batch names.
const SHOWN_RECORDS_MAX: usize = 3;

impl<S: LogStore> Partition<S> {
    /// Appends a client's batch. A batch that is there already answers as it did the first time.
    pub fn produce(
        &mut self,
        cx: &mut Cx<'_, S>,
        produce_version: i16,
        acks: i16,
        records: &Bytes,
    ) -> Result<Produced, ProduceError> {
        count(&mut self.meters.produce_requests, 1);
        let produced = self.try_produce(cx, produce_version, acks, records);
        count(&mut self.meters.failed_produce_requests, u64::from(produced.is_err()));
        produced
    }

    fn try_produce(
        &mut self,
        cx: &mut Cx<'_, S>,
        produce_version: i16,
        acks: i16,
        records: &Bytes,
    ) -> Result<Produced, ProduceError> {
        self.leading().and_then(|()| self.writable()).map_err(ProduceError::of)?;
        if acks == -1 && self.has_too_few_in_sync() {
            return Err(self.refused(ErrorCode::NotEnoughReplicas));
        }
        let origin = AppendOrigin::Client { produce_version };
        let batch = validate(records, origin, &self.rules, cx.now.wall, cx.compressors)
            .map_err(|error| self.invalid(&error))?;
        let info = self.append_validated(cx, LogOrigin::Client, &batch).map_err(|error| {
            let code = self.log_error(cx, &error);
            self.refused(code)
        })?;
        Ok(Produced {
            base_offset: info.first_offset,
            log_append_time: info.log_append_time,
            log_start_offset: info.log_start_offset,
        })
    }

    /// Appends a batch of the node itself (a coordinator's records), as with acks=all; answers its base offset.
    pub fn append(&mut self, cx: &mut Cx<'_, S>, records: &Bytes) -> Result<i64, ErrorCode> {
        self.leading().and_then(|()| self.writable())?;
        if self.has_too_few_in_sync() {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        let batch = validate(records, AppendOrigin::Coordinator, &self.rules, cx.now.wall, cx.compressors)
            .map_err(|error| error.error_code())?;
        let info = self.append_validated(cx, LogOrigin::Coordinator, &batch);
        info.map(|info| info.first_offset).map_err(|error| self.log_error(cx, &error))
    }

    /// Ends a transaction with a marker; answers its offset.
    pub fn write_txn_marker(&mut self, cx: &mut Cx<'_, S>, end: TxnEnd) -> Result<i64, ErrorCode> {
        let TxnEnd { producer_id, producer_epoch, marker, transaction_version } = end;
        self.leading()?;
        if self.has_too_few_in_sync() {
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
        let records = info.last_offset.saturating_sub(info.first_offset).saturating_add(1);
        count(&mut self.meters.messages_in, u64::try_from(records).unwrap_or(0));
        count(&mut self.meters.bytes_in, batch.size_in_bytes() as u64);
        self.trace_append(cx, &info, batch.size_in_bytes() as u64);
        self.commit(cx);
        Ok(info)
    }

    /// A refusal, with the log's start where Kafka tells it: not of a batch or a log that cannot be read.
    fn refused(&self, code: ErrorCode) -> ProduceError {
        let tells_start = !matches!(
            code,
            ErrorCode::MessageTooLarge
                | ErrorCode::RecordListTooLarge
                | ErrorCode::CorruptMessage
                | ErrorCode::KafkaStorageError
        );
        let log_start_offset = if tells_start { self.log.log_start_offset() } else { -1 };
        ProduceError { log_start_offset, ..ProduceError::of(code) }
    }

    fn invalid(&self, error: &ValidationError) -> ProduceError {
        let refused = self.refused(error.error_code());
        let records: Vec<(i32, Option<Str>)> = error
            .rejected_records()
            .iter()
            .map(|record| (record.batch_index, Some(Str::from(record.sentence(&self.name)))))
            .collect();
        // Only rejected records are explained.
        let message = (!records.is_empty()).then(|| rejection(refused.code, &records));
        ProduceError { message, records, ..refused }
    }
}

/// What Kafka says of a batch with rejected records.
fn rejection(code: ErrorCode, records: &[(i32, Option<Str>)]) -> Str {
    if code == ErrorCode::InvalidTimestamp {
        return "One or more records have been rejected due to invalid timestamp".into();
    }
    let shown = records.iter().take(SHOWN_RECORDS_MAX).map(|(index, sentence)| {
        let sentence = sentence.as_deref().unwrap_or_default();
        format!("RecordError(batchIndex={index}, message='{sentence}')")
    });
    let shown: Vec<String> = shown.collect();
    format!(
        "One or more records have been rejected due to {} record errors in total, \
         and only showing the first three errors at most: [{}]",
        records.len(),
        shown.join(", ")
    )
    .into()
}
