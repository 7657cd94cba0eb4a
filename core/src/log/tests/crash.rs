//! Power loss: whatever was not synced is there, is zeros, is missing, or is torn at a page.

use bytes::Bytes;

use super::*;
use crate::log::memory::{Content, Node, PAGE_SIZE};
use crate::record::batches;
use crate::rng::Rng;

/// What a disk holds after a power loss: of each file the durable bytes, and of the rest whole pages in any order.
fn lose_power(durable: &MemoryStore, cached: &MemoryStore, rng: &mut Rng) -> MemoryStore {
    let mut after = durable.clone();
    let new_files: Vec<_> = cached.nodes().filter(|(path, _)| durable.node(path).is_none()).collect();
    // Creations reach the disk in their order.
    let survivors = rng.below(new_files.len() as u64 + 1) as usize;
    let mut by_creation: Vec<_> = new_files
        .iter()
        .filter_map(|(path, node)| match node {
            Node::File(inode) => Some((inode.0, path.to_string(), *inode)),
            Node::Directory => None,
        })
        .collect();
    by_creation.sort_unstable();
    for (_, path, inode) in by_creation.into_iter().take(survivors) {
        after.set_content(inode, Content::default());
        after.set_node(&path, Some(Node::File(inode)));
    }
    let files: Vec<_> = after
        .nodes()
        .filter_map(|(_, node)| match node {
            Node::File(inode) => Some(inode),
            Node::Directory => None,
        })
        .collect();
    for inode in files {
        let (Some(old), Some(new)) = (after.content(inode).cloned(), cached.content(inode)) else { continue };
        after.set_content(inode, torn(&old, new, rng));
    }
    after
}

fn torn(old: &Content, new: &Content, rng: &mut Rng) -> Content {
    if new.len() <= old.len() {
        return if rng.chance(1, 2) { new.clone() } else { old.clone() };
    }
    let len = old.len() + rng.below(new.len() - old.len() + 1);
    let wanted = new.bytes(0..len);
    let mut bytes = old.bytes(0..old.len()).to_vec();
    bytes.resize(len as usize, 0);
    for (page, wanted) in bytes.chunks_mut(PAGE_SIZE).zip(wanted.chunks(PAGE_SIZE)) {
        if rng.chance(2, 3) {
            page.copy_from_slice(wanted);
        }
    }
    Content::from_bytes(&bytes)
}

/// Base and last offset of all batches from `offset` on, checksums verified.
fn contents(log: &mut Log<MemoryStore>, store: &mut MemoryStore) -> Vec<(i64, i64)> {
    let mut found = Vec::new();
    let mut offset = log.log_start_offset();
    while offset < log.log_end_offset() {
        let data = log.read(store, offset, 1 << 20, FetchIsolation::LogEnd, true, None).unwrap();
        let bytes: Bytes = data.records.map(|slice| store.read_slice(&slice).unwrap()).unwrap();
        for batch in batches(&bytes) {
            let batch = batch.unwrap();
            batch.check_crc().unwrap();
            found.push((batch.base_offset, batch.last_offset()));
            offset = batch.next_offset();
        }
    }
    found
}

fn run(seed: u64) -> (bool, bool) {
    let mut rng = Rng::from_seed(seed);
    let config = LogConfig { segment_bytes: 20_000, index_interval_bytes: 1_000, ..LogConfig::default() };
    let (mut store, mut log) = fresh(config.clone());
    let mut model: Vec<(i64, i64)> = Vec::new();
    let mut durable = store.clone();
    let (mut recovery_point, mut clock) = (0, 0);
    let (mut cut, mut lost) = (false, false);
    for _ in 0..60 {
        clock += 10;
        match rng.below(12) {
            0..9 => {
                let batch = batch(1 + rng.below(5) as i32, rng.below(1_500) as usize, clock);
                let info = append(&mut log, &mut store, &batch, clock);
                model.push((info.first_offset, info.last_offset));
            }
            9 => {
                let plan = log.plan_flush(&mut store, now(clock), FlushScope::All).unwrap();
                log.flushed(&plan);
                durable = store.clone();
                recovery_point = log.recovery_point();
            }
            _ => {
                let is_power_loss = rng.chance(1, 2);
                if is_power_loss {
                    store = lose_power(&durable, &store, &mut rng);
                }
                let mut options = options(config.clone());
                options.recovery_point = recovery_point;
                // The file came back with the power, or was there all the time.
                options.clean_shutdown = is_power_loss && rng.chance(1, 4);
                let (opened, report) = Log::open(&mut store, now(clock), options).unwrap();
                log = opened;
                let end = log.log_end_offset();
                assert!(end >= recovery_point, "{end} {recovery_point} {report:?}");
                if !is_power_loss {
                    assert_eq!(model.last().map_or(0, |batch| batch.1 + 1), end);
                }
                lost |= model.last().is_some_and(|batch| batch.1 >= end);
                cut |= report.truncation.is_some();
                model.retain(|(_, last)| *last < end);
                durable = store.clone();
                recovery_point = log.recovery_point();
            }
        }
        assert_eq!(contents(&mut log, &mut store), model, "seed {seed}");
        for (base, last) in &model {
            let offset = base + rng.below((last - base + 1) as u64) as i64;
            assert_eq!(read_bases(&mut log, &mut store, offset, 1), [*base]);
        }
    }
    (cut, lost)
}

#[test]
fn what_was_synced_survives_and_nothing_is_half_there() {
    let outcomes: Vec<_> = (0..80).map(run).collect();
    assert!(outcomes.iter().filter(|(cut, _)| *cut).count() > 10);
    assert!(outcomes.iter().filter(|(_, lost)| *lost).count() > 10);
}

/// A power loss can leave the beginning of a segment, cut between two batches, and the one after it.
fn with_a_gap(config: &LogConfig) -> MemoryStore {
    let (mut store, mut log) = fresh(config.clone());
    let sizes: Vec<u64> = (0..6)
        .map(|clock| {
            append(&mut log, &mut store, &batch(1, 500, clock), clock);
            log.segments()[0].size()
        })
        .collect();
    assert!(log.segments().len() > 1);
    let file = store.open("data/t-0/00000000000000000000.log").unwrap();
    store.truncate(&file, sizes[0]).unwrap();
    store
}

#[test]
fn a_gap_that_compaction_may_have_left_is_doubtful() {
    let config = LogConfig { segment_bytes: 2_000, compact: true, ..LogConfig::default() };
    let mut store = with_a_gap(&config);
    let (mut log, report) = Log::open(&mut store, now(10), options(config)).unwrap();
    assert_eq!((log.log_end_offset(), report.doubtful_from), (6, Some(1)));
    assert!(contents(&mut log, &mut store).len() > 1);
}

#[test]
fn a_gap_between_segments_ends_the_log() {
    let config = LogConfig { segment_bytes: 2_000, ..LogConfig::default() };
    let mut store = with_a_gap(&config);
    let (mut log, report) = Log::open(&mut store, now(10), options(config)).unwrap();
    assert_eq!((log.log_end_offset(), log.segments().len()), (1, 1), "{report:?}");
    assert_eq!(contents(&mut log, &mut store), [(0, 0)]);
    // What was cut off may come back until that is on the disk.
    let plan =
        log.flush_due(now(10).monotonic).map(|scope| log.plan_flush(&mut store, now(10), scope).unwrap());
    // Records, their indexes, and the leader epochs.
    assert_eq!(plan.map(|plan| plan.files.len()), Some(4));
    assert_eq!(log.flush_due(now(10).monotonic), None);
}
