//! The same requests to Apache Kafka and to Ottla, valid, at their bounds and invalid, at every
//! version that both advertise: the answers must agree in all but ids, times and sentences.
//!
//! One file per API family. A family is a list of scenarios; a scenario is a conversation on one
//! connection ([`session::Session`]), held with each broker, and the two transcripts are compared
//! ([`compare`]). `OTTLA_TEST_PEERS=kafka` compares Apache Kafka with itself, which must find
//! nothing: that proves the masks.

mod compare;
mod known;
mod session;
mod transcript;

mod cluster;
mod configs;
mod fetch;
mod groups;
mod malformed;
mod offsets;
mod partitions;
mod produce;
mod quotas;
mod security;
mod telemetry;
mod topics;
mod transactions;

use ottla_protocol::ApiKey;
use ottla_tests::peer::{Kind, Peer, chosen};

use session::{Session, versions_of_both};

/// What the families compare; everything that is advertised must be among it.
const COMPARED: &[ApiKey] = &[
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::Metadata,
    ApiKey::OffsetCommit,
    ApiKey::OffsetFetch,
    ApiKey::FindCoordinator,
    ApiKey::JoinGroup,
    ApiKey::Heartbeat,
    ApiKey::LeaveGroup,
    ApiKey::SyncGroup,
    ApiKey::DescribeGroups,
    ApiKey::ListGroups,
    ApiKey::ApiVersions,
    ApiKey::CreateTopics,
    ApiKey::DeleteTopics,
    ApiKey::DeleteRecords,
    ApiKey::InitProducerId,
    ApiKey::OffsetForLeaderEpoch,
    ApiKey::WriteTxnMarkers,
    ApiKey::DescribeProducers,
    ApiKey::DescribeConfigs,
    ApiKey::AlterConfigs,
    ApiKey::CreatePartitions,
    ApiKey::DeleteGroups,
    ApiKey::ElectLeaders,
    ApiKey::IncrementalAlterConfigs,
    ApiKey::AlterPartitionReassignments,
    ApiKey::ListPartitionReassignments,
    ApiKey::OffsetDelete,
    ApiKey::DescribeQuorum,
    ApiKey::UpdateFeatures,
    ApiKey::DescribeLogDirs,
    ApiKey::ListConfigResources,
    ApiKey::UnregisterBroker,
    ApiKey::AddRaftVoter,
    ApiKey::RemoveRaftVoter,
    ApiKey::DescribeCluster,
    ApiKey::DescribeTopicPartitions,
    ApiKey::SaslHandshake,
    ApiKey::SaslAuthenticate,
    ApiKey::DescribeAcls,
    ApiKey::CreateAcls,
    ApiKey::DeleteAcls,
    ApiKey::CreateDelegationToken,
    ApiKey::RenewDelegationToken,
    ApiKey::ExpireDelegationToken,
    ApiKey::DescribeDelegationToken,
    ApiKey::DescribeClientQuotas,
    ApiKey::AlterClientQuotas,
    ApiKey::DescribeUserScramCredentials,
    ApiKey::AlterUserScramCredentials,
];

#[test]
fn every_advertised_api_is_compared() {
    let ours = session::advertised(Peer::shared(Kind::Ottla));
    let is_missing = |key: &&i16| COMPARED.iter().all(|api| api.key() != **key);
    let missing: Vec<_> =
        ours.keys().filter(is_missing).filter_map(|key| ApiKey::from_key(*key)).map(ApiKey::name).collect();
    assert!(missing.is_empty(), "not compared with Apache Kafka: {}", missing.join(", "));
}

/// A conversation with a broker.
pub type Scenario = (&'static str, fn(&mut Session));

/// Runs each scenario on both brokers, once for each version that one of `apis` has.
fn family(name: &str, apis: &[ApiKey], scenarios: &[Scenario]) {
    let reference = Peer::shared(Kind::Kafka);
    for kind in chosen() {
        let again;
        let subject = match kind {
            Kind::Ottla => Peer::shared(kind),
            Kind::Kafka => {
                again = Peer::start(Kind::Kafka, &[]);
                &again
            }
        };
        let versions = versions_of_both(reference, subject);
        for api in apis {
            let range = versions.get(&api.key());
            assert!(range.is_some(), "{kind:?} does not advertise {api}");
            assert!(COMPARED.contains(api), "{api} is compared and not listed");
        }
        let levels = apis.iter().map(|api| versions[&api.key()].count()).max().unwrap_or(0);
        let mut differences = compare::Differences::default();
        for (scenario, play) in scenarios {
            for level in 0..levels {
                let prefix = format!("d-{name}-{}-{level}-", scenario.replace(' ', "-"));
                let [expected, found] = [reference, subject].map(|peer| {
                    let mut session = Session::open(peer, &versions, level, &prefix);
                    play(&mut session);
                    assert!(
                        peer.runs(),
                        "{scenario} at {level} ended {:?}:\n{}",
                        peer.kind(),
                        peer.last_words()
                    );
                    session.transcript
                });
                differences.compare(scenario, &expected, &found);
            }
        }
        println!("{name}: {} answers compared with {kind:?}", differences.answers);
        assert!(differences.answers > 0, "nothing was compared");
        // Apache Kafka has no excuse.
        if kind == Kind::Ottla {
            differences = differences
                .without_known(name)
                .unwrap_or_else(|stale| panic!("known.rs lists what does not differ any more:\n{stale}"));
        }
        assert!(differences.is_empty(), "{kind:?} differs from Apache Kafka:\n{differences}");
    }
}
