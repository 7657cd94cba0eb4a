//! Whatever is on the disk: an answer or an error, never a panic, never a batch whose checksum is wrong.

use super::*;
use crate::log::memory::{Content, Node};
use crate::rng::Rng;

fn damage(store: &mut MemoryStore, rng: &mut Rng) {
    let files: Vec<_> = store
        .nodes()
        .filter_map(|(_, node)| match node {
            Node::File(inode) => Some(inode),
            Node::Directory => None,
        })
        .collect();
    for _ in 0..=rng.below(3) {
        let inode = files[rng.below(files.len() as u64) as usize];
        let Some(content) = store.content(inode) else { continue };
        let mut bytes = content.bytes(0..u64::MAX).to_vec();
        let at = rng.below(bytes.len() as u64 + 1) as usize;
        match rng.below(4) {
            0 => bytes.truncate(at),
            1 => bytes.extend((0..rng.below(200)).map(|_| 0)),
            2 => bytes.extend((0..rng.below(200)).map(|n| n as u8)),
            _ => {
                for byte in bytes.iter_mut().skip(at).take(1 + rng.below(12) as usize) {
                    *byte = rng.next_u64() as u8;
                }
            }
        }
        store.set_content(inode, Content::from_bytes(&bytes));
    }
}

fn use_it(log: &mut Log<MemoryStore>, store: &mut MemoryStore, rng: &mut Rng) -> Result<(), LogError> {
    let end = log.log_end_offset();
    for _ in 0..20 {
        let offset = rng.below(end as u64 + 2) as i64;
        let isolation = [FetchIsolation::LogEnd, FetchIsolation::HighWatermark, FetchIsolation::TxnCommitted]
            [rng.below(3) as usize];
        match log.read(store, offset, rng.below(2_000), isolation, rng.chance(1, 2), None) {
            Ok(_) | Err(LogError::OffsetOutOfRange { .. } | LogError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
        let _ = log.fetch_offset_by_timestamp(store, &Compressors::default(), rng.below(2_000) as i64 - 3);
        let _ = log.offset_metadata(store, offset);
    }
    append(log, store, &batch(1, 10, 0), 0);
    let middle = rng.below(log.log_end_offset() as u64 + 1) as i64;
    log.set_high_watermark(middle);
    log.increment_log_start_offset(store, middle)?;
    log.delete_old_segments(store, now(0))?;
    log.truncate_to(store, now(0), middle + 1)?;
    log.tick(store, now(100_000))?;
    log.close(store, now(0)).map(drop)
}

#[test]
fn damaged_files_are_errors_or_are_repaired() {
    let (mut opened, mut refused) = (0, 0);
    for seed in 0..600 {
        let mut rng = Rng::from_seed(seed);
        let (mut store, mut log) = fresh(small());
        for n in 0..12 {
            let options = BatchOptions {
                producer_id: 1 + n % 2,
                producer_epoch: 0,
                base_sequence: (n / 2 * 2) as i32,
                is_transactional: n % 2 == 0,
                ..BatchOptions::default()
            };
            append(&mut log, &mut store, &batch_of(options, 2, 100, n), 0);
        }
        log.close(&mut store, now(0)).unwrap();
        damage(&mut store, &mut rng);
        let options = OpenLog {
            clean_shutdown: rng.chance(1, 2),
            recovery_point: if rng.chance(1, 2) { 24 } else { 0 },
            ..options(small())
        };
        match Log::open(&mut store, now(0), options) {
            Ok((mut log, _)) => {
                opened += 1;
                let _ = use_it(&mut log, &mut store, &mut rng);
            }
            Err(LogError::Corrupt { .. }) => refused += 1,
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    assert!(opened > 100 && refused > 20, "{opened} {refused}");
}
