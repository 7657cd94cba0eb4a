//! What connections ask of a shard's partitions.

use ottla_protocol::ErrorCode;

use super::{Purpose, Shard};
use crate::broker::acknowledgements::{Awaited, Until};
use crate::broker::cluster_view::OFFSETS_TOPIC;
use crate::broker::data::{
    DataRequest, DataResponse, DescribedLog, DescribedLogs, EpochPart, Fetched, Isolation, ListOffsetsPart,
    MarkerPart, Part, ProduceError, Readable, Reader, WatchPart,
};
use crate::broker::watches::Watch;
use crate::broker::{ConnectionEvent, Message};
use crate::coordinator::Token;
use crate::ids::{LogDirId, TopicIdPartition};
use crate::log::LogStore;
use crate::log::file_names::LOG_SUFFIX;
use crate::log::log_dirs::LogDirState;
use crate::machine::Cx;
use crate::partition;

impl<S: LogStore> Shard<S> {
    pub(super) fn data(&mut self, cx: &mut Cx<'_, S>, token: Token, request: DataRequest) {
        if !self.openings.is_empty() {
            self.open_first(cx, &request.partitions());
        }
        let response = match request {
            DataRequest::Produce { version, acks, timeout_ms, may_pass_on, parts } => {
                let mut grown = Vec::with_capacity(parts.len());
                let mut answers = Vec::with_capacity(parts.len());
                let mut awaited = Vec::new();
                for part in parts {
                    if may_pass_on && self.next_leader(part.partition).is_some() {
                        answers.push((part.index, Err(ProduceError::of(ErrorCode::NotLeaderOrFollower))));
                        awaited.push(self.pass_on(cx.now.monotonic, acks, timeout_ms, part));
                        continue;
                    }
                    let mut answer = match self.partitions.get_mut(&part.partition) {
                        Some(partition) => partition.produce(cx, version, acks, &part.records),
                        None => Err(ProduceError::of(self.absent(part.partition))),
                    };
                    if let Ok(appended) = answer {
                        grown.push(part.partition);
                        match self.awaited(part.partition, acks, part.index) {
                            Ok(part) => awaited.extend(part),
                            Err(code) => {
                                let log_start_offset = appended.log_start_offset;
                                let appended = Some(appended);
                                answer = Err(ProduceError {
                                    appended,
                                    log_start_offset,
                                    ..ProduceError::of(code)
                                });
                            }
                        }
                    }
                    answers.push((part.index, answer));
                }
                self.acknowledge(cx, token, DataResponse::Produced(answers), awaited, timeout_ms);
                for partition in grown {
                    self.grew(cx, partition);
                }
                return;
            }
            DataRequest::Watch { parts, reader } => return self.watch(cx, token, parts, reader),
            DataRequest::Unwatch => return self.watches.remove(token),
            DataRequest::Read { parts, reader, max_bytes, mut first_batch_whole } => {
                self.watches.remove(token);
                let mut left = max_bytes;
                let mut read = Vec::with_capacity(parts.len());
                for part in &parts {
                    let elsewhere = self.elsewhere(cx, part, &reader);
                    let is_held_back = self.is_held_back(cx.now.monotonic, part.partition, &reader);
                    let fetched = match self.partitions.get_mut(&part.partition) {
                        Some(partition) => match elsewhere {
                            Some(replica) => partition.elsewhere(part, replica),
                            None if is_held_back => partition.read(cx, part, &reader, 0, false),
                            None => partition.read(cx, part, &reader, left, first_batch_whole),
                        },
                        None => Err(self.absent(part.partition)),
                    };
                    if let Ok(Fetched { records: Some((_, len)), .. }) = &fetched {
                        left = left.saturating_sub(u64::from(*len));
                        if reader.replica.is_some() {
                            let throttle = &mut self.throttles.leader;
                            throttle.record(cx.now.monotonic, part.partition, u64::from(*len));
                        }
                        first_batch_whole = false;
                    }
                    read.push((part.index, fetched));
                }
                DataResponse::Read(read)
            }
            DataRequest::ListOffsets { parts, isolation } => {
                let found = |part: &ListOffsetsPart| match self.partitions.get_mut(&part.partition) {
                    Some(partition) => partition.list_offset(cx, part, isolation),
                    None => Err(self.absent(part.partition)),
                };
                let mut found = found;
                DataResponse::Offsets(parts.iter().map(|part| (part.index, found(part))).collect())
            }
            DataRequest::OffsetForLeaderEpoch { parts } => {
                let end = |part: &EpochPart| match self.partitions.get(&part.partition) {
                    Some(partition) => partition.epoch_end(part.current_leader_epoch, part.leader_epoch),
                    None => Err(self.absent(part.partition)),
                };
                DataResponse::EpochEnds(parts.iter().map(|part| (part.index, end(part))).collect())
            }
            DataRequest::DeleteRecords { timeout_ms, parts } => {
                let mut moved = Vec::with_capacity(parts.len());
                let mut awaited = Vec::new();
                for part in &parts {
                    let answer = match self.partitions.get_mut(&part.partition) {
                        Some(partition) => partition.delete_records(cx, part.offset),
                        None => Err(self.absent(part.partition)),
                    };
                    if let Ok(up_to) = answer
                        && self.low_watermark(part.partition) < up_to
                    {
                        let (partition, index) = (part.partition, part.index);
                        awaited.push(Awaited { partition, until: Until::Deleted, up_to, index });
                    }
                    moved.push((part.index, answer));
                    self.touched(part.partition);
                }
                return self.acknowledge(cx, token, DataResponse::Deleted(moved), awaited, timeout_ms);
            }
            DataRequest::WriteTxnMarkers { parts } => {
                let mut answers: Vec<_> =
                    parts.iter().map(|part| (part.index, self.end_transaction(cx, part))).collect();
                let mut awaited = Vec::new();
                for (part, (_, answer)) in parts.iter().zip(&mut answers).filter(|(_, (_, it))| it.is_ok()) {
                    match self.awaited(part.partition, -1, part.index) {
                        Ok(part) => awaited.extend(part),
                        Err(error) => *answer = Err(error),
                    }
                }
                let timeout_ms = self.config.request_timeout_ms;
                return self.acknowledge(cx, token, DataResponse::Marked(answers), awaited, timeout_ms);
            }
            DataRequest::DescribeProducers { parts } => {
                let known = |part: &Part| match self.partitions.get(&part.partition) {
                    Some(partition) => Ok(partition.producers()),
                    None => Err(self.absent(part.partition)),
                };
                DataResponse::Producers(parts.iter().map(|part| (part.index, known(part))).collect())
            }
            DataRequest::DescribeLogs => {
                let offline = self.offline_log_dirs().collect();
                DataResponse::Logs(DescribedLogs { logs: self.describe_logs(cx), offline })
            }
        };
        self.reply(cx, token, response);
    }

    /// What is answered for a partition that is not among those that are served.
    pub(super) fn absent(&self, id: TopicIdPartition) -> ErrorCode {
        if self.openings.has_failed(id) || self.not_created.contains_key(&id) {
            ErrorCode::KafkaStorageError
        } else {
            ErrorCode::NotLeaderOrFollower
        }
    }

    /// The log directories that do not serve.
    pub(super) fn offline_log_dirs(&self) -> impl Iterator<Item = LogDirId> {
        let directories = (0..self.config.log_dirs.len()).filter_map(|index| u16::try_from(index).ok());
        directories.map(LogDirId).filter(|log_dir| {
            self.log_dirs.get(log_dir) == Some(&LogDirState::Offline) || self.checkpoints.is_offline(*log_dir)
        })
    }

    pub(super) fn describe_logs(&self, cx: &mut Cx<'_, S>) -> Vec<DescribedLog> {
        let open = self.partitions.values().map(|partition| DescribedLog {
            partition: partition.id(),
            log_dir: partition.log_dir(),
            size: partition.size(),
        });
        let open: Vec<_> = open.collect();
        let waiting = self.openings.ids().filter_map(|id| {
            let (name, log_dir) = self.found(id)?;
            let files = cx.store.list(&partition::dir(&self.config, log_dir, &name)?).ok()?;
            let logs = files.iter().filter(|file| file.name.ends_with(LOG_SUFFIX));
            let size = logs.fold(0_u64, |size, file| size.saturating_add(file.len));
            Some(DescribedLog { partition: id, log_dir, size })
        });
        open.into_iter().chain(waiting).collect()
    }

    pub(super) fn end_transaction(&mut self, cx: &mut Cx<'_, S>, part: &MarkerPart) -> Result<(), ErrorCode> {
        let absent = self.absent(part.partition);
        let partition = self.partitions.get_mut(&part.partition).ok_or(absent)?;
        let offset = partition.write_txn_marker(cx, part.end)?;
        let name = partition.name();
        if *name.topic == *OFFSETS_TOPIC {
            self.coordinators.transaction_ended(name.partition, partition, offset, part.end);
        }
        self.grew(cx, part.partition);
        Ok(())
    }

    /// Answers what was appended once that is as safe as was asked for, or `timeout_ms` have passed.
    pub(super) fn acknowledge(
        &mut self,
        cx: &mut Cx<'_, S>,
        token: Token,
        response: DataResponse<S>,
        awaited: Vec<Awaited>,
        timeout_ms: i32,
    ) {
        if awaited.is_empty() {
            return self.reply(cx, token, response);
        }
        // The disk answers, or fails, in its own time.
        let may_expire = awaited.iter().any(|awaited| awaited.until != Until::Durable);
        let deadline = may_expire.then(|| cx.now.monotonic.plus_ms(i64::from(timeout_ms)));
        self.acknowledgements.add(token, response, awaited, deadline);
    }

    /// What the acknowledgement of an append waits for, if it has to, or why it is none.
    fn awaited(&self, id: TopicIdPartition, acks: i16, index: usize) -> Result<Option<Awaited>, ErrorCode> {
        let Some(partition) = self.partitions.get(&id) else { return Ok(None) };
        let (until, up_to) = if acks == -1 && partition.leadership().is_some() {
            (Until::Committed, partition.uncommitted())
        } else {
            (Until::Durable, partition.unsynced())
        };
        match (up_to, partition.error_after_append()) {
            (Some(up_to), _) => Ok(Some(Awaited { partition: id, until, up_to, index })),
            (None, Some(error)) if until == Until::Committed => Err(error),
            (None, _) => Ok(None),
        }
    }

    /// What took too long is told so.
    pub(super) fn expire_acknowledgements(&mut self, cx: &mut Cx<'_, S>) {
        for (token, response) in self.acknowledgements.expired(cx.now.monotonic) {
            self.reply(cx, token, response);
        }
    }

    /// Says what is readable, now and from now on. A replica's fetch says what that has, before.
    fn watch(&mut self, cx: &mut Cx<'_, S>, token: Token, parts: Vec<WatchPart>, reader: Reader) {
        let mut seen = Vec::with_capacity(parts.len());
        let mut committed = Vec::new();
        for part in &parts {
            let fetched = match reader.replica {
                Some(replica) => self.follower_fetched(cx, part, replica),
                None => Ok(false),
            };
            let answer = fetched.and_then(|has_committed| {
                committed.extend(has_committed.then_some(part.partition));
                self.readable(cx, part, &reader)
            });
            seen.push((part.index, answer));
        }
        self.watches.add(token, Watch { parts, reader });
        self.reply(cx, token, DataResponse::Watched(seen));
        for id in committed {
            self.committed(cx, id);
        }
    }

    pub(super) fn reply(&self, cx: &mut Cx<'_, S>, token: Token, response: DataResponse<S>) {
        let event = ConnectionEvent::Shard { request: token.request, shard: self.id, response };
        cx.effects.tell(Message::Connection(token.connection, event));
    }

    fn readable(
        &mut self,
        cx: &mut Cx<'_, S>,
        part: &WatchPart,
        reader: &Reader,
    ) -> Result<Readable, ErrorCode> {
        let is_elsewhere = self.elsewhere(cx, part, reader).is_some();
        let absent = self.absent(part.partition);
        let partition = self.partitions.get_mut(&part.partition).ok_or(absent)?;
        let mut readable = partition.readable(cx, part, reader)?;
        if self.is_held_back(cx.now.monotonic, part.partition, reader) {
            readable.bytes = 0;
        }
        Ok(Readable { at_once: readable.at_once || is_elsewhere, ..readable })
    }

    /// Tells those of the fetches that wait for a partition whom it concerns.
    pub(super) fn tell_watchers(
        &mut self,
        cx: &mut Cx<'_, S>,
        id: TopicIdPartition,
        concerns: impl Fn(&Reader) -> bool,
    ) {
        for (token, part, reader) in self.watches.of(id) {
            if concerns(&reader) {
                let seen = self.readable(cx, &part, &reader);
                self.reply(cx, token, DataResponse::Watched(vec![(part.index, seen)]));
            }
        }
    }

    /// Records were appended: whoever waits hears of it, segments that were closed become durable.
    pub(super) fn grew(&mut self, cx: &mut Cx<'_, S>, id: TopicIdPartition) {
        self.tell(cx, id, false);
    }

    /// Where all is committed, what was appended is, too.
    fn tell(&mut self, cx: &mut Cx<'_, S>, id: TopicIdPartition, has_committed: bool) {
        let Some(partition) = self.partitions.get(&id) else { return };
        let has_committed = has_committed || partition.uncommitted().is_none();
        let (high_watermark, error) = (partition.high_watermark(), partition.error_after_append());
        for (token, response) in self.acknowledgements.reached(id, Until::Committed, high_watermark, error) {
            self.reply(cx, token, response);
        }
        self.tell_watchers(cx, id, |reader| has_committed || reader.isolation == Isolation::LogEnd);
        self.flush(cx, id);
        self.touched(id);
    }

    /// What has to be synced now is, and where that failed those who wait for it are told.
    pub(super) fn flush(&mut self, cx: &mut Cx<'_, S>, id: TopicIdPartition) {
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        if let Some((targets, reached)) = partition.to_sync(cx) {
            self.sync(cx, targets, Purpose::Flush(id, reached));
        } else if partition.failure().is_some() {
            self.refuse_unsynced(cx, id, ErrorCode::KafkaStorageError);
        }
    }

    /// More is committed than before: whoever waits hears of it.
    pub(super) fn committed(&mut self, cx: &mut Cx<'_, S>, id: TopicIdPartition) {
        if let Some(partition) = self.partitions.get(&id)
            && *partition.name().topic == *OFFSETS_TOPIC
        {
            self.coordinators.committed(partition.name().partition, partition);
        }
        self.tell(cx, id, true);
        self.send_group_replies(cx);
    }

    pub(super) fn refuse_unsynced(&mut self, cx: &mut Cx<'_, S>, id: TopicIdPartition, error: ErrorCode) {
        for (token, response) in self.acknowledgements.failed(id, error) {
            self.reply(cx, token, response);
        }
    }
}
