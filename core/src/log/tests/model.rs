//! Appends, rolls, reads, truncations and restarts against a list of batches.

use super::*;
use crate::rng::Rng;

/// What the log should hold: (base offset, last offset, size, max timestamp).
#[derive(Clone, Debug, Default)]
struct Model {
    batches: Vec<(i64, i64, u64)>,
    start: i64,
    end: i64,
}

impl Model {
    fn expected(&self, offset: i64, max_bytes: u64, segments: &[i64]) -> Vec<i64> {
        let segment_end =
            |base: i64| segments.iter().copied().find(|start| *start > base).unwrap_or(i64::MAX);
        let mut found = Vec::new();
        let (mut bytes, mut limit) = (0, i64::MAX);
        for (base, last, size) in &self.batches {
            if *last < offset || *base >= limit {
                continue;
            }
            if found.is_empty() {
                limit = segment_end(*base);
            } else if bytes + size > max_bytes {
                break;
            }
            bytes += size;
            found.push(*base);
        }
        found
    }
}

fn check(
    log: &mut Log<MemoryStore>,
    store: &mut MemoryStore,
    model: &Model,
    rng: &mut Rng,
    hint: &mut Option<ReadHint>,
) {
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (model.start, model.end));
    let segments: Vec<_> = log.segments().iter().map(|segment| segment.base_offset).collect();
    for _ in 0..6 {
        let offset = model.start + rng.below((model.end - model.start + 1) as u64) as i64;
        let max_bytes = rng.below(1_500);
        let expected = model.expected(offset, max_bytes, &segments);
        assert_eq!(read_bases(log, store, offset, max_bytes), expected, "{offset} {max_bytes}");
        // In sequence, with whatever hint was kept, however old.
        let data = log.read(store, offset, max_bytes, FetchIsolation::LogEnd, true, hint.as_ref()).unwrap();
        assert_eq!(data.records.map_or(0, |slice| slice.len()), data.size);
        let bases: u64 =
            expected.iter().map(|base| model.batches.iter().find(|b| b.0 == *base).unwrap().2).sum();
        assert_eq!(data.size, bases);
        if rng.chance(1, 2) {
            *hint = data.next;
        }
        if let Some(next) = data.next {
            let next_offset = model.batches.iter().find(|b| Some(&b.0) == expected.last()).unwrap().1 + 1;
            let with = log.read(store, next_offset, 700, FetchIsolation::LogEnd, true, Some(&next)).unwrap();
            let without = log.read(store, next_offset, 700, FetchIsolation::LogEnd, true, None).unwrap();
            assert_eq!((with.size, with.next), (without.size, without.next.map(|_| with.next.unwrap())));
        }
    }
}

fn run(seed: u64) {
    let mut rng = Rng::from_seed(seed);
    let (mut store, mut log) = fresh(small());
    let mut model = Model::default();
    let mut hint = None;
    let mut clock = 0;
    for _ in 0..120 {
        clock += 10;
        match rng.below(20) {
            0..12 => {
                let batch = batch(1 + rng.below(4) as i32, rng.below(120) as usize, clock);
                let info = append(&mut log, &mut store, &batch, clock);
                assert_eq!(info.first_offset, model.end);
                model.batches.push((info.first_offset, info.last_offset, info.size));
                model.end = info.last_offset + 1;
            }
            12 => {
                log.set_high_watermark(model.end);
                let start = model.start + rng.below((model.end - model.start + 1) as u64) as i64;
                log.increment_log_start_offset(&mut store, start).unwrap();
                log.delete_old_segments(&mut store, now(clock)).unwrap();
                model.start = start;
            }
            13 => {
                let offset = model.start + rng.below((model.end - model.start + 1) as u64) as i64;
                log.truncate_to(&mut store, now(clock), offset).unwrap();
                model.batches.retain(|(_, last, _)| *last < offset);
                model.end = offset;
            }
            14 => {
                let plan = log.plan_flush(&mut store, now(clock), FlushScope::All).unwrap();
                log.flushed(&plan);
            }
            15 => log.tick(&mut store, now(clock)).unwrap(),
            16..18 => {
                let clean = rng.chance(1, 2);
                if clean {
                    let plan = log.close(&mut store, now(clock)).unwrap();
                    log.flushed(&plan);
                }
                let mut options = options(small());
                options.log_start_offset = log.log_start_offset();
                options.recovery_point = log.recovery_point();
                options.high_watermark = log.high_watermark();
                options.clean_shutdown = clean;
                let mut recovery = Recovery::start(&mut store, now(clock), options).unwrap();
                while !recovery.step(&mut store, 200).unwrap() {}
                let (opened, report) = recovery.finish(&mut store, now(clock)).unwrap();
                assert_eq!(report.truncation, None);
                let mut epochs = log.leader_epochs().clone();
                epochs.truncate_from_end(opened.log_end_offset());
                if opened.log_start_offset() < opened.log_end_offset() {
                    assert_eq!(*opened.leader_epochs(), epochs);
                }
                // A batch cut in its middle takes the records before the cut along, for good.
                let end = model.batches.last().map_or(model.start, |batch| batch.1 + 1).max(model.start);
                model.end = end;
                log = opened;
            }
            _ => {}
        }
        check(&mut log, &mut store, &model, &mut rng, &mut hint);
    }
}

#[test]
fn a_log_behaves_like_a_list_of_batches() {
    for seed in 0..60 {
        run(seed);
    }
}
