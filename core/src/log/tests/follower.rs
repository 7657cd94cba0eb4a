//! A follower's log: what a leader sent, byte for byte.

use super::*;

fn at(base_offset: i64, partition_leader_epoch: i32, count: i32) -> Vec<u8> {
    let options = BatchOptions { base_offset, partition_leader_epoch, ..BatchOptions::default() };
    batch_of(options, count, 50, base_offset).into_bytes().to_vec()
}

#[test]
fn a_follower_that_fetches_everything_has_the_same_files() {
    let (mut leader_store, mut leader) = fresh(small());
    for n in 0..20 {
        let batch = batch(1 + n % 3, 80, i64::from(n));
        let body = batch.body();
        let batches = [AppendBatch { header: *batch.header(), body: &body }];
        let epoch = n / 7;
        leader.append_as_leader(&mut leader_store, now(0), epoch, AppendOrigin::Client, &batches).unwrap();
    }
    let (mut store, mut log) = fresh(small());
    while log.log_end_offset() < leader.log_end_offset() {
        let from = log.log_end_offset();
        let data = leader.read(&mut leader_store, from, 400, FetchIsolation::LogEnd, true, None).unwrap();
        let bytes = leader_store.read_slice(&data.records.unwrap()).unwrap();
        log.append_as_follower(&mut store, now(0), i32::MAX, &bytes).unwrap();
    }
    assert_eq!(log.leader_epochs(), leader.leader_epochs());
    assert_eq!(log.end_offset_for_epoch(1), leader.end_offset_for_epoch(1));
    leader.close(&mut leader_store, now(0)).unwrap();
    log.close(&mut store, now(0)).unwrap();
    let names: Vec<_> = store.list(DIR).unwrap();
    let leaders: Vec<_> = leader_store.list(DIR).unwrap();
    // Where a segment ends depends on how much a fetch brought; the records do not.
    let all = |entries: &[store::Entry], store: &mut MemoryStore| -> Vec<u8> {
        let logs = entries.iter().filter(|entry| entry.name.ends_with(".log"));
        logs.flat_map(|entry| store.read(&format!("{DIR}/{}", entry.name)).unwrap()).collect()
    };
    assert_eq!(all(&names, &mut store), all(&leaders, &mut leader_store));
}

#[test]
fn holes_are_kept_and_going_back_is_refused() {
    let (mut store, mut log) = fresh(LogConfig::default());
    let info =
        log.append_as_follower(&mut store, now(0), i32::MAX, &[at(5, 0, 2), at(10, 1, 1)].concat()).unwrap();
    assert_eq!((info.first_offset, info.last_offset, log.log_end_offset()), (5, 10, 11));
    assert_eq!(log.leader_epochs().entries().len(), 2);
    assert_eq!(read_bases(&mut log, &mut store, 0, 1), [5]);
    assert_eq!(read_bases(&mut log, &mut store, 7, 1), [10]);
    // What is there already is left out; what straddles the end, or goes back, is refused.
    let info =
        log.append_as_follower(&mut store, now(0), i32::MAX, &[at(10, 1, 1), at(11, 1, 1)].concat()).unwrap();
    assert_eq!((info.first_offset, log.log_end_offset()), (11, 12));
    for records in [at(11, 1, 3), [at(20, 1, 1), at(15, 1, 1)].concat()] {
        assert!(matches!(
            log.append_as_follower(&mut store, now(0), i32::MAX, &records),
            Err(LogError::UnexpectedOffset { .. })
        ));
    }
    assert_eq!(log.log_end_offset(), 12);
}

#[test]
fn a_cut_off_batch_is_ignored_and_a_broken_one_refused() {
    let (mut store, mut log) = fresh(LogConfig::default());
    let whole = [at(0, 0, 1), at(1, 0, 1)].concat();
    let info = log.append_as_follower(&mut store, now(0), i32::MAX, &whole[..whole.len() - 1]).unwrap();
    assert_eq!((info.last_offset, log.log_end_offset()), (0, 1));
    assert_eq!(log.append_as_follower(&mut store, now(0), i32::MAX, &[]).unwrap().size, 0);
    let mut broken = at(1, 0, 1);
    *broken.last_mut().unwrap() ^= 1;
    let size = log.size();
    assert!(matches!(
        log.append_as_follower(&mut store, now(0), i32::MAX, &broken),
        Err(LogError::InvalidRecords(_))
    ));
    assert_eq!(log.size(), size);
}

#[test]
fn what_is_more_than_a_segment_holds_becomes_several() {
    let (mut store, mut log) = fresh(LogConfig { segment_bytes: 300, ..LogConfig::default() });
    let batches: Vec<Vec<u8>> = (0..9).map(|base| at(base, 0, 1)).collect();
    let info = log.append_as_follower(&mut store, now(0), i32::MAX, &batches.concat()).unwrap();
    assert_eq!((info.first_offset, info.last_offset, log.log_end_offset()), (0, 8, 9));
    assert_eq!(info.size, batches.concat().len() as u64);
    assert!(log.segments().len() > 2 && log.segments().iter().all(|segment| segment.size <= 300));
    assert_eq!(read_bases(&mut log, &mut store, 0, 1), [0]);
    let larger = at(9, 0, 20);
    let refused = log.append_as_follower(&mut store, now(0), i32::MAX, &larger);
    assert!(matches!(refused, Err(LogError::LargerThanSegment { .. })), "{refused:?}");
}

#[test]
fn batches_of_a_later_epoch_are_left_out() {
    let (mut store, mut log) = fresh(LogConfig::default());
    let records = [at(0, 1, 1), at(1, 2, 1), at(2, 1, 1)].concat();
    log.append_as_follower(&mut store, now(0), 1, &records).unwrap();
    assert_eq!((log.log_end_offset(), log.latest_epoch()), (1, 1));
}

#[test]
fn a_hole_too_wide_for_the_indexes_begins_a_segment() {
    let (mut store, mut log) = fresh(LogConfig::default());
    log.append_as_follower(&mut store, now(0), i32::MAX, &at(0, 0, 1)).unwrap();
    let far = i64::from(i32::MAX) + 5;
    let info = log.append_as_follower(&mut store, now(0), i32::MAX, &at(far, 0, 1)).unwrap();
    assert!(info.has_rolled);
    assert_eq!(log.segments().iter().map(|segment| segment.base_offset).collect::<Vec<_>>(), [0, far]);
    assert_eq!(read_bases(&mut log, &mut store, 1, 1), [far]);
}

#[test]
fn diverging_tails_are_cut_with_their_epochs() {
    let (mut store, mut log) = fresh(small());
    for (base, epoch) in [(0, 0), (2, 0), (4, 1), (6, 1), (8, 3)] {
        log.append_as_follower(&mut store, now(0), i32::MAX, &at(base, epoch, 2)).unwrap();
    }
    assert_eq!(log.end_offset_for_epoch(2), (1, 8));
    assert!(log.truncate_to(&mut store, now(0), 6).unwrap());
    assert_eq!((log.log_end_offset(), log.latest_epoch()), (6, 1));
    log.append_as_follower(&mut store, now(0), i32::MAX, &at(6, 4, 1)).unwrap();
    assert_eq!(log.end_offset_for_epoch(3), (1, 6));
    log.truncate_fully_and_start_at(&mut store, now(0), 100).unwrap();
    assert_eq!((log.log_start_offset(), log.log_end_offset(), log.latest_epoch()), (100, 100, -1));
    log.append_as_follower(&mut store, now(0), i32::MAX, &at(100, 5, 1)).unwrap();
    assert_eq!(read_bases(&mut log, &mut store, 100, 1), [100]);
}

#[test]
fn a_reign_without_records_comes_and_goes_without_a_file() {
    let (mut store, mut log) = fresh(LogConfig::default());
    log.append_as_follower(&mut store, now(0), i32::MAX, &at(0, 3, 1)).unwrap();
    let plan = log.plan_flush(&mut store, now(0), FlushScope::All).unwrap();
    log.flushed(&plan);
    log.assign_epoch_start_offset(7, 1);
    assert_eq!(log.latest_epoch(), 7);
    assert!(!log.truncate_to(&mut store, now(0), 1).unwrap());
    assert_eq!(log.latest_epoch(), 3);
    assert!(log.plan_flush(&mut store, now(0), FlushScope::All).unwrap().is_empty());
}

#[test]
fn several_batches_are_one_write() {
    let (mut store, mut log) = fresh(small());
    let batches: Vec<_> = (0..3).map(|n| batch(2, 10, n)).collect();
    let bodies: Vec<_> = batches.iter().map(Batch::body).collect();
    let together: Vec<_> = batches
        .iter()
        .zip(&bodies)
        .map(|(batch, body)| AppendBatch { header: *batch.header(), body })
        .collect();
    let info = log.append_as_leader(&mut store, now(0), 2, AppendOrigin::Coordinator, &together).unwrap();
    assert_eq!((info.first_offset, info.last_offset, info.last_leader_epoch), (0, 5, 2));
    assert_eq!(read_bases(&mut log, &mut store, 0, 10_000), [0, 2, 4]);
    let none = log.append_as_leader(&mut store, now(0), 2, AppendOrigin::Coordinator, &[]).unwrap();
    assert_eq!((none.size, log.log_end_offset()), (0, 6));
}
