//! Any bytes as the files that a broker finds: a partition's segment and what lies beside it. The log opens or says why not; what it
//! opens with holds what it says, and opens again to the same.

use std::io::IoSlice;

use ottla_core::log::{Log, LogConfig, LogStore as _, MemoryStore, OpenLog};
use ottla_core::record::{BatchView, Compressors};
use ottla_core::time::{Instant, Now};
use ottla_core::tools::{Check, DUMP_LOG, DumpLent, DumpLog};

use super::Choices;

const DIR: &str = "./data/t-0";
const NOW: Now = Now { monotonic: Instant(0), wall: 1_760_000_000_000 };

pub fn run(input: &[u8]) {
    let mut choices = Choices(input);
    let flags = choices.byte();
    let mut store = MemoryStore::new();
    store.create_dir(DIR).expect("memory");
    const BESIDE: [&str; 6] = [
        "00000000000000000000.index",
        "00000000000000000000.timeindex",
        "00000000000000000000.txnindex",
        "leader-epoch-checkpoint",
        "partition.metadata",
        "00000000000000000000.snapshot",
    ];
    for (at, name) in BESIDE.into_iter().enumerate() {
        if flags >> at & 1 == 1 {
            let count = choices.below(200);
            write(&mut store, name, choices.bytes(count));
        }
    }
    let segment = choices.0.to_vec();
    write(&mut store, "00000000000000000000.log", &if flags & 0x40 == 0 { mended(segment) } else { segment });
    read_only(&mut store);
    let Some(first) = open(&mut store, flags & 0x80 != 0) else { return };
    assert_eq!(open(&mut store, false), Some(first), "a log that was recovered is whole");
}

/// Where it ends.
fn open(store: &mut MemoryStore, clean_shutdown: bool) -> Option<i64> {
    let options = OpenLog {
        dir: DIR.to_owned(),
        config: LogConfig { segment_bytes: 1_000, index_interval_bytes: 100, ..LogConfig::default() },
        log_start_offset: 0,
        recovery_point: 0,
        high_watermark: 0,
        clean_shutdown,
        has_others: false,
    };
    let (mut log, _) = Log::open(store, NOW, options).ok()?;
    let end = log.log_end_offset();
    log.close(store, NOW).ok()?;
    Some(end)
}

/// Tools that look at files of others.
fn read_only(store: &mut MemoryStore) {
    let compressors = Compressors::default();
    let mut said = |_| {};
    let check = Check::start(&["./data".to_owned()]).expect("arguments");
    check.run(store, &compressors, &mut said);
    for name in ["00000000000000000000.log", "00000000000000000000.index", "00000000000000000000.timeindex"] {
        let arguments = [
            "--files".to_owned(),
            format!("{DIR}/{name}"),
            "--print-data-log".to_owned(),
            "--deep-iteration".to_owned(),
        ];
        let dump = DumpLog::start(&arguments).unwrap_or_else(|exit| panic!("{DUMP_LOG}: {exit:?}"));
        dump.run(store, DumpLent { compressors: &compressors, current_directory: "/" }, &mut said);
    }
}

fn write(store: &mut MemoryStore, name: &str, bytes: &[u8]) {
    let file = store.create(&format!("{DIR}/{name}")).expect("memory");
    store.append(&file, &[IoSlice::new(bytes)]).expect("memory");
}

/// The batches with the checksums that they should have, so that the fuzzer gets past them.
fn mended(mut segment: Vec<u8>) -> Vec<u8> {
    let mut at = 0;
    while let Ok(batch) = BatchView::read(&segment[at..]) {
        let (crc, bytes) = (batch.compute_crc().to_be_bytes(), batch.bytes().len());
        segment[at + 17..at + 21].copy_from_slice(&crc);
        at += bytes;
    }
    segment
}
