//! Files of the quorum against bytes that Apache Kafka wrote.

use std::io::IoSlice;

use ottla_protocol::records::MetadataRecord;
use ottla_protocol::{Bytes, Decoder};

use super::checkpoint::{Checkpoint, SnapshotId};
use super::{FormatOptions, format, join};
use crate::config::BrokerConfig;
use crate::log::{FetchIsolation, Log, LogConfig, LogStore as _, MemoryStore, OpenLog};
use crate::machine::{Cx, Effects};
use crate::metadata::{MetadataImage, MetadataState, MetadataVersion, record};
use crate::record::Compressors;
use crate::rng::Rng;
use crate::time::Now;
use crate::trace::Traces;

/// `bootstrap.checkpoint` of Apache Kafka 4.3.1's storage tool.
const BOOTSTRAP: &[u8] = include_bytes!("testdata/bootstrap.checkpoint");
/// Its snapshot with the voter (`--standalone`).
const VOTERS: &[u8] = include_bytes!("testdata/00000000000000000000-0000000000.checkpoint");

/// The timestamps of the two batches of a snapshot by Kafka differ by some ms; ours are written at one.
fn without_times(bytes: &[u8]) -> Checkpoint {
    let checkpoint =
        Checkpoint::decode(&Bytes::copy_from_slice(bytes), &Compressors::default()).expect("it is whole");
    Checkpoint { last_contained_log_timestamp: 0, ..checkpoint }
}

#[test]
fn snapshots_of_kafka_are_read_and_written_alike() {
    for bytes in [BOOTSTRAP, VOTERS] {
        let checkpoint = without_times(bytes);
        let written = checkpoint.encode(0, MetadataVersion::LATEST, 0);
        assert_eq!(written.len(), bytes.len());
        assert_eq!(without_times(&written), checkpoint);
    }
    assert_eq!(without_times(BOOTSTRAP).records.len(), 6);
    let voters = without_times(VOTERS);
    assert_eq!(voters.kraft_version, Some(1));
    let voter = voters.voters.as_ref().and_then(|voters| voters.first()).expect("a voter");
    assert_eq!((voter.id, voter.directory_id.to_string().as_str()), (1, "z4mupKslSd29PEhqkKMkaw"));
    assert_eq!(voter.endpoints, [("CONTROLLER".into(), "localhost".into(), 19093)]);
}

#[test]
fn a_snapshot_that_is_cut_or_changed_is_refused() {
    for len in [0, 60, 83, 200, BOOTSTRAP.len() - 1] {
        let cut = Bytes::copy_from_slice(BOOTSTRAP.get(..len).expect("it is longer"));
        assert!(Checkpoint::decode(&cut, &Compressors::default()).is_err(), "{len} bytes");
    }
    let mut changed = BOOTSTRAP.to_vec();
    changed[160] ^= 1;
    assert!(Checkpoint::decode(&changed.into(), &Compressors::default()).is_err());
}

#[test]
fn names_of_snapshots() {
    let id = SnapshotId { end_offset: 1234, epoch: 5 };
    assert_eq!(id.file_name(), "00000000000000001234-0000000005.checkpoint");
    assert_eq!(SnapshotId::parse(&id.file_name()), Some(id));
    for name in
        ["bootstrap.checkpoint", "00000000000000001234-0000000005.checkpoint.part", "leader-epoch-checkpoint"]
    {
        assert_eq!(SnapshotId::parse(name), None);
    }
}

#[test]
fn formatting() {
    let mut store = MemoryStore::new();
    let config = BrokerConfig::default();
    let mut rng = Rng::from_seed(1);
    let options = FormatOptions { cluster_id: Some("abc".to_owned()), ..FormatOptions::default() };
    let formatted = format(&mut store, Now::default(), &mut rng, &config, &options).expect("it is empty");
    assert_eq!((formatted.cluster_id.as_str(), formatted.directories.len()), ("abc", 1));
    assert_eq!(formatted.sync.files.len(), 3);
    let bootstrap = store.read(&join("./data", "bootstrap.checkpoint")).expect("it is there");
    assert_eq!(without_times(&bootstrap).records.len(), 2, "metadata.version and eligible leader replicas");
    let again = format(&mut store, Now::default(), &mut rng, &config, &options).map(drop);
    assert!(again.is_err_and(|error| error.to_string().contains("formatted already")));
    let ignoring = FormatOptions { ignore_formatted: true, ..options };
    assert!(
        format(&mut store, Now::default(), &mut rng, &config, &ignoring)
            .is_ok_and(|done| done.directories.is_empty())
    );
}

#[test]
fn features_to_format_with() {
    let format_with = |features: &[(&str, i16)]| {
        let features = features.iter().map(|(name, level)| ((*name).to_owned(), *level)).collect();
        let options = FormatOptions { features, ..FormatOptions::default() };
        let mut store = MemoryStore::new();
        let config = BrokerConfig::default();
        let done = format(&mut store, Now::default(), &mut Rng::from_seed(1), &config, &options);
        done.map(|_| store).map_err(|error| error.to_string())
    };
    assert!(format_with(&[("transaction.version", 0), ("group.version", 0), ("share.version", 0)]).is_ok());
    assert!(
        format_with(&[("transaction.version", 2)])
            .is_err_and(|error| error.contains("transaction.version=2"))
    );
    assert!(format_with(&[("nobody.knows", 1)]).is_err_and(|error| error.contains("nobody.knows")));
    let mut without_voters = format_with(&[("kraft.version", 0)]).expect("a static quorum");
    assert!(without_voters.list("./data/__cluster_metadata-0").is_err());
}

/// A metadata log that Apache Kafka 4.3.1 wrote: topics, configurations, quotas, credentials, access control entries, features,
/// and a controlled shutdown at its end.
const LOG: &[u8] = include_bytes!("testdata/metadata.log");
/// What Kafka's own image writer makes of that log: for each `metadata.version` its level, how many records, and each with its length.
const IMAGES: &[u8] = include_bytes!("testdata/image.bin");

fn load_kafkas_log() -> MetadataImage {
    let mut store = MemoryStore::new();
    store.create_dir("./data/__cluster_metadata-0").expect("a directory");
    let file = store.create("./data/__cluster_metadata-0/00000000000000000000.log").expect("a file");
    store.append(&file, &[IoSlice::new(LOG)]).expect("it is written");
    let options = OpenLog {
        dir: "./data/__cluster_metadata-0".to_owned(),
        config: LogConfig::default(),
        log_start_offset: 0,
        recovery_point: 0,
        high_watermark: 0,
        clean_shutdown: false,
        has_others: false,
    };
    let (mut log, report) = Log::open(&mut store, Now::default(), options).expect("it opens");
    assert_eq!(report.truncation, None);
    let mut state = MetadataState::new(MetadataImage::default());
    let compressors = Compressors::default();
    let fetched = log.read(&mut store, 0, u64::MAX, FetchIsolation::LogEnd, true, None).expect("it is read");
    let bytes = store.read_slice(&fetched.records.expect("records")).expect("it is read");
    let decoded = super::records::decode(&bytes, &compressors, 0).expect("it decodes");
    super::records::replay(decoded, &mut state).expect("every record follows");
    assert!(!state.in_transaction());
    state.image().clone()
}

/// Records with their versions, in an order of their own: Kafka writes out of hash maps.
fn decoded(records: &[Bytes]) -> Vec<String> {
    let decode = |one: &Bytes| {
        let (mut record, version) = MetadataRecord::decode(one.clone()).expect("it decodes");
        match &mut record {
            MetadataRecord::RegisterBroker(broker) => broker.features.sort_by(|a, b| a.name.cmp(&b.name)),
            MetadataRecord::RegisterController(controller) => {
                controller.features.sort_by(|a, b| a.name.cmp(&b.name));
            }
            _ => {}
        }
        format!("version {version} of {record:?}")
    };
    let mut decoded: Vec<String> = records.iter().map(decode).collect();
    decoded.sort_unstable();
    decoded
}

#[test]
fn the_image_of_kafkas_log_is_kafkas_image_at_every_metadata_version() {
    let mut image = load_kafkas_log();
    let mut input = Decoder::new(Bytes::from_static(IMAGES));
    let mut levels = 0;
    while input.remaining() > 0 {
        let level = input.i16().expect("a level");
        let count = input.i32().expect("a count");
        let expected: Vec<Bytes> = (0..count)
            .map(|_| {
                let len = input.i32().expect("a length");
                input.bytes(usize::try_from(len).expect("it is small")).expect("a record")
            })
            .collect();
        let version = MetadataVersion::from_level(level).expect("a level of Kafka 4.3");
        image.features.metadata_version = Some(version);
        let written = image.to_records();
        let actual: Vec<Bytes> =
            written.iter().map(|one| record::encode(one, version).expect("it encodes")).collect();
        assert_eq!(decoded(&actual), decoded(&expected), "at {version}");
        levels += 1;
    }
    assert_eq!(levels, 24, "every level from 7 to 30");
}

#[test]
fn what_kafkas_log_says() {
    let image = load_kafkas_log();
    assert_eq!(
        image.topics_by_name().map(|topic| topic.name.to_string()).collect::<Vec<_>>(),
        ["a.b", "orders"]
    );
    assert_eq!(image.topic("orders").map(|topic| topic.partitions.size()), Some(5));
    assert_eq!(image.topic_configs("orders").len(), 1);
    assert_eq!(image.group_configs("g").len(), 1);
    assert_eq!((image.acls.size(), image.scram.size(), image.client_quotas.entities.size()), (1, 1, 2));
    assert_eq!(image.next_producer_id, Some(1_000));
    let broker = image.broker(1).expect("it is registered");
    assert!(broker.fenced && broker.in_controlled_shutdown && broker.directories.len() == 2);
    assert_eq!(broker.rack.as_deref(), Some("r1"));
    assert!(image.features.unsupported().is_some(), "Kafka finalizes what is not built here");
}

/// What a power loss leaves of a file that was being written: zeros, a beginning or nothing.
#[test]
fn what_a_start_was_writing_when_the_power_was_lost() {
    let config = BrokerConfig::default();
    let mut store = MemoryStore::new();
    let open = |store: &mut MemoryStore| {
        let (mut effects, mut traces) = (Effects::default(), Traces::default());
        let compressors = Compressors::default();
        let (now, effects, traces) = (Now::default(), &mut effects, &mut traces);
        let mut cx = Cx { now, store, compressors: &compressors, effects, traces };
        super::open::open(&mut cx, &mut Rng::from_seed(1), &config).map(|opened| opened.quorum.epoch())
    };
    let first = open(&mut store).expect("it is new");
    let broken = "./data/__cluster_metadata-0/00000000000000000002-0000000001.checkpoint";
    for path in ["./data/__cluster_metadata-0/quorum-state.tmp", broken] {
        store.write_replacing(path, &[0; 40]).expect("it is written");
    }
    assert!(open(&mut store).expect("the log says what the files said") > first);
    assert!(store.open(broken).is_err());
    store
        .write_replacing("./data/__cluster_metadata-0/quorum-state", b"{\"leaderId\":}")
        .expect("it is written");
    assert!(open(&mut store).is_err(), "this was no power loss");
}
