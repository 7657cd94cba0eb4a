//! Idempotent and transactional producers.

use super::*;
use crate::log::producer_snapshot;
use crate::record::EndTxnMarker;

fn sequenced(producer_id: i64, producer_epoch: i16, base_sequence: i32, count: i32) -> Batch {
    let options = BatchOptions { producer_id, producer_epoch, base_sequence, ..BatchOptions::default() };
    batch_of(options, count, 10, 1_000)
}

fn transactional(producer_id: i64, base_sequence: i32) -> Batch {
    let options = BatchOptions {
        producer_id,
        producer_epoch: 0,
        base_sequence,
        is_transactional: true,
        ..BatchOptions::default()
    };
    batch_of(options, 2, 10, 1_000)
}

fn end(
    log: &mut Log<MemoryStore>,
    store: &mut MemoryStore,
    producer_id: i64,
    is_commit: bool,
) -> LogAppendInfo {
    let marker = EndTxnMarker { is_commit, coordinator_epoch: 3 };
    let batch = Batch::read(&marker.batch(producer_id, 0, 2_000, 0)).unwrap();
    let body = batch.body();
    let batches = [AppendBatch { header: *batch.header(), body: &body }];
    log.append_as_leader(store, now(0), 0, AppendOrigin::Coordinator, &batches).unwrap()
}

#[test]
fn repeated_batches_answer_with_their_first_offsets() {
    let (mut store, mut log) = fresh(LogConfig::default());
    for n in 0..7 {
        assert_eq!(
            append(&mut log, &mut store, &sequenced(9, 0, n * 2, 2), 0).first_offset,
            i64::from(n) * 2
        );
    }
    let size = log.size();
    for n in 2..7 {
        let info = append(&mut log, &mut store, &sequenced(9, 0, n * 2, 2), 0);
        assert_eq!(
            (info.is_duplicate, info.first_offset, info.last_offset),
            (true, 4 + i64::from(n - 2) * 2, 5 + i64::from(n - 2) * 2)
        );
    }
    assert_eq!(log.size(), size);
    // Older than the five that are remembered, and with a gap.
    for (first_sequence, batch) in [(2, sequenced(9, 0, 2, 2)), (15, sequenced(9, 0, 15, 1))] {
        assert_eq!(
            try_append(&mut log, &mut store, &batch, 0),
            Err(LogError::OutOfOrderSequence { producer_id: 9, first_sequence, last_sequence: 13 })
        );
    }
}

#[test]
fn epochs_fence_and_begin_at_zero() {
    let (mut store, mut log) = fresh(LogConfig::default());
    // A producer of which nothing is known may begin anywhere.
    append(&mut log, &mut store, &sequenced(9, 1, 40, 2), 0);
    assert!(matches!(
        try_append(&mut log, &mut store, &sequenced(9, 0, 42, 1), 0),
        Err(LogError::InvalidProducerEpoch { epoch: 0, current_epoch: 1, .. })
    ));
    assert!(matches!(
        try_append(&mut log, &mut store, &sequenced(9, 2, 42, 1), 0),
        Err(LogError::OutOfOrderSequence { .. })
    ));
    append(&mut log, &mut store, &sequenced(9, 2, 0, 1), 0);
    // The same numbers in another epoch are no duplicate.
    assert!(!append(&mut log, &mut store, &sequenced(9, 2, 1, 1), 0).is_duplicate);
    append(&mut log, &mut store, &sequenced(9, 3, 0, 1), 0);
    assert_eq!(log.producers().producer(9).unwrap().batches.len(), 1);
}

#[test]
fn sequences_wrap() {
    let (mut store, mut log) = fresh(LogConfig::default());
    append(&mut log, &mut store, &sequenced(9, 0, i32::MAX - 1, 2), 0);
    assert_eq!(append(&mut log, &mut store, &sequenced(9, 0, 0, 2), 0).first_offset, 2);
    let (mut store, mut log) = fresh(LogConfig::default());
    append(&mut log, &mut store, &sequenced(9, 0, i32::MAX, 3), 0);
    assert_eq!(append(&mut log, &mut store, &sequenced(9, 0, 2, 1), 0).first_offset, 3);
    assert!(append(&mut log, &mut store, &sequenced(9, 0, i32::MAX, 3), 0).is_duplicate);
}

#[test]
fn silent_producers_are_forgotten_but_not_in_a_transaction() {
    let (mut store, mut log) = fresh(LogConfig::default());
    append(&mut log, &mut store, &sequenced(9, 0, 0, 1), 0);
    append(&mut log, &mut store, &transactional(8, 0), 0);
    log.remove_expired_producers(1_000 + 86_399_999);
    assert_eq!(log.producers().producers().count(), 2);
    log.remove_expired_producers(1_000 + 86_400_000);
    assert_eq!(log.producers().producers().map(|(id, _)| id).collect::<Vec<_>>(), [8]);
}

#[test]
fn state_survives_any_restart() {
    for clean in [true, false] {
        let (mut store, mut log) = fresh(small());
        for n in 0..12 {
            append(&mut log, &mut store, &sequenced(9, 0, n * 2, 2), 0);
            append(&mut log, &mut store, &sequenced(7, 4, n, 1), 0);
            append(&mut log, &mut store, &transactional(100 + i64::from(n), 0), 0);
            if n % 3 == 0 {
                end(&mut log, &mut store, 100 + i64::from(n), n % 2 == 0);
            }
        }
        if clean {
            let plan = log.close(&mut store, now(0)).unwrap();
            log.flushed(&plan);
        }
        let options = OpenLog {
            clean_shutdown: clean,
            recovery_point: log.recovery_point(),
            high_watermark: log.log_end_offset(),
            ..options(small())
        };
        let (mut opened, report) = Log::open(&mut store, now(0), options).unwrap();
        assert_eq!(report.scanned_bytes == 0, clean);
        log.set_high_watermark(log.log_end_offset());
        let summary = |log: &Log<MemoryStore>| -> Vec<_> {
            let of = |(id, entry): (i64, &crate::log::producer_state::ProducerEntry)| {
                let (sequence, offset) = (entry.last_sequence(), entry.last_offset());
                (
                    id,
                    entry.producer_epoch,
                    entry.coordinator_epoch,
                    sequence,
                    offset,
                    entry.current_txn_first_offset,
                )
            };
            log.producers().producers().map(of).collect()
        };
        assert_eq!(summary(&opened), summary(&log));
        assert_eq!(opened.last_stable_offset(), log.last_stable_offset());
        let aborted = |log: &mut Log<MemoryStore>, store: &mut MemoryStore| -> Vec<_> {
            log.segments().iter().flat_map(|segment| segment.aborted(store).unwrap()).collect()
        };
        assert_eq!(aborted(&mut opened, &mut store), aborted(&mut log, &mut store));
        assert!(append(&mut opened, &mut store, &sequenced(9, 0, 22, 2), 0).is_duplicate);
        assert_eq!(
            append(&mut opened, &mut store, &sequenced(9, 0, 24, 2), 0).first_offset,
            log.log_end_offset()
        );
    }
}

#[test]
fn open_transactions_hold_the_last_stable_offset() {
    let (mut store, mut log) = fresh(LogConfig::default());
    append(&mut log, &mut store, &batch(1, 10, 0), 0);
    append(&mut log, &mut store, &transactional(8, 0), 0);
    append(&mut log, &mut store, &transactional(9, 0), 0);
    append(&mut log, &mut store, &batch(1, 10, 0), 0);
    log.set_high_watermark(6);
    assert_eq!((log.log_end_offset(), log.last_stable_offset()), (6, 1));
    end(&mut log, &mut store, 8, false);
    // The marker is not replicated yet.
    assert_eq!(log.last_stable_offset(), 1);
    log.set_high_watermark(7);
    assert_eq!(log.last_stable_offset(), 3);
    end(&mut log, &mut store, 9, true);
    log.set_high_watermark(8);
    assert_eq!(log.last_stable_offset(), 8);
    let data = log.read(&mut store, 0, 10_000, FetchIsolation::TxnCommitted, true, None).unwrap();
    let aborted = AbortedTxn { producer_id: 8, first_offset: 1, last_offset: 6, last_stable_offset: 3 };
    assert_eq!(data.aborted_transactions, [aborted]);
    let data = log.read(&mut store, 7, 10_000, FetchIsolation::TxnCommitted, true, None).unwrap();
    assert_eq!(data.aborted_transactions, []);
    assert_eq!(AbortedTxn::from_array(&aborted.to_array()), Some(aborted));
}

#[test]
fn a_plain_batch_does_not_belong_into_a_transaction() {
    let (mut store, mut log) = fresh(LogConfig::default());
    append(&mut log, &mut store, &transactional(8, 0), 0);
    assert_eq!(
        try_append(&mut log, &mut store, &sequenced(8, 0, 2, 1), 0),
        Err(LogError::InvalidTxnState { producer_id: 8 })
    );
    end(&mut log, &mut store, 8, true);
    let marker = EndTxnMarker { is_commit: true, coordinator_epoch: 2 };
    let late = Batch::read(&marker.batch(8, 0, 2_000, 0)).unwrap();
    let body = late.body();
    let batches = [AppendBatch { header: *late.header(), body: &body }];
    assert!(matches!(
        log.append_as_leader(&mut store, now(0), 0, AppendOrigin::Coordinator, &batches),
        Err(LogError::TransactionCoordinatorFenced { coordinator_epoch: 2, current_epoch: 3, .. })
    ));
}

/// Bytes that Apache Kafka 4.3.1's `ProducerStateManager.writeSnapshot` wrote.
#[test]
fn snapshots_are_kafkas() {
    let bytes: Vec<u8> =
        (0..KAFKA.len()).step_by(2).map(|at| u8::from_str_radix(&KAFKA[at..at + 2], 16).unwrap()).collect();
    let state = producer_snapshot::decode(&bytes, 20).unwrap();
    assert_eq!(producer_snapshot::encode(&state), bytes);
    assert_eq!(state.first_unstable_offset(), Some(4));
    assert_eq!(state.producer(8).unwrap().coordinator_epoch, 2);
    assert_eq!(state.producer(7).unwrap().producer_epoch, 3);
    for at in 0..bytes.len() {
        let mut broken = bytes.clone();
        broken[at] ^= 1;
        assert_eq!(producer_snapshot::decode(&broken, 20), None, "byte {at}");
        assert_eq!(producer_snapshot::decode(&bytes[..at], 20), None);
    }
}

const KAFKA: &str = "00012ebfaf940000000200000000000000070003ffffffffffffffffffffffff00000000\
                     00000000000003e8ffffffff000000000000000400000000000000080001ffffffffffff\
                     ffffffffffff0000000000000000000007d000000002ffffffffffffffff";
