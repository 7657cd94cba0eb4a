//! Opening a log that was not closed, or not by us.

use super::*;
use crate::log::file_names::with_offset;
use crate::log::store::Entry;
use crate::log::time_index::TIME_INDEX_ENTRY_SIZE;
use crate::sim::{SimDisk, Trouble};

fn reopen(
    store: &mut MemoryStore,
    recovery_point: i64,
    clean_shutdown: bool,
) -> Result<(Log<MemoryStore>, RecoveryReport), LogError> {
    Log::open(store, now(0), OpenLog { recovery_point, clean_shutdown, ..options(small()) })
}

fn ten_batches() -> (MemoryStore, Log<MemoryStore>) {
    let (mut store, mut log) = fresh(small());
    for n in 0..10 {
        append(&mut log, &mut store, &batch(2, 100, 1_000 + n), 0);
    }
    (store, log)
}

fn overwrite(store: &mut MemoryStore, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = store.read(path).unwrap();
    change(&mut bytes);
    store.write_replacing(path, &bytes).unwrap();
}

fn indexes(store: &mut MemoryStore, base_offset: i64) -> [Vec<u8>; 2] {
    [".index", ".timeindex"]
        .map(|suffix| store.read(&format!("{DIR}/{}", with_offset(base_offset, suffix))).unwrap())
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_to_whole_batches() {
    let (store, log) = ten_batches();
    let last = log.segments().last().unwrap();
    let path = format!("{DIR}/{}", with_offset(last.base_offset, ".log"));
    let batch_size = batch(2, 100, 0).size_in_bytes() as u64;
    for len in 0..last.size() {
        let mut store = store.clone();
        overwrite(&mut store, &path, |bytes| bytes.truncate(len as usize));
        let (log, report) = reopen(&mut store, last.base_offset, false).unwrap();
        let whole = len / batch_size;
        assert_eq!(log.log_end_offset(), last.base_offset + whole as i64 * 2);
        match report.truncation {
            None => assert_eq!(len % batch_size, 0),
            Some(cut) => assert_eq!((cut.position, cut.bytes), (whole * batch_size, len % batch_size)),
        }
    }
}

#[test]
fn a_flipped_bit_ends_the_log_or_refuses_it() {
    let (store, log_of_all) = ten_batches();
    let second = log_of_all.segments()[1].base_offset;
    let path = format!("{DIR}/{}", with_offset(second, ".log"));
    for at in [0, 9, 16, 30, 70, 150] {
        let mut store = store.clone();
        overwrite(&mut store, &path, |bytes| bytes[at] ^= 0x55);
        // Not known to be on the disk: cut, with all that follows.
        let (log, report) = reopen(&mut store.clone(), second, false).unwrap();
        assert_eq!(log.log_end_offset(), second, "byte {at}");
        assert_eq!(log.segments().len(), 2);
        let cut = report.truncation.unwrap();
        assert_eq!((cut.path.as_str(), cut.position), (path.as_str(), 0));
        // Known to be on the disk, and in the middle: an error that says where.
        for is_last in [false, true] {
            if is_last {
                for segment in &log_of_all.segments()[2..] {
                    store.remove(&format!("{DIR}/{}", with_offset(segment.base_offset, ".log"))).unwrap();
                }
            }
            match reopen(&mut store, second + 1, false) {
                Err(LogError::Corrupt { path: found, position: 0, .. }) => assert_eq!(found, path),
                other => panic!("{other:?}"),
            }
            // Others have it, too.
            let options = OpenLog { recovery_point: second + 1, has_others: true, ..options(small()) };
            let (log, report) = Log::open(&mut store.clone(), now(0), options).unwrap();
            assert_eq!((log.log_end_offset(), log.recovery_point()), (second, second));
            assert_eq!(report.truncation.map(|cut| cut.position), Some(0));
        }
        // The recovery point is that of another log: nothing valid follows.
        overwrite(&mut store, &path, |bytes| bytes.truncate(bytes.len() / 2));
        let (log, report) = reopen(&mut store, second + 1, false).unwrap();
        assert_eq!((log.log_end_offset(), log.recovery_point()), (second, second));
        assert!(report.truncation.is_some());
    }
}

#[test]
fn indexes_are_rebuilt_as_they_were() {
    let (mut store, mut log) = ten_batches();
    let plan = log.close(&mut store, now(0)).unwrap();
    log.flushed(&plan);
    let bases: Vec<_> = log.segments().iter().map(|segment| segment.base_offset).collect();
    assert!(bases.len() > 2);
    let [first, .., last] = bases[..] else { unreachable!() };
    let before: Vec<_> = bases.iter().map(|base| indexes(&mut store, *base)).collect();
    assert!(before[0].iter().all(|index| !index.is_empty()));
    for base in &bases {
        for suffix in [".index", ".timeindex"] {
            let path = format!("{DIR}/{}", with_offset(*base, suffix));
            let damage: [fn(&mut Vec<u8>); 2] = [|bytes| bytes.push(0), |bytes| bytes.extend([0xff; 24])];
            for damage in damage {
                let mut store = store.clone();
                overwrite(&mut store, &path, damage);
                let (mut log, report) = reopen(&mut store, log.log_end_offset(), true).unwrap();
                assert_eq!(report.truncation, None);
                log.close(&mut store, now(0)).unwrap();
                // With a broken index at its end the log does not count as cleanly closed.
                assert!(report.rebuilt_indexes == [*base] || (*base == last && report.scanned_bytes > 0));
                let after: Vec<_> = bases.iter().map(|base| indexes(&mut store, *base)).collect();
                assert_eq!(after, before);
            }
        }
    }
    store.remove(&format!("{DIR}/{}", with_offset(first, ".index"))).unwrap();
    store.remove(&format!("{DIR}/{}", with_offset(last, ".timeindex"))).unwrap();
    let (mut log, report) = reopen(&mut store, log.log_end_offset(), true).unwrap();
    assert_eq!(report.rebuilt_indexes, [first, last]);
    log.close(&mut store, now(0)).unwrap();
    let after: Vec<_> = bases.iter().map(|base| indexes(&mut store, *base)).collect();
    assert_eq!(after, before);
}

#[test]
fn what_a_completed_segment_writes_last_is_not_believed_to_be_synced() {
    let (mut store, mut log) = fresh(small());
    for n in 0..3 {
        append(&mut log, &mut store, &batch(2, 100, 1_000 + 10 * n), 0);
    }
    let plan = log.plan_flush(&mut store, now(0), FlushScope::All).unwrap();
    log.flushed(&plan);
    append(&mut log, &mut store, &batch(2, 100, 2_000), 0);
    let second = log.segments()[1].base_offset;
    assert_eq!(log.recovery_point(), second);
    let whole = indexes(&mut store, 0);
    let path = format!("{DIR}/{}", with_offset(0, ".timeindex"));
    let damage: [fn(&mut Vec<u8>); 3] = [
        |bytes| bytes.truncate(bytes.len() - TIME_INDEX_ENTRY_SIZE),
        |bytes| bytes.iter_mut().rev().take(TIME_INDEX_ENTRY_SIZE).for_each(|byte| *byte = 0),
        |bytes| bytes.fill(0),
    ];
    for damage in damage {
        let mut store = store.clone();
        overwrite(&mut store, &path, damage);
        let (mut log, report) = reopen(&mut store, second, false).unwrap();
        assert_eq!(report.rebuilt_indexes, [0]);
        for (timestamp, offset) in [(1_000, 0), (1_010, 2), (1_021, 5), (1_022, 6)] {
            let found = log.fetch_offset_by_timestamp(&mut store, &Compressors::default(), timestamp);
            assert_eq!(found.unwrap().map(|found| found.offset), Some(offset));
        }
        assert_eq!(indexes(&mut store, 0), whole);
        // What was rebuilt has to be synced, whatever the recovery point was.
        assert_eq!(log.flush_due(now(0).monotonic), Some(FlushScope::All));
        let plan = log.plan_flush(&mut store, now(0), FlushScope::All).unwrap();
        assert!(plan.files.contains(log.segments()[0].time_index.file()));
    }
    // As it was left it is believed.
    let (_, report) = reopen(&mut store, second, false).unwrap();
    assert!(report.rebuilt_indexes.is_empty());
}

#[test]
fn an_opening_that_fails_leaves_no_part_of_the_epochs() {
    let (mut store, log) = ten_batches();
    let epochs = format!("{DIR}/leader-epoch-checkpoint");
    overwrite(&mut store, &epochs, |bytes| bytes.fill(0));
    let second = format!("{DIR}/{}", with_offset(log.segments()[1].base_offset, ".log"));
    overwrite(&mut store, &second, |bytes| bytes[70] ^= 0x55);
    assert!(matches!(reopen(&mut store, log.log_end_offset(), false), Err(LogError::Corrupt { .. })));
    assert!(LeaderEpochs::parse(&store.read(&epochs).unwrap()).is_err());
}

#[test]
fn an_epoch_without_room_is_written_though_a_later_one_has_no_records() {
    let mut disk = SimDisk::with_directory("data");
    let (mut log, _) = Log::open(&mut disk, now(0), options(small())).unwrap();
    let batch = batch(2, 100, 1_000);
    let body = batch.body();
    let batches = [AppendBatch { header: *batch.header(), body: &body }];
    disk.trouble(0, Some(Trouble::Full(batch.size_in_bytes() as u64)));
    log.append_as_leader(&mut disk, now(0), 1, AppendOrigin::Client, &batches).unwrap();
    disk.trouble(0, None);
    log.assign_epoch_start_offset(2, log.log_end_offset());
    let plan = log.plan_flush(&mut disk, now(0), FlushScope::All).unwrap();
    assert_eq!(plan.up_to, log.log_end_offset());
    let written = disk.read(&format!("{DIR}/leader-epoch-checkpoint")).unwrap();
    assert_eq!(LeaderEpochs::parse(&written).unwrap().epoch_for_offset(0), Some(1));
}

#[test]
fn a_clean_log_is_not_scanned() {
    let (mut store, mut log) = ten_batches();
    let plan = log.close(&mut store, now(0)).unwrap();
    log.flushed(&plan);
    let (opened, report) = reopen(&mut store, 20, true).unwrap();
    assert_eq!(report, RecoveryReport { log_end_offset: 20, ..RecoveryReport::default() });
    assert_eq!(opened.leader_epochs(), log.leader_epochs());
    assert_eq!(opened.producers(), log.producers());
    // The clean-shutdown file came back after a power loss: the log does not end where its recovery point is.
    let (_, report) = reopen(&mut store, 10, true).unwrap();
    assert!(report.scanned_bytes > 0);
}

/// Twelve batches, all of them synced, and some files of the last segment changed by `damage` afterwards.
fn synced(damage: impl FnOnce(&mut MemoryStore, i64)) -> (MemoryStore, Log<MemoryStore>) {
    let (mut store, mut log) = ten_batches();
    for timestamp in [2_000, 2_010] {
        append(&mut log, &mut store, &batch(2, 100, timestamp), 0);
    }
    let plan = log.plan_flush(&mut store, now(0), FlushScope::All).unwrap();
    log.flushed(&plan);
    damage(&mut store, log.segments().last().unwrap().base_offset);
    (store, log)
}

#[test]
fn a_log_that_ends_where_it_was_synced_is_not_scanned() {
    let (mut store, mut log) = synced(|_, _| ());
    let before = store.list(DIR).unwrap();
    let (mut opened, report) = reopen(&mut store, 24, false).unwrap();
    assert_eq!((report.log_end_offset, &report.rebuilt_indexes[..]), (24, &[][..]));
    assert_eq!(opened.producers(), log.producers());
    assert_eq!(opened.flush_due(now(0).monotonic), None);
    // But for the producers, which are read from the headers, nothing is new.
    let is_news = |entry: &Entry| !before.contains(entry);
    let news: Vec<_> = store.list(DIR).unwrap().into_iter().filter(is_news).map(|entry| entry.name).collect();
    assert_eq!(news, ["00000000000000000024.snapshot"]);
    // What the last life may have left unsynced beside the records goes with the first that are written.
    append(&mut opened, &mut store, &batch(2, 100, 2_020), 0);
    let plan = opened.plan_flush(&mut store, now(0), FlushScope::All).unwrap();
    assert_eq!(plan.directories, [DIR, "data"]);
    assert!(plan.files.contains(&store.open(&format!("{DIR}/leader-epoch-checkpoint")).unwrap()));
    append(&mut log, &mut store, &batch(2, 100, 2_020), 0);
    assert!(reopen(&mut store, 24, false).unwrap().1.scanned_bytes > 0);
}

#[test]
fn its_indexes_are_looked_at_and_rebuilt_where_a_power_loss_has_torn_them() {
    let whole = {
        let (mut store, log) = synced(|_, _| ());
        indexes(&mut store, log.segments().last().unwrap().base_offset)
    };
    assert!(whole.iter().all(|index| !index.is_empty()));
    let damage: [fn(&mut Vec<u8>); 4] =
        [|bytes| bytes.extend([0; 24]), |bytes| bytes.extend([0x7f; 24]), |bytes| bytes.fill(0), Vec::clear];
    for suffix in [".index", ".timeindex"] {
        for damage in damage {
            let path = |base: i64| format!("{DIR}/{}", with_offset(base, suffix));
            let (mut store, log) = synced(|store, base| overwrite(store, &path(base), damage));
            let last = log.segments().last().unwrap().base_offset;
            let (mut opened, _) = reopen(&mut store, 24, false).unwrap();
            let plan = opened.plan_flush(&mut store, now(0), FlushScope::All).unwrap();
            opened.flushed(&plan);
            let found = opened.fetch_offset_by_timestamp(&mut store, &Compressors::default(), 2_000);
            assert_eq!(found.unwrap().map(|found| found.offset), Some(20));
            // An offset index that ends early is as good.
            let is_short = suffix == ".index" && indexes(&mut store, last)[0].is_empty();
            assert!(is_short || indexes(&mut store, last) == whole, "{suffix}");
        }
    }
}

#[test]
fn what_an_interrupted_recovery_has_changed_is_not_taken_for_durable() {
    let (mut store, log) = ten_batches();
    let second = log.segments()[1].base_offset;
    // The log was synced up to here; what follows is torn, and is cut.
    overwrite(&mut store, &format!("{DIR}/{}", with_offset(second, ".log")), |bytes| bytes[70] ^= 0x55);
    let (cut, report) = reopen(&mut store, second, false).unwrap();
    assert!(report.truncation.is_some());
    assert_eq!(cut.log_end_offset(), second);
    for _ in 0..2 {
        // The process is killed before that is synced.
        let (log, _) = reopen(&mut store, second, false).unwrap();
        assert_eq!(log.flush_due(now(0).monotonic), Some(FlushScope::All));
    }
    let (mut log, _) = reopen(&mut store, second, false).unwrap();
    let plan = log.plan_flush(&mut store, now(0), FlushScope::All).unwrap();
    assert!(plan.files.contains(&log.segments()[0].log));
    log.flushed(&plan);
    log.settle(&mut store).unwrap();
    let (log, _) = reopen(&mut store, second, false).unwrap();
    // But for the last segment, which has just begun.
    assert_eq!((log.recovery_point(), log.flush_due(now(0).monotonic)), (second, Some(FlushScope::Inactive)));
}

#[test]
fn a_log_that_was_cut_to_nothing_is_not_taken_for_a_new_one() {
    let (mut store, mut log) = fresh(small());
    append(&mut log, &mut store, &batch(2, 100, 1_000), 0);
    // A power loss has taken half of the records, and the leader epochs.
    overwrite(&mut store, &format!("{DIR}/{}", with_offset(0, ".log")), |bytes| bytes.truncate(70));
    store.remove(&format!("{DIR}/leader-epoch-checkpoint")).unwrap();
    for _ in 0..2 {
        let (log, _) = reopen(&mut store, 0, false).unwrap();
        assert_eq!((log.log_end_offset(), log.flush_due(now(0).monotonic)), (0, Some(FlushScope::All)));
    }
}

#[test]
fn a_recovery_point_that_a_cut_has_overtaken_is_not_believed_when_the_log_has_grown_to_it_again() {
    let (mut store, log) = ten_batches();
    let last = log.segments().last().unwrap().base_offset;
    // Its checkpoint says 20, though it is cut further down: perhaps a disk has lied.
    overwrite(&mut store, &format!("{DIR}/{}", with_offset(last, ".log")), |bytes| bytes.truncate(70));
    let (mut cut, _) = reopen(&mut store, 20, false).unwrap();
    assert_eq!((cut.log_end_offset(), last), (18, 18));
    let plan = cut.plan_flush(&mut store, now(0), FlushScope::All).unwrap();
    cut.flushed(&plan);
    cut.settle(&mut store).unwrap();
    append(&mut cut, &mut store, &batch(2, 100, 1_009), 0);
    // The process is killed before the checkpoint says less.
    let (mut log, _) = reopen(&mut store, 20, false).unwrap();
    assert_eq!((log.log_end_offset(), log.flush_due(now(0).monotonic)), (20, Some(FlushScope::All)));
    let plan = log.plan_flush(&mut store, now(0), FlushScope::All).unwrap();
    log.flushed(&plan);
    log.settle(&mut store).unwrap();
    let (log, _) = reopen(&mut store, 20, false).unwrap();
    assert_eq!((log.recovery_point(), log.flush_due(now(0).monotonic)), (20, None));
}

#[test]
fn leader_epochs_are_rebuilt_from_the_batches() {
    let (mut store, mut log) = fresh(small());
    for n in 0..9 {
        let batch = batch(2, 100, n);
        let body = batch.body();
        let batches = [AppendBatch { header: *batch.header(), body: &body }];
        log.append_as_leader(&mut store, now(0), (n / 3) as i32 * 2, AppendOrigin::Client, &batches).unwrap();
    }
    let epochs: Vec<_> =
        log.leader_epochs().entries().iter().map(|entry| (entry.epoch, entry.start_offset)).collect();
    assert_eq!(epochs, [(0, 0), (2, 6), (4, 12)]);
    let path = format!("{DIR}/leader-epoch-checkpoint");
    assert_eq!(store.read(&path).unwrap(), b"0\n3\n0 0\n2 6\n4 12\n");
    for text in ["", "0\n1\n0 0\n", "rubbish"] {
        store.write_replacing(&path, text.as_bytes()).unwrap();
        let (opened, _) = reopen(&mut store, 0, false).unwrap();
        assert_eq!(opened.leader_epochs(), log.leader_epochs());
    }
}

#[test]
fn leftovers_are_removed() {
    let (mut store, _) = ten_batches();
    for name in ["00000000000000000099.index", "00000000000000000000.log.deleted", "x.cleaned", "y.tmp"] {
        store.create(&format!("{DIR}/{name}")).unwrap();
    }
    reopen(&mut store, 0, false).unwrap();
    let names: Vec<_> = store.list(DIR).unwrap().into_iter().map(|entry| entry.name).collect();
    assert!(names.iter().all(|name| !name.contains("99.") && !name.contains(".deleted")), "{names:?}");
    assert!(names.iter().all(|name| !name.ends_with(".cleaned") && !name.ends_with(".tmp")), "{names:?}");
}

#[test]
fn a_log_that_ends_before_its_start_offset_begins_anew() {
    let (mut store, _) = ten_batches();
    let options = OpenLog { log_start_offset: 50, recovery_point: 50, ..options(small()) };
    let (log, _) = Log::open(&mut store, now(0), options).unwrap();
    assert_eq!((log.log_start_offset(), log.log_end_offset(), log.high_watermark()), (50, 50, 50));
}

#[test]
fn an_interrupted_cleaning_is_finished_or_undone() {
    let (mut store, mut log) = ten_batches();
    let plan = log.close(&mut store, now(0)).unwrap();
    log.flushed(&plan);
    assert_eq!(log.segments()[1].base_offset, 6);
    let before = store.list(DIR).unwrap();
    // The first two segments were merged into one, of which only the second batch of each is left.
    let [first, second] =
        [0, 6].map(|base| store.read(&format!("{DIR}/{}", with_offset(base, ".log"))).unwrap());
    let third = first.len() / 3;
    let merged = [&first[third..2 * third], &second[third..]].concat();
    let swap = store.create(&format!("{DIR}/{}", with_offset(0, ".log.swap"))).unwrap();
    store.append(&swap, &[std::io::IoSlice::new(&merged)]).unwrap();
    let (mut undone, mut finished) = (store.clone(), store.clone());

    let (mut log, report) = reopen(&mut finished, 20, true).unwrap();
    assert_eq!(log.segments().iter().map(|segment| segment.base_offset).collect::<Vec<_>>(), [0, 12, 18]);
    assert_eq!(report.rebuilt_indexes, [0]);
    assert_eq!(read_bases(&mut log, &mut finished, 0, 10_000), [2, 8, 10]);
    assert_eq!(read_bases(&mut log, &mut finished, 4, 1), [8]);

    undone.create(&format!("{DIR}/{}", with_offset(0, ".log.cleaned"))).unwrap();
    let (log, report) = reopen(&mut undone, 20, true).unwrap();
    assert_eq!((log.segments().len(), report.scanned_bytes), (4, 0));
    assert_eq!(undone.list(DIR).unwrap(), before);
}

#[test]
fn a_file_can_be_read_by_itself() {
    let (mut store, _) = ten_batches();
    let path = format!("{DIR}/{}", with_offset(6, ".log"));
    let mut file = crate::log::log_file::LogFile::open(&mut store, &path).unwrap();
    let mut found = Vec::new();
    while let Some((position, batch)) = file.next(&mut store).unwrap() {
        batch.check_crc().unwrap();
        found.push((position, batch.base_offset));
    }
    let size = batch(2, 100, 0).size_in_bytes() as u64;
    assert_eq!(found, [(0, 6), (size, 8), (2 * size, 10)]);
}
