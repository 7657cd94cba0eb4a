//! ApiVersions, DescribeCluster, DescribeLogDirs, ListConfigResources, DescribeQuorum, UpdateFeatures, nodes that are not there, and frames that are none.

use ottla_protocol::messages::add_raft_voter_request::Listener;
use ottla_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use ottla_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use ottla_protocol::messages::update_features_request::FeatureUpdateKey;
use ottla_protocol::messages::{
    AddRaftVoterRequest, ApiVersionsRequest, DescribeClusterRequest, DescribeLogDirsRequest,
    DescribeQuorumRequest, ListConfigResourcesRequest, RemoveRaftVoterRequest, UnregisterBrokerRequest,
    UpdateFeaturesRequest,
};
use ottla_protocol::{ApiKey, Str, Uuid};
use ottla_tests::peer::{Kind, Peer, chosen};

use crate::family;
use crate::session::{Session, advertised};

#[test]
fn api_versions() {
    family("api-versions", &[ApiKey::ApiVersions], &[("all", versions)]);
}

/// An API is advertised with the versions that Apache Kafka has, or with fewer, never with more.
#[test]
fn advertised_versions_are_within_apache_kafkas() {
    let theirs = advertised(Peer::shared(Kind::Kafka));
    for kind in chosen() {
        let ours = advertised(Peer::shared(kind));
        let mut faults = Vec::new();
        for (&key, range) in &ours {
            let api = ApiKey::from_key(key).expect("a known API");
            match theirs.get(&key) {
                None => faults.push(format!("{api}: Apache Kafka has no such API")),
                Some(theirs) if (theirs.min, theirs.max) != (range.min, range.max) => {
                    faults.push(format!(
                        "{api}: {}-{}, Apache Kafka {}-{}",
                        range.min, range.max, theirs.min, theirs.max
                    ));
                }
                Some(_) => {}
            }
        }
        let missing: Vec<_> = theirs
            .keys()
            .filter(|key| !ours.contains_key(key))
            .filter_map(|&key| ApiKey::from_key(key))
            .map(ApiKey::name)
            .collect();
        println!("{kind:?} advertises {} of {} APIs; not: {}", ours.len(), theirs.len(), missing.join(", "));
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

#[test]
fn describe_cluster() {
    family("describe-cluster", &[ApiKey::DescribeCluster], &[("all", cluster)]);
}

#[test]
fn describe_log_dirs() {
    family("describe-log-dirs", &[ApiKey::DescribeLogDirs], &[("all", log_dirs)]);
}

#[test]
fn list_config_resources() {
    family("list-config-resources", &[ApiKey::ListConfigResources], &[("all", config_resources)]);
}

#[test]
fn nodes_that_are_not_there() {
    let apis = [ApiKey::UnregisterBroker, ApiKey::AddRaftVoter, ApiKey::RemoveRaftVoter];
    family("nodes-that-are-not-there", &apis, &[("all", strangers)]);
}

#[test]
fn describe_quorum() {
    family("describe-quorum", &[ApiKey::DescribeQuorum], &[("all", quorum)]);
}

#[test]
fn update_features() {
    family("update-features", &[ApiKey::UpdateFeatures], &[("all", features)]);
}

#[test]
fn hostile_frames() {
    family("frames", &[ApiKey::Metadata], &[("all", frames)]);
}

/// The lists of APIs and features are compared by a test of their own; here, that and how it answers.
fn versions(session: &mut Session) {
    let named = |name: &str, version: &str| ApiVersionsRequest {
        client_software_name: name.into(),
        client_software_version: version.into(),
    };
    for (label, name, version) in
        [("plain", "client", "1.0"), ("bad name", "bad name!", "1.0"), ("no version", "client", "")]
    {
        if let Some(answer) = session.ask(label, &named(name, version)) {
            session.transcript.answers.pop();
            session.transcript.say(label, "error code", &answer.error_code.to_string());
            session.transcript.say(label, "some APIs", &(!answer.api_keys.is_empty()).to_string());
            let mut features: Vec<_> = answer
                .finalized_features
                .iter()
                .map(|feature| format!("{} {}", feature.name, feature.max_version_level))
                .collect();
            features.sort();
            session.transcript.say(label, "finalized", &features.join(", "));
        }
    }
    // Version 99 is answered in version 0 with the error and the range of this one API.
    session.ask_raw("a version to come", &[0, 18, 0, 99, 0, 0, 0, 1, 0xff, 0xff]);
}

fn cluster(session: &mut Session) {
    session.ask("plain", &DescribeClusterRequest::default());
    session.ask(
        "operations",
        &DescribeClusterRequest { include_cluster_authorized_operations: true, ..Default::default() },
    );
    session.ask("controllers", &DescribeClusterRequest { endpoint_type: 2, ..Default::default() });
    session.ask("unknown endpoints", &DescribeClusterRequest { endpoint_type: 9, ..Default::default() });
    session.ask("fenced", &DescribeClusterRequest { include_fenced_brokers: true, ..Default::default() });
}

fn quorum(session: &mut Session) {
    let of = |name: &str, partition_index| DescribeQuorumRequest {
        topics: vec![TopicData {
            topic_name: name.into(),
            partitions: vec![PartitionData { partition_index }],
        }],
    };
    session.ask("metadata", &of("__cluster_metadata", 0));
    session.ask("another partition", &of("__cluster_metadata", 1));
    session.ask("another topic", &of("other", 0));
    session.ask("nothing", &DescribeQuorumRequest::default());
    session.ask("empty name", &of("", 0));
    session.ask("negative partition", &of("__cluster_metadata", -1));
    let mut both = of("__cluster_metadata", 0);
    both.topics.extend(of("other", 0).topics);
    session.ask("metadata and another", &both);
    let mut twice = of("__cluster_metadata", 0);
    twice.topics[0].partitions.push(PartitionData { partition_index: 0 });
    session.ask("a partition twice", &twice);
    let mut none = of("__cluster_metadata", 0);
    none.topics[0].partitions.clear();
    session.ask("no partitions", &none);
}

fn log_dirs(session: &mut Session) {
    let (topic, _) = session.topic("held", 2, &[]);
    let of = |topics: Option<Vec<(&str, Vec<i32>)>>| DescribeLogDirsRequest {
        topics: topics.map(|topics| {
            let named = topics
                .into_iter()
                .map(|(topic, partitions)| DescribableLogDirTopic { topic: topic.into(), partitions });
            named.collect()
        }),
    };
    session.ask("a topic", &of(Some(vec![(&topic, vec![1, 0])])));
    session.ask("one partition, and one that is not there", &of(Some(vec![(&topic, vec![1, 7])])));
    session.ask("no partitions", &of(Some(vec![(&topic, vec![])])));
    session.ask("a topic that is not there", &of(Some(vec![("d-nowhere", vec![0])])));
    session.ask("nothing", &of(Some(vec![])));
}

fn config_resources(session: &mut Session) {
    let of = |resource_types: &[i8]| ListConfigResourcesRequest { resource_types: resource_types.to_vec() };
    let is_first = session.version::<ListConfigResourcesRequest>() == Some(0);
    for types in [&[4][..], &[8], &[16], &[32], &[4, 16, 8], &[4, 4], &[1], &[16, 0], &[64]] {
        session.ask(&format!("{types:?}"), &of(if is_first { &[] } else { types }));
    }
}

fn strangers(session: &mut Session) {
    for broker_id in [9, -1] {
        session.ask(&format!("broker {broker_id}"), &UnregisterBrokerRequest { broker_id });
    }
    let voter_directory_id = Uuid::from_u128(7 << 64 | 7);
    let cluster_ids = [Some("another"), None];
    for cluster_id in cluster_ids {
        let cluster_id = cluster_id.map(Str::from);
        let request =
            RemoveRaftVoterRequest { cluster_id: cluster_id.clone(), voter_id: 9, voter_directory_id };
        session.ask(&format!("remove from {cluster_id:?}"), &request);
        let request = AddRaftVoterRequest {
            cluster_id: cluster_id.clone(),
            timeout_ms: 1_000,
            voter_id: 1,
            voter_directory_id,
            listeners: vec![Listener { name: "CONTROLLER".into(), host: "127.0.0.1".into(), port: 1 }],
            ack_when_committed: true,
        };
        session.ask(&format!("add to {cluster_id:?}"), &request);
    }
}

fn features(session: &mut Session) {
    let of = |feature: &str, max_version_level, upgrade_type| {
        let feature = Str::from(feature);
        let update =
            FeatureUpdateKey { feature, max_version_level, upgrade_type, allow_downgrade: upgrade_type != 1 };
        UpdateFeaturesRequest { timeout_ms: 10_000, feature_updates: vec![update], validate_only: true }
    };
    // Version 0 cannot ask for validation alone: only requests that are refused go out there.
    let dry = session.version::<UpdateFeaturesRequest>().is_some_and(|version| version > 0);
    let real = |request: UpdateFeaturesRequest| UpdateFeaturesRequest { validate_only: dry, ..request };
    let fit = |mut request: UpdateFeaturesRequest| {
        for update in &mut request.feature_updates {
            match dry {
                true => update.allow_downgrade = false,
                false => update.upgrade_type = 1,
            }
        }
        real(request)
    };
    session.ask("unknown feature", &fit(of("no.such.feature", 1, 1)));
    session.ask("level out of range", &fit(of("metadata.version", 999, 1)));
    session.ask("negative level", &fit(of("metadata.version", -1, 1)));
    session.ask("downgrade without leave", &fit(of("metadata.version", 8, 1)));
    session.ask("unknown kind", &fit(of("metadata.version", 8, 9)));
    session.ask("empty name", &fit(of("", 1, 1)));
    session.ask("the level it has", &fit(of("metadata.version", 30, 1)));
    session.ask("a level that is not there", &fit(of("eligible.leader.replicas.version", 9, 1)));
    session.ask("a feature of the quorum", &fit(of("kraft.version", 0, 1)));
    session.ask("a quorum to come", &fit(of("kraft.version", 7, 1)));
    let mut twice = fit(of("metadata.version", 999, 1));
    twice.feature_updates.push(twice.feature_updates[0].clone());
    session.ask("a feature twice", &twice);
    for timeout_ms in [0, -1] {
        let request = UpdateFeaturesRequest { timeout_ms, ..fit(of("metadata.version", 999, 1)) };
        session.ask(&format!("within {timeout_ms}"), &request);
    }
    session.ask(
        "nothing",
        &UpdateFeaturesRequest { timeout_ms: 1000, validate_only: dry, ..Default::default() },
    );
}

fn frames(session: &mut Session) {
    let cases: &[(&str, &[u8])] = &[
        ("empty", &[]),
        ("no key", &[0]),
        ("key only", &[0, 3]),
        ("header without a client id", &[0, 3, 0, 1, 0, 0, 0, 1]),
        ("unknown API", &[0x7f, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff]),
        ("unknown version", &[0, 3, 0x7f, 0xff, 0, 0, 0, 1, 0xff, 0xff]),
        ("a count beyond the frame", &[0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]),
        ("a length beyond the frame", &[0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 1, 0x7f, 0xff]),
        ("a null name", &[0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 1, 0xff, 0xff]),
        ("a controller's API", &[0, 52, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0]),
        // Not refused: Apache Kafka does not look behind a request.
        ("bytes after the body", &[0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 1, 2, 3]),
    ];
    for (label, frame) in cases {
        session.ask_raw(label, frame);
    }
}
