//! A replicated log and its snapshots: where a follower's log stands against it.

use std::io::IoSlice;

use super::*;
use crate::log::MemoryStore;
use crate::metadata::MetadataVersion;
use crate::quorum::checkpoint::Checkpoint;
use crate::quorum::raft::tests::{config, now};
use crate::record::{Batch, BatchBuilder, BatchOptions};

struct Bench {
    store: MemoryStore,
    log: QuorumLog<MemoryStore>,
}

fn id(end_offset: i64, epoch: i32) -> SnapshotId {
    SnapshotId { end_offset, epoch }
}

impl Bench {
    fn new() -> Self {
        let mut store = MemoryStore::default();
        let log = QuorumLog::open(&mut store, now(0), &config(1)).expect("an empty log");
        Self { store, log }
    }

    /// Ten committed records of an epoch.
    fn ten(&mut self, epoch: i32) {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        for n in 0..10 {
            builder.append(n, None, Some(b"record"), &[]);
        }
        let batch = Batch::read(&builder.build(&Compressors::default())).expect("a batch");
        let body = batch.body();
        let batch = AppendBatch { header: *batch.header(), body: &body };
        self.log.append_as_leader(&mut self.store, now(0), epoch, batch).expect("appended");
        self.log.set_high_watermark(self.log.end_offset());
    }

    fn write(&mut self, id: SnapshotId) {
        let bytes = Checkpoint::default().encode(id.epoch, MetadataVersion::LATEST, 0);
        let file = self.store.create(&join(&config(1).dir, &id.file_name())).expect("created");
        self.store.append(&file, &[IoSlice::new(&bytes)]).expect("written");
    }

    fn snapshot(&mut self, id: SnapshotId) {
        self.write(id);
        self.log.add_snapshot(&mut self.store, now(0), id).expect("added");
    }

    fn install(&mut self, id: SnapshotId) {
        self.write(id);
        self.log.install(&mut self.store, now(0), id).expect("installed");
    }

    fn reopen(&mut self) {
        self.log = QuorumLog::open(&mut self.store, now(0), &config(1)).expect("what is there");
    }

    #[track_caller]
    fn expect(&self, offset: i64, epoch: i32, expected: Validity) {
        assert_eq!(self.log.validate(offset, epoch), expected, "offset {offset}, epoch {epoch}");
    }
}

fn diverging(epoch: i32, end_offset: i64) -> Validity {
    Validity::Diverging { epoch, end_offset }
}

#[test]
fn a_log_that_begins_with_its_first_record() {
    let mut bench = Bench::new();
    bench.expect(0, 0, Validity::Valid);
    bench.ten(1);
    bench.ten(3);
    bench.snapshot(id(10, 1));
    for (offset, epoch) in [(0, 0), (10, 1), (12, 3), (20, 3)] {
        bench.expect(offset, epoch, Validity::Valid);
    }
    // It begins before its only snapshot.
    assert_eq!(bench.log.start_offset(), 0);
    bench.expect(3, 0, Validity::Snapshot(id(10, 1)));
    for (offset, epoch, expected) in [(12, 1, (1, 10)), (12, 2, (1, 10)), (21, 3, (3, 20)), (20, 4, (3, 20))]
    {
        bench.expect(offset, epoch, diverging(expected.0, expected.1));
    }
}

#[test]
fn a_log_that_begins_at_a_snapshot() {
    let mut bench = Bench::new();
    for (epoch, snapshot) in [(1, id(10, 1)), (2, id(20, 2)), (2, id(30, 2))] {
        bench.ten(epoch);
        bench.snapshot(snapshot);
    }
    bench.ten(4);
    assert_eq!((bench.log.start_offset(), bench.log.snapshots()), (20, &[id(20, 2), id(30, 2)][..]));
    for (offset, epoch) in [(20, 2), (25, 2), (30, 2), (31, 4), (40, 4)] {
        bench.expect(offset, epoch, Validity::Valid);
    }
    // What is before the log, and what is of no record in it, is the newest snapshot's business.
    for (offset, epoch) in [(0, 0), (19, 2), (20, 1), (20, 3), (25, 1)] {
        bench.expect(offset, epoch, Validity::Snapshot(id(30, 2)));
    }
    bench.expect(31, 2, diverging(2, 30));
    bench.expect(31, 3, diverging(2, 30));
}

#[test]
fn a_snapshot_that_was_fetched_leaves_older_ones_behind() {
    let mut bench = Bench::new();
    bench.ten(1);
    bench.snapshot(id(10, 1));
    bench.ten(2);
    bench.install(id(50, 4));
    for is_opened_again in [false, true] {
        if is_opened_again {
            bench.reopen();
        }
        assert_eq!((bench.log.start_offset(), bench.log.snapshots()), (50, &[id(10, 1), id(50, 4)][..]));
        // The log follows on the second one; the first has nothing to say of it.
        bench.expect(50, 4, Validity::Valid);
        for (offset, epoch) in [(0, 0), (10, 1), (20, 2), (49, 4), (50, 1), (50, 3)] {
            bench.expect(offset, epoch, Validity::Snapshot(id(50, 4)));
        }
        bench.expect(51, 4, diverging(4, 50));
        assert_eq!(bench.log.last_epoch(), 4);
        assert_eq!(bench.log.end_offset_for_epoch(4), (4, 50));
    }
    bench.ten(6);
    bench.expect(50, 4, Validity::Valid);
    bench.expect(50, 1, Validity::Snapshot(id(50, 4)));
    bench.expect(51, 4, diverging(4, 50));
    bench.expect(51, 5, diverging(4, 50));
    bench.expect(60, 6, Validity::Valid);
    bench.snapshot(id(60, 6));
    assert_eq!((bench.log.start_offset(), bench.log.snapshots()), (50, &[id(50, 4), id(60, 6)][..]));
    bench.expect(50, 4, Validity::Valid);
}
