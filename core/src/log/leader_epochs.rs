//! Leader epochs: which leader wrote from which offset on (KIP-101, KIP-279).

use super::checkpoint::{CheckpointError, format_epochs, parse_epochs};

/// "No epoch" in requests and answers.
pub const UNDEFINED_EPOCH: i32 = -1;
/// "No offset" in answers.
pub const UNDEFINED_EPOCH_OFFSET: i64 = -1;

/// One leader's reign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEntry {
    /// The leader epoch.
    pub epoch: i32,
    /// The offset of its first record.
    pub start_offset: i64,
}

/// The entries of a log's `leader-epoch-checkpoint`: epochs and start offsets both strictly rising.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaderEpochs {
    entries: Vec<EpochEntry>,
}

impl LeaderEpochs {
    /// Reads the checkpoint file. Entries that break the order give way to later ones.
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let mut epochs = Self::default();
        for (epoch, start_offset) in parse_epochs(bytes)? {
            epochs.assign(epoch, start_offset);
        }
        Ok(epochs)
    }

    /// The text of the checkpoint file.
    pub fn to_text(&self) -> String {
        format_epochs(self.entries.iter().map(|entry| (entry.epoch, entry.start_offset)))
    }

    /// Notes that `epoch` begins at `start_offset`, dropping entries that contradict it. True if the file has to be written.
    pub fn assign(&mut self, epoch: i32, start_offset: i64) -> bool {
        if epoch < 0 || start_offset < 0 {
            return false;
        }
        let news =
            self.entries.last().is_none_or(|last| epoch != last.epoch || start_offset < last.start_offset);
        if news {
            while self
                .entries
                .pop_if(|last| last.epoch >= epoch || last.start_offset >= start_offset)
                .is_some()
            {}
            self.entries.push(EpochEntry { epoch, start_offset });
        }
        news
    }

    /// All entries, oldest first.
    pub fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    /// The oldest.
    pub fn earliest(&self) -> Option<EpochEntry> {
        self.entries.first().copied()
    }

    /// The newest.
    pub fn latest(&self) -> Option<EpochEntry> {
        self.entries.last().copied()
    }

    /// The newest epoch.
    pub fn latest_epoch(&self) -> Option<i32> {
        self.latest().map(|entry| entry.epoch)
    }

    /// The epoch in which the record at `offset` was written.
    pub fn epoch_for_offset(&self, offset: i64) -> Option<i32> {
        let after = self.entries.partition_point(|entry| entry.start_offset <= offset);
        self.entries.get(after.checked_sub(1)?).map(|entry| entry.epoch)
    }

    /// The answer to OffsetForLeaderEpoch: the largest epoch not above `requested`, and where it ended. For the newest epoch
    /// that is `log_end_offset`; (−1, −1) when this log has not heard of `requested` yet.
    pub fn end_offset_for(&self, requested: i32, log_end_offset: i64) -> (i32, i64) {
        const UNDEFINED: (i32, i64) = (UNDEFINED_EPOCH, UNDEFINED_EPOCH_OFFSET);
        if requested == UNDEFINED_EPOCH {
            return UNDEFINED;
        }
        if self.latest_epoch() == Some(requested) {
            return (requested, log_end_offset);
        }
        let higher = self.entries.partition_point(|entry| entry.epoch <= requested);
        let Some(end) = self.entries.get(higher) else { return UNDEFINED };
        let floor = higher.checked_sub(1).and_then(|at| self.entries.get(at));
        (floor.map_or(requested, |entry| entry.epoch), end.start_offset)
    }

    /// The log now ends at `end_offset`. True if the file has to be written.
    pub fn truncate_from_end(&mut self, end_offset: i64) -> bool {
        let keep = self.entries.partition_point(|entry| entry.start_offset < end_offset);
        let shorter = keep < self.entries.len();
        self.entries.truncate(keep);
        shorter
    }

    /// The log now starts at `start_offset`. True if the file has to be written.
    pub fn truncate_from_start(&mut self, start_offset: i64) -> bool {
        let passed = self.entries.partition_point(|entry| entry.start_offset <= start_offset);
        let Some(current) = passed.checked_sub(1) else { return false };
        self.entries.drain(..current);
        match self.entries.first_mut() {
            Some(first) if first.start_offset != start_offset || current > 0 => {
                first.start_offset = start_offset;
                true
            }
            _ => false,
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        for (epoch, start_offset) in entries {
            epochs.assign(*epoch, *start_offset);
        }
        epochs
    }

    #[test]
    fn assigning_drops_what_contradicts() {
        let mut e = epochs(&[(1, 0), (2, 10), (4, 20)]);
        assert!(!e.assign(4, 30));
        assert!(e.assign(5, 15));
        assert_eq!(e, epochs(&[(1, 0), (2, 10), (5, 15)]));
        assert!(e.assign(5, 10));
        assert_eq!(e, epochs(&[(1, 0), (5, 10)]));
        assert!(!e.assign(-1, 0));
        assert_eq!(LeaderEpochs::parse(e.to_text().as_bytes()).unwrap(), e);
    }

    #[test]
    fn end_offsets_answer_as_kafka_does() {
        let e = epochs(&[(2, 10), (4, 20), (7, 30)]);
        assert_eq!(e.end_offset_for(-1, 40), (-1, -1));
        assert_eq!(e.end_offset_for(7, 40), (7, 40));
        assert_eq!(e.end_offset_for(8, 40), (-1, -1));
        assert_eq!(e.end_offset_for(4, 40), (4, 30));
        assert_eq!(e.end_offset_for(3, 40), (2, 20));
        assert_eq!(e.end_offset_for(0, 40), (0, 10));
        assert_eq!(epochs(&[]).end_offset_for(0, 0), (-1, -1));
    }

    #[test]
    fn truncation_keeps_the_epoch_that_covers_the_edge() {
        let mut e = epochs(&[(2, 10), (4, 20), (7, 30)]);
        assert!(e.truncate_from_end(30));
        assert_eq!(e, epochs(&[(2, 10), (4, 20)]));
        assert!(e.truncate_from_start(25));
        assert_eq!(e, epochs(&[(4, 25)]));
        assert!(!e.truncate_from_start(25));
        assert!(!e.truncate_from_start(3));
        assert_eq!(e.epoch_for_offset(24), None);
        assert_eq!(e.epoch_for_offset(99), Some(4));
    }
}
