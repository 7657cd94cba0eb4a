//! Files of the quorum against bytes that Apache Kafka wrote.

use ottla_protocol::Bytes;

use super::checkpoint::{Checkpoint, SnapshotId};
use super::{FormatOptions, format, join};
use crate::config::BrokerConfig;
use crate::log::{LogStore as _, MemoryStore};
use crate::metadata::MetadataVersion;
use crate::record::Compressors;
use crate::rng::Rng;
use crate::time::Now;

/// `bootstrap.checkpoint` of Apache Kafka 4.3.1's storage tool.
const BOOTSTRAP: &[u8] = include_bytes!("tests/bootstrap.checkpoint");
/// Its snapshot with the voter (`--standalone`).
const VOTERS: &[u8] = include_bytes!("tests/00000000000000000000-0000000000.checkpoint");

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
