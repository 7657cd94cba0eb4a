//! One fault of each kind is planted in a directory as a node leaves it: the check names it, and nothing else.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::sync::Arc;

use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};

use super::*;
use crate::broker::RequestContext;
use crate::config::{BrokerConfig, Origin, Setting};
use crate::controller::{self, ControllerEvent, ControllerRequest};
use crate::coordinator::Token;
use crate::crc::{CrcAlgorithm, checksum};
use crate::ids::ConnectionId;
use crate::log::{AppendBatch, AppendOrigin, Log, LogConfig, MemoryStore, OpenLog, partition_metadata};
use crate::machine::{Cx, Effect, Effects, Machine as _, SyncOutcome};
use crate::record::{Batch, BatchBuilder, BatchOptions, EndTxnMarker};
use crate::rng::Rng;
use crate::time::{Instant, Now};
use crate::trace::Traces;

const DATA: &str = "./data";
const PARTITION: &str = "./data/t-0";
const METADATA: &str = "./data/__cluster_metadata-0";
const TIME: i64 = 1_760_000_000_000;

fn now() -> Now {
    Now { monotonic: Instant(0), wall: TIME }
}

/// Formats a node and creates the topic `t`; what a node does before there is a partition.
fn write_metadata(store: &mut MemoryStore) {
    let log_dirs = Setting { value: DATA.to_owned(), origin: Origin::Override };
    let config = BrokerConfig::resolve([("log.dirs".to_owned(), log_dirs)], true).unwrap().config;
    let (mut effects, mut traces) = (Effects::default(), Traces::default());
    let compressors = Compressors::default();
    let mut cx =
        Cx { now: now(), store, compressors: &compressors, effects: &mut effects, traces: &mut traces };
    let (mut controller, _) = controller::open(&mut cx, &Arc::new(config), Rng::from_seed(7)).unwrap();
    let topic = CreatableTopic {
        name: "t".into(),
        num_partitions: 1,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() };
    let context = RequestContext::anonymous("PLAINTEXT", "/127.0.0.1");
    let token = Token { connection: ConnectionId(1), request: 1 };
    let request = ControllerRequest::CreateTopics(request);
    controller.handle(&mut cx, ControllerEvent::Request { token, context, request, version: None });
    loop {
        let effects: Vec<_> = cx.effects.drain().collect();
        let syncs = effects.into_iter().filter_map(|effect| match effect {
            Effect::Sync { then, .. } => Some(then.token),
            _ => None,
        });
        let syncs: Vec<u64> = syncs.collect();
        if syncs.is_empty() {
            return;
        }
        for token in syncs {
            controller.handle(&mut cx, ControllerEvent::Synced { token, outcome: SyncOutcome::Done });
        }
    }
}

/// Three segments: plain records, then a transaction that is aborted, then plain records again. Each has indexes.
fn write_partition(store: &mut MemoryStore) {
    let config = LogConfig { segment_bytes: 1_000, index_interval_bytes: 100, ..LogConfig::default() };
    let options = OpenLog {
        dir: PARTITION.to_owned(),
        config,
        log_start_offset: 0,
        recovery_point: 0,
        high_watermark: 0,
        clean_shutdown: false,
        has_others: false,
    };
    let (mut log, _) = Log::open(store, now(), options).unwrap();
    let mut append = |batch: Batch, origin: AppendOrigin| {
        let body = batch.body();
        let batches = [AppendBatch { header: *batch.header(), body: &body }];
        log.append_as_leader(store, now(), 0, origin, &batches).unwrap();
    };
    let batch = |options: BatchOptions, timestamp: i64| {
        let mut builder = BatchBuilder::new(options);
        builder.append(timestamp, Some(b"key"), Some(&[7; 100]), &[]);
        builder.append(timestamp, None, Some(&[8; 100]), &[]);
        Batch::read(&builder.build(&Compressors::default())).unwrap()
    };
    for at in 0..9 {
        let mine = BatchOptions {
            producer_id: 9,
            producer_epoch: 0,
            base_sequence: if at == 4 { 0 } else { 2 },
            is_transactional: true,
            ..BatchOptions::default()
        };
        let options = if matches!(at, 4 | 5) { mine } else { BatchOptions::default() };
        append(batch(options, TIME + at), AppendOrigin::Client);
        if at == 5 {
            let marker = EndTxnMarker { is_commit: false, coordinator_epoch: 0 };
            let marker = Batch::read(&marker.batch(9, 0, TIME + 5, 0)).unwrap();
            append(marker, AppendOrigin::Coordinator);
        }
    }
    log.close(store, now()).unwrap();
    let metadata = format!("{METADATA}/{}", crate::log::file_names::PARTITION_METADATA);
    assert!(store.read(&metadata).is_ok());
}

/// A directory after a clean stop.
fn directory() -> MemoryStore {
    let mut store = MemoryStore::new();
    write_metadata(&mut store);
    write_partition(&mut store);
    let topic_id = {
        let compressors = Compressors::default();
        let mut say = |_: Output| {};
        let mut store = ReadOnly(&mut store);
        let mut run = Run { store: &mut store, compressors: &compressors, report: Report::new(&mut say, 1) };
        let log_dir = LogDir::open(&mut run, DATA).unwrap();
        Metadata::read(&mut run, &[log_dir]).unwrap().topic_id("t").unwrap()
    };
    partition_metadata::write(&mut store, PARTITION, topic_id).unwrap();
    for name in ["recovery-point-offset-checkpoint", "replication-offset-checkpoint"] {
        write(&mut store, &format!("{DATA}/{name}"), b"0\n1\nt 0 19\n");
    }
    write(&mut store, &format!("{DATA}/.kafka_cleanshutdown"), b"{\"version\":0,\"brokerEpoch\":-1}");
    store
}

fn write(store: &mut MemoryStore, path: &str, bytes: &[u8]) {
    let _ = store.remove(path);
    let file = store.create(path).unwrap();
    store.append(&file, &[IoSlice::new(bytes)]).unwrap();
}

fn edit(store: &mut MemoryStore, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = store.read(path).unwrap();
    change(&mut bytes);
    write(store, path, &bytes);
}

/// Every file with its bytes.
fn contents(store: &mut MemoryStore, path: &str, into: &mut BTreeMap<String, Vec<u8>>) {
    for entry in store.list(path).unwrap() {
        let path = format!("{path}/{}", entry.name);
        if entry.is_dir {
            into.insert(path.clone(), Vec::new());
            contents(store, &path, into);
        } else {
            into.insert(path.clone(), store.read(&path).unwrap());
        }
    }
}

/// The exit code and the lines but the last, after a check that has changed nothing.
#[track_caller]
fn checked(store: &mut MemoryStore, arguments: &[&str]) -> (i32, Vec<String>) {
    let everything = |store: &mut MemoryStore| {
        let mut files = BTreeMap::new();
        contents(store, DATA, &mut files);
        files
    };
    let before = everything(store);
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let mut stdout = String::new();
    let check = Check::start(&arguments).unwrap();
    let code = check.run(store, &Compressors::default(), &mut |output| stdout.push_str(&output.stdout));
    assert_eq!(everything(store), before, "the check has changed something");
    let mut lines: Vec<String> = stdout.lines().map(str::to_owned).collect();
    assert!(lines.pop().is_some_and(|last| last.contains(" partitions, ")), "{stdout}");
    (code, lines)
}

fn segment(base_offset: i64, suffix: &str) -> String {
    format!("{PARTITION}/{base_offset:020}{suffix}")
}

/// Where the batches of the segment begin.
fn batches(store: &mut MemoryStore, base_offset: i64) -> Vec<usize> {
    let bytes = store.read(&segment(base_offset, ".log")).unwrap();
    let mut positions = Vec::new();
    let mut at = 0;
    for batch in crate::record::batches(&bytes.into()) {
        positions.push(at);
        at += batch.unwrap().header().size_in_bytes();
    }
    positions
}

/// Changes a batch and makes its checksum right again.
fn edit_batch(store: &mut MemoryStore, path: &str, at: usize, change: impl FnOnce(&mut [u8])) {
    edit(store, path, |bytes| {
        let end = at + Batch::read(&bytes[at..].to_vec().into()).unwrap().header().size_in_bytes();
        change(&mut bytes[at..end]);
        let crc = checksum(CrcAlgorithm::Crc32Iscsi, &bytes[at + 21..end]) as u32;
        bytes[at + 17..at + 21].copy_from_slice(&crc.to_be_bytes());
    });
}

#[test]
fn nothing_is_wrong_with_what_a_node_leaves() {
    let mut store = directory();
    let bases: Vec<i64> = [0, 6, 13].into();
    for base_offset in &bases {
        assert!(store.read(&segment(*base_offset, ".log")).is_ok(), "{:?}", store.list(PARTITION));
        assert!(store.read(&segment(*base_offset, ".index")).is_ok_and(|index| index.len() >= 8));
        assert!(store.read(&segment(*base_offset, ".timeindex")).is_ok_and(|index| index.len() >= 12));
    }
    assert_eq!(store.read(&segment(6, ".txnindex")).unwrap().len(), 34);
    assert_eq!(checked(&mut store, &[DATA]), (0, Vec::new()));
}

/// What is planted, in which file, and what is said of it.
type Plant = (fn(&mut MemoryStore), String, &'static str);

#[test]
fn every_planted_fault_is_named() {
    let mut whole = directory();
    let second = batches(&mut whole, 0)[1];
    let log = segment(0, ".log");
    let metadata_len = whole.read(&format!("{METADATA}/00000000000000000000.log")).unwrap().len();
    let plants: Vec<Plant> = vec![
        (
            |store| edit(store, &segment(0, ".log"), |bytes| bytes[300] ^= 1),
            format!("{log} at byte {second}"),
            "stored crc ",
        ),
        (
            |store| {
                let second = batches(store, 0)[1];
                edit(store, &segment(0, ".log"), |bytes| bytes[second + 9] = 1);
            },
            format!("{log} at byte {second}"),
            "batch of 65",
        ),
        (
            |store| edit(store, &segment(13, ".log"), |bytes| bytes.truncate(bytes.len() - 1)),
            format!("{} at byte {}", segment(13, ".log"), batches(&mut whole, 13)[2]),
            "batch of ",
        ),
        (
            |store| {
                let second = batches(store, 0)[1];
                edit(store, &segment(0, ".log"), |bytes| bytes[second + 7] = 1);
            },
            format!("{log} at byte {second}"),
            "offset 1 comes after offset 1",
        ),
        (
            |store| edit(store, &segment(6, ".log"), |bytes| bytes[7] = 5),
            format!("{} at byte 0", segment(6, ".log")),
            "offset 5 is below the offset in the file's name",
        ),
        (
            |store| {
                for suffix in [".log", ".index", ".timeindex", ".txnindex", ".snapshot"] {
                    store.remove(&segment(6, suffix)).unwrap();
                }
            },
            segment(13, ".log"),
            "offsets 6 to 12 are missing before it",
        ),
        (
            |store| edit(store, &segment(0, ".log"), |bytes| bytes[15] = 9),
            format!("{log} at byte 0"),
            "written in leader epoch 9, and leader-epoch-checkpoint says 0",
        ),
        (
            |store| edit_batch(store, &segment(0, ".log"), 0, |batch| batch[60] = 9),
            format!("{log} at byte 0"),
            "the batch declares 9 records and holds 2",
        ),
        (
            |store| edit(store, &segment(0, ".index"), |bytes| bytes.extend([0; 3])),
            format!("{} at byte {}", segment(0, ".index"), whole.read(&segment(0, ".index")).unwrap().len()),
            "19 bytes are not entries of 8",
        ),
        (
            |store| edit(store, &segment(0, ".index"), |bytes| bytes[7] ^= 1),
            format!("{} at byte 0", segment(0, ".index")),
            "no batch begins at byte ",
        ),
        (
            |store| edit(store, &segment(0, ".index"), |bytes| bytes[3] = 1),
            format!("{} at byte 0", segment(0, ".index")),
            "offset 1 points at byte ",
        ),
        (
            |store| {
                edit(store, &segment(13, ".index"), |bytes| {
                    let last = bytes.len() - 8;
                    bytes[last + 4..].copy_from_slice(&90_000_u32.to_be_bytes());
                });
            },
            format!(
                "{} at byte {}",
                segment(13, ".index"),
                whole.read(&segment(13, ".index")).unwrap().len() - 8
            ),
            "byte 90000 is not in the log's batches",
        ),
        (
            |store| edit(store, &segment(0, ".index"), |bytes| bytes.extend_from_within(bytes.len() - 8..)),
            format!("{} at byte {}", segment(0, ".index"), whole.read(&segment(0, ".index")).unwrap().len()),
            "the entry does not come after the one before",
        ),
        (|store| store.remove(&segment(6, ".index")).unwrap(), segment(6, ".index"), "it is missing"),
        (
            |store| {
                edit(store, &segment(13, ".timeindex"), |bytes| {
                    let last = bytes.len() - 12;
                    bytes.copy_within(..8, last);
                    bytes.drain(..last);
                    bytes[7] -= 1;
                });
            },
            format!("{} at byte 0", segment(13, ".timeindex")),
            "timestamp 1760000000006 at offset 18: a record before it has 1760000000007",
        ),
        (
            |store| {
                edit(store, &segment(13, ".timeindex"), |bytes| {
                    let last = bytes.len();
                    bytes[last - 1] = 200;
                });
            },
            format!(
                "{} at byte {}",
                segment(13, ".timeindex"),
                whole.read(&segment(13, ".timeindex")).unwrap().len() - 12
            ),
            "offset 213 is not in the segment, which ends before 19",
        ),
        (
            |store| write(store, &segment(6, ".txnindex"), b""),
            segment(6, ".txnindex"),
            "producer 9 aborted offsets 8 to 12: no entry says so",
        ),
        (
            |store| edit(store, &segment(6, ".txnindex"), |bytes| bytes[9] = 4),
            format!("{} at byte 0", segment(6, ".txnindex")),
            "producer 4 at offset 12: there is no marker of its abort",
        ),
        (
            |store| edit(store, &segment(6, ".txnindex"), |bytes| bytes.extend([0; 5])),
            format!("{} at byte 34", segment(6, ".txnindex")),
            "the last entry is cut",
        ),
        (
            |store| edit(store, &segment(13, ".snapshot"), |bytes| bytes[12] ^= 1),
            format!("{} at byte 0", segment(13, ".snapshot")),
            "Snapshot is corrupt (CRC is no longer valid)",
        ),
        (
            |store| write(store, &format!("{PARTITION}/leader-epoch-checkpoint"), b"0\n2\n0 0\nx 1\n"),
            format!("{PARTITION}/leader-epoch-checkpoint at line 4"),
            "malformed entry",
        ),
        (
            |store| write(store, &format!("{PARTITION}/leader-epoch-checkpoint"), b"0\n2\n0 0\n1 50\n"),
            format!("{PARTITION}/leader-epoch-checkpoint at line 4"),
            "epoch 1 begins with offset 50, and the log ends with 19",
        ),
        (
            |store| write(store, &format!("{DATA}/replication-offset-checkpoint"), b"0\n1\nt 0 20\n"),
            format!("{DATA}/replication-offset-checkpoint at line 3"),
            "offset 20 of t-0 is not in its log, which ends with 19",
        ),
        (
            |store| write(store, &format!("{DATA}/cleaner-offset-checkpoint"), b"0\n1\nt 0\n"),
            format!("{DATA}/cleaner-offset-checkpoint at line 3"),
            "malformed entry",
        ),
        (
            |store| {
                let text = b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAABQ";
                write(store, &format!("{PARTITION}/partition.metadata"), text);
            },
            format!("{PARTITION}/partition.metadata"),
            "topic id AAAAAAAAAAAAAAAAAAAABQ, and the metadata says ",
        ),
        (
            |store| write(store, &format!("{PARTITION}/partition.metadata"), b"version: 7\n"),
            format!("{PARTITION}/partition.metadata"),
            "unknown version",
        ),
        (
            |store| write(store, &format!("{DATA}/meta.properties"), b"version=1\n"),
            format!("{DATA}/meta.properties"),
            "node.id is missing",
        ),
        (
            |store| store.remove(&format!("{DATA}/meta.properties")).unwrap(),
            format!("{DATA}/meta.properties"),
            "it is missing: this is no log directory",
        ),
        (
            |store| write(store, &format!("{METADATA}/quorum-state"), b"{}"),
            format!("{METADATA}/quorum-state"),
            "it has no data_version",
        ),
        (
            |store| edit(store, &format!("{DATA}/bootstrap.checkpoint"), |bytes| bytes[70] ^= 1),
            format!("{DATA}/bootstrap.checkpoint"),
            "in the batch at offset 0: stored crc",
        ),
        (
            |store| {
                let snapshot = format!("{METADATA}/00000000000000000000-0000000000.checkpoint");
                edit(store, &snapshot, |bytes| bytes.truncate(100));
            },
            format!("{METADATA}/00000000000000000000-0000000000.checkpoint"),
            "a broken batch: batch of ",
        ),
        (
            |store| {
                edit(store, &format!("{METADATA}/00000000000000000000.log"), |bytes| {
                    let written = crate::record::batches(&bytes.clone().into()).last().unwrap().unwrap();
                    let options = BatchOptions {
                        base_offset: written.header().next_offset(),
                        partition_leader_epoch: written.header().partition_leader_epoch,
                        ..BatchOptions::default()
                    };
                    let mut batch = BatchBuilder::new(options);
                    batch.append(TIME, None, Some(&[1, 127, 0]), &[]);
                    bytes.extend_from_slice(&batch.build(&Compressors::default()));
                });
            },
            format!("{METADATA}/00000000000000000000.log at byte {metadata_len}"),
            "the record at offset ",
        ),
        (
            |store| store.remove(PARTITION).unwrap(),
            PARTITION.to_owned(),
            "it is missing: the metadata assigns the replica to this directory",
        ),
    ];
    for (plant, place, what) in plants {
        let mut store = whole.clone();
        plant(&mut store);
        let (code, lines) = checked(&mut store, &[DATA]);
        let expected = format!("fault: {place}: {what}");
        let named = lines.iter().any(|line| line.starts_with(&expected));
        assert!(named && !what.is_empty(), "{expected}\n{lines:#?}");
        assert_eq!(code, 1, "{expected}");
        let file = place.split(" at ").next().unwrap();
        let elsewhere = lines.iter().filter(|line| line.starts_with("fault: ") && !line.contains(file));
        let elsewhere: Vec<_> = elsewhere.collect();
        assert!(elsewhere.is_empty(), "{expected} makes other files suspect: {elsewhere:#?}");
    }
}

#[test]
fn what_a_broker_deals_with_itself_is_a_note() {
    let mut store = directory();
    let id = "0123456789abcdef0123456789abcdef";
    for directory in [
        format!("t-1.{id}-delete"),
        format!("t-1.{id}-future"),
        format!("t-1.{id}-stray"),
        "lost+found".into(),
    ] {
        store.create_dir(&format!("{DATA}/{directory}")).unwrap();
    }
    for name in [
        "00000000000000000000.log.deleted",
        "00000000000000000000.log.cleaned",
        "00000000000000000000.index.swap",
        "00000000000000000002.index",
        "notes.txt",
    ] {
        write(&mut store, &format!("{PARTITION}/{name}"), b"");
    }
    write(&mut store, &format!("{DATA}/cleaner-offset-checkpoint"), b"0\n1\ngone 3 5\n");
    let (code, lines) = checked(&mut store, &[DATA]);
    let expected = [
        format!("note: {DATA}/lost+found: not the directory of a partition"),
        format!("note: {DATA}/t-1.{id}-delete: a replica that was being deleted"),
        format!(
            "note: {DATA}/t-1.{id}-future: a replica on its way from another log directory; it is not checked"
        ),
        format!("note: {DATA}/t-1.{id}-stray: a replica that the metadata did not know; it is not checked"),
        format!("note: {PARTITION}/00000000000000000000.index.swap: the cleaner had not put it in its place"),
        format!("note: {PARTITION}/00000000000000000000.log.cleaned: the cleaner had not finished it"),
        format!("note: {PARTITION}/00000000000000000000.log.deleted: a deletion was not finished"),
        format!("note: {PARTITION}/notes.txt: not a file of a log"),
        format!("note: {PARTITION}/00000000000000000002.index: there is no segment for this index"),
        format!("note: {DATA}/cleaner-offset-checkpoint at line 3: there is no replica of gone-3"),
    ];
    assert_eq!(lines, expected);
    assert_eq!(code, 0);
}

#[test]
fn a_replica_that_the_metadata_does_not_know_is_stray() {
    let mut store = directory();
    store.rename(PARTITION, &format!("{DATA}/other-0")).unwrap();
    store.create_dir(PARTITION).unwrap();
    let (code, lines) = checked(&mut store, &[DATA]);
    let stray = format!("note: {DATA}/other-0/partition.metadata: stray: the metadata has no topic other");
    assert!(lines.contains(&stray), "{lines:#?}");
    assert_eq!(code, 1, "and the replica that it knows is empty: {lines:#?}");
    assert!(lines.contains(&format!("fault: {PARTITION}: there is no segment")), "{lines:#?}");
}

#[test]
fn what_recovery_mends_is_no_fault() {
    let mut store = directory();
    store.remove(&format!("{DATA}/.kafka_cleanshutdown")).unwrap();
    write(&mut store, &format!("{DATA}/recovery-point-offset-checkpoint"), b"0\n1\nt 0 13\n");
    edit(&mut store, &segment(13, ".log"), |bytes| bytes.truncate(bytes.len() - 1));
    edit(&mut store, &segment(13, ".index"), |bytes| bytes.extend([0; 800]));
    edit(&mut store, &segment(13, ".timeindex"), |bytes| bytes.extend([0; 800]));
    let (code, lines) = checked(&mut store, &[DATA]);
    assert_eq!(code, 0, "{lines:#?}");
    let torn = format!("note: {} at byte ", segment(13, ".log"));
    assert!(
        lines.iter().any(|line| line.starts_with(&torn) && line.ends_with("(recovery mends it)")),
        "{lines:#?}"
    );
    // What is below the recovery point was on the disk.
    edit(&mut store, &segment(0, ".index"), |bytes| bytes.extend([0; 3]));
    let (code, _) = checked(&mut store, &[DATA]);
    assert_eq!(code, 1);
}

#[test]
fn directories_of_one_node_belong_together() {
    let mut store = directory();
    store.create_dir("./data/second/t-0").unwrap();
    let properties = store.read(&format!("{DATA}/meta.properties")).unwrap();
    let text = String::from_utf8(properties).unwrap();
    let other: String = text
        .lines()
        .map(|line| if line.starts_with("node.id") { "node.id=77\n".to_owned() } else { format!("{line}\n") })
        .collect();
    write(&mut store, "./data/second/meta.properties", other.as_bytes());
    let (code, lines) = checked(&mut store, &[DATA, "./data/second/"]);
    assert_eq!(code, 1);
    let said = |what: &str| assert!(lines.iter().any(|line| line == what), "{what}\n{lines:#?}");
    said("fault: ./data/second/meta.properties: node.id is 77, and that of ./data is 1");
    said("fault: ./data/second/meta.properties: ./data has the same directory.id");
    said("fault: ./data/second/t-0: ./data holds this replica too");
}

#[test]
fn what_cannot_be_read_is_told_apart() {
    let mut store = directory();
    let (code, lines) = checked(&mut store, &[DATA, "./nowhere"]);
    assert_eq!((code, lines), (2, vec!["unreadable: ./nowhere: no such file or directory".to_owned()]));
    for arguments in [&[][..], &["--deep".to_owned()]] {
        assert_eq!(Check::start(arguments).unwrap_err().code, 2);
    }
    assert_eq!(Check::start(&["--help".to_owned()]).unwrap_err().code, 0);
}

#[test]
fn progress_is_told_on_standard_error() {
    let mut store = directory();
    let check = Check { directories: vec![DATA.to_owned()], progress_bytes: 1_000 };
    let mut stderr = String::new();
    check.run(&mut store, &Compressors::default(), &mut |output| stderr.push_str(&output.stderr));
    assert!(stderr.lines().count() > 1 && stderr.contains(" MiB: ./data/t-0/"), "{stderr}");
}

#[test]
fn an_index_may_lack_entries() {
    let mut store = directory();
    edit(&mut store, &segment(0, ".index"), |bytes| bytes.truncate(8));
    edit(&mut store, &segment(13, ".timeindex"), |bytes| {
        let rest = bytes.len() - 12;
        bytes.drain(..rest);
    });
    assert_eq!(checked(&mut store, &[DATA]), (0, Vec::new()));
}
