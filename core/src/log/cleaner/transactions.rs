//! Which transactions the cleaner is in the middle of, so that it knows what was aborted and which markers nobody needs.
//!
//! A marker stays until no batch of its transaction is left, and then for `delete.retention.ms`, so that a reader who has seen
//! records of the transaction sees its end too (KIP-98, KIP-534).

use std::collections::{BTreeMap, BTreeSet};

use crate::log::producer_state::Marker;
use crate::log::txn_index::AbortedTxn;
use crate::record::BatchHeader;

/// Transactions, by the batches walked over so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Transactions {
    /// Aborted, and not reached yet; by first offset.
    ahead: BTreeMap<i64, AbortedTxn>,
    /// Aborted and begun, by producer; and whether a batch of theirs was seen.
    aborted: BTreeMap<i64, (AbortedTxn, bool)>,
    /// Producers whose batches were seen and whose transaction was not aborted.
    committed: BTreeSet<i64>,
}

/// What a marker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Batches of the transaction were there: the marker stays. An aborted one belongs into the index of what is written.
    HadBatches(Option<AbortedTxn>),
    /// Nothing of the transaction is left.
    Empty,
}

impl Transactions {
    /// Adds what the index says was aborted; what is known already changes nothing.
    pub fn expect_aborted(&mut self, aborted: impl IntoIterator<Item = AbortedTxn>) {
        self.ahead.extend(aborted.into_iter().map(|aborted| (aborted.first_offset, aborted)));
    }

    /// Walks over a batch with records. True if they were aborted.
    pub fn saw_batch(&mut self, header: &BatchHeader) -> bool {
        self.begin_up_to(header.last_offset());
        if !header.is_transactional() {
            return false;
        }
        match self.aborted.get_mut(&header.producer_id) {
            Some((_, had_batches)) => {
                *had_batches = true;
                true
            }
            None => {
                self.committed.insert(header.producer_id);
                false
            }
        }
    }

    /// Walks over a control batch. `marker` is `None` if it is empty, or something else than the end of a transaction.
    pub fn saw_control(&mut self, header: &BatchHeader, marker: Option<&Marker>) -> Ended {
        self.begin_up_to(header.last_offset());
        let Some(marker) = marker else {
            // One without records was emptied when nothing of its transaction was left. Others are not ours to judge.
            return if header.records_count == 0 { Ended::Empty } else { Ended::HadBatches(None) };
        };
        if marker.marker.is_commit {
            let had_batches = self.committed.remove(&header.producer_id);
            return if had_batches { Ended::HadBatches(None) } else { Ended::Empty };
        }
        match self.aborted.remove(&header.producer_id) {
            Some((aborted, true)) => Ended::HadBatches(Some(aborted)),
            _ => Ended::Empty,
        }
    }

    fn begin_up_to(&mut self, offset: i64) {
        while let Some(first) = self.ahead.first_entry().filter(|first| *first.key() <= offset) {
            let aborted = first.remove();
            self.aborted.entry(aborted.producer_id).or_insert((aborted, false));
        }
    }
}
