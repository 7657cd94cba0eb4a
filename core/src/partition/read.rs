//! Reading from a partition: as its leader or, for those whom followers serve, as a follower.

use ottla_protocol::ErrorCode;

use super::{Leadership, Partition};
use crate::broker::data::{Fetched, Isolation, ListOffsetsPart, ListedOffset, Readable, Reader, WatchPart};
use crate::log::list_offsets::{EARLIEST_LOCAL_TIMESTAMP, EARLIEST_TIMESTAMP, LATEST_TIMESTAMP};
use crate::log::{FetchIsolation, LogStore};
use crate::machine::Cx;
use crate::metrics::count;
use crate::sim::mutation::Mutation;

impl From<Isolation> for FetchIsolation {
    fn from(isolation: Isolation) -> Self {
        match isolation {
            Isolation::ReadUncommitted => Self::HighWatermark,
            Isolation::ReadCommitted => Self::TxnCommitted,
            Isolation::LogEnd => Self::LogEnd,
        }
    }
}

impl<S: LogStore> Partition<S> {
    /// How many bytes a fetch would find.
    pub fn readable(
        &mut self,
        cx: &mut Cx<'_, S>,
        part: &WatchPart,
        reader: &Reader,
    ) -> Result<Readable, ErrorCode> {
        self.may_read(part, reader.leader_only)?;
        if self.diverging(part)?.is_some() {
            return Ok(Readable { bytes: 0, at_once: true, bounds: self.bounds() });
        }
        let bounds = self.bounds();
        self.check_range(part.fetch_offset)?;
        let bound = self.log.upper_bound(cx.store, reader.isolation.into());
        let bound = bound.map_err(|error| self.log_error(cx, &error))?;
        if part.fetch_offset >= bound.offset {
            return Ok(Readable { bytes: 0, at_once: false, bounds });
        }
        if part.max_bytes < 0 {
            return Err(ErrorCode::UnknownServerError);
        }
        let from = self.log.offset_metadata(cx.store, part.fetch_offset);
        let from = from.map_err(|error| self.log_error(cx, &error))?.at;
        // An older segment is full: nothing more will come to it.
        let at_once = from.segment_base_offset < bound.at.segment_base_offset;
        Ok(Readable { bytes: self.log.bytes_between(from, bound.at), at_once, bounds })
    }

    /// Reads whole batches, up to the lesser of the two limits; with `first_batch_whole` one batch at least.
    pub fn read(
        &mut self,
        cx: &mut Cx<'_, S>,
        part: &WatchPart,
        reader: &Reader,
        bytes_left: u64,
        first_batch_whole: bool,
    ) -> Result<Fetched<S>, ErrorCode> {
        let fetched = self.try_read(cx, part, reader, bytes_left, first_batch_whole);
        let bytes =
            fetched.as_ref().ok().and_then(|it| it.records.as_ref()).map_or(0, |(_, len)| u64::from(*len));
        if reader.replica.is_some() {
            count(&mut self.meters.replication_bytes_out, bytes);
        } else {
            count(&mut self.meters.bytes_out, bytes);
            count(&mut self.meters.fetch_requests, 1);
            count(&mut self.meters.failed_fetch_requests, u64::from(fetched.is_err()));
        }
        fetched
    }

    fn try_read(
        &mut self,
        cx: &mut Cx<'_, S>,
        part: &WatchPart,
        reader: &Reader,
        bytes_left: u64,
        first_batch_whole: bool,
    ) -> Result<Fetched<S>, ErrorCode> {
        let mut isolation = reader.isolation;
        if self.is_planted(Mutation::ServedBeyondHighWatermark) {
            isolation = Isolation::LogEnd;
        }
        self.may_read(part, reader.leader_only)?;
        if let Some(diverging) = self.diverging(part)? {
            return Ok(Fetched { diverging: Some(diverging), ..Fetched::nothing(self.bounds()) });
        }
        self.check_range(part.fetch_offset)?;
        if part.max_bytes < 0 {
            let bound = self.log.upper_bound(cx.store, isolation.into());
            let bound = bound.map_err(|error| self.log_error(cx, &error))?;
            if part.fetch_offset < bound.offset {
                return Err(ErrorCode::UnknownServerError);
            }
        }
        let limit = u64::try_from(part.max_bytes).unwrap_or(0).min(bytes_left);
        let read = self.log.read(
            cx.store,
            part.fetch_offset,
            limit,
            isolation.into(),
            first_batch_whole,
            self.hint.as_ref(),
        );
        let read = read.map_err(|error| self.log_error(cx, &error))?;
        if read.next.is_some() {
            self.hint = read.next;
        }
        let aborted = (isolation == Isolation::ReadCommitted).then(|| {
            let entry = |aborted: &crate::log::AbortedTxn| (aborted.producer_id, aborted.first_offset);
            read.aborted_transactions.iter().map(entry).collect()
        });
        let size = u32::try_from(read.size).unwrap_or(u32::MAX);
        Ok(Fetched {
            bounds: self.bounds(),
            records: read.records.map(|slice| (slice, size)),
            aborted,
            diverging: None,
            preferred_read_replica: None,
        })
    }

    /// Where it stands, for a consumer that is sent to another replica.
    pub fn elsewhere(&self, part: &WatchPart, replica: i32) -> Result<Fetched<S>, ErrorCode> {
        self.may_read(part, false)?;
        Ok(Fetched { preferred_read_replica: Some(replica), ..Fetched::nothing(self.bounds()) })
    }

    /// An offset by time.
    pub fn list_offset(
        &mut self,
        cx: &mut Cx<'_, S>,
        part: &ListOffsetsPart,
        isolation: Isolation,
    ) -> Result<ListedOffset, ErrorCode> {
        self.serving()?;
        self.check_epoch(part.current_leader_epoch)?;
        self.leading()?;
        let visible = match isolation {
            Isolation::ReadUncommitted => self.log.high_watermark(),
            Isolation::ReadCommitted => self.log.last_stable_offset(),
            Isolation::LogEnd => self.log.log_end_offset(),
        };
        // A new leader does not know yet how far its predecessor had come.
        let is_behind = isolation != Isolation::LogEnd
            && self.leadership().map(Leadership::epoch_start_offset) > Some(self.log.high_watermark());
        let unknown = if is_behind { Err(ErrorCode::OffsetNotAvailable) } else { Ok(()) };
        if part.timestamp == LATEST_TIMESTAMP {
            unknown?;
            let leader_epoch = self.leader_epoch;
            return Ok(ListedOffset { offset: visible, timestamp: -1, leader_epoch });
        }
        let is_earliest = [EARLIEST_TIMESTAMP, EARLIEST_LOCAL_TIMESTAMP].contains(&part.timestamp);
        let found = self.log.fetch_offset_by_timestamp(cx.store, cx.compressors, part.timestamp);
        match found.map_err(|error| self.log_error(cx, &error))? {
            // What was found and is not visible yet is not there.
            Some(found) if is_earliest || found.offset < visible => Ok(ListedOffset {
                offset: found.offset,
                timestamp: found.timestamp,
                leader_epoch: found.leader_epoch.unwrap_or(-1),
            }),
            _ => unknown.map(|()| ListedOffset { offset: -1, timestamp: -1, leader_epoch: -1 }),
        }
    }

    /// Where an epoch ended: (epoch, end offset).
    pub fn epoch_end(&self, current_leader_epoch: i32, leader_epoch: i32) -> Result<(i32, i64), ErrorCode> {
        self.serving()?;
        self.check_epoch(current_leader_epoch)?;
        self.leading()?;
        Ok(self.log.end_offset_for_epoch(leader_epoch))
    }

    pub(super) fn may_read(&self, part: &WatchPart, leader_only: bool) -> Result<(), ErrorCode> {
        self.serving()?;
        // A fetch says nothing with any number below zero, other requests with −1 alone.
        self.check_epoch(part.current_leader_epoch.max(-1))?;
        if leader_only { self.leading() } else { self.holds() }
    }

    pub(super) fn check_range(&self, offset: i64) -> Result<(), ErrorCode> {
        if (self.log.log_start_offset()..=self.log.log_end_offset()).contains(&offset) {
            return Ok(());
        }
        Err(ErrorCode::OffsetOutOfRange)
    }

    /// Where the reader's log and this one part, if they do (KIP-595). An epoch that this log never saw has no such place.
    pub(super) fn diverging(&self, part: &WatchPart) -> Result<Option<(i32, i64)>, ErrorCode> {
        if part.last_fetched_epoch < 0 {
            return Ok(None);
        }
        let (epoch, end_offset) = self.log.end_offset_for_epoch(part.last_fetched_epoch);
        if epoch < 0 || end_offset < 0 || part.fetch_offset < self.log.log_start_offset() {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        Ok((epoch < part.last_fetched_epoch || end_offset < part.fetch_offset).then_some((epoch, end_offset)))
    }
}
