//! ElectLeaders, AlterPartitionReassignments, ListPartitionReassignments.

use ottla_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use ottla_protocol::messages::elect_leaders_request::TopicPartitions;
use ottla_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
use ottla_protocol::messages::{
    AlterPartitionReassignmentsRequest, ElectLeadersRequest, ListPartitionReassignmentsRequest,
};
use ottla_protocol::{ApiKey, Str};

use crate::family;
use crate::session::Session;

#[test]
fn elect_leaders() {
    family("elect-leaders", &[ApiKey::ElectLeaders], &[("all", elections)]);
}

#[test]
fn reassignments() {
    family(
        "reassignments",
        &[ApiKey::AlterPartitionReassignments, ApiKey::ListPartitionReassignments],
        &[("all", reassign)],
    );
}

const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

fn elections(session: &mut Session) {
    let (name, _) = session.topic("elected", 2, &[]);
    let missing = session.name("missing");
    let of = |election_type, topics: &[(&Str, &[i32])]| ElectLeadersRequest {
        election_type,
        topic_partitions: Some(
            topics
                .iter()
                .map(|&(topic, partitions)| TopicPartitions {
                    topic: topic.clone(),
                    partitions: partitions.to_vec(),
                })
                .collect(),
        ),
        timeout_ms: 10_000,
    };
    session.ask("preferred", &of(PREFERRED, &[(&name, &[0, 1])]));
    // Version 0 knows the preferred leader alone.
    if session.version::<ElectLeadersRequest>().is_some_and(|version| version > 0) {
        session.ask("unclean", &of(UNCLEAN, &[(&name, &[0])]));
        session.ask("unknown type", &of(9, &[(&name, &[0])]));
        session.ask("negative type", &of(-1, &[(&name, &[0])]));
    }
    session.ask("unknown topic", &of(PREFERRED, &[(&missing, &[0])]));
    session.ask("unknown partition", &of(PREFERRED, &[(&name, &[7])]));
    session.ask("negative partition", &of(PREFERRED, &[(&name, &[-1])]));
    session.ask("known and unknown", &of(PREFERRED, &[(&name, &[0, 7]), (&missing, &[0])]));
    session.ask("a partition twice", &of(PREFERRED, &[(&name, &[0, 0])]));
    session.ask("a topic twice", &of(PREFERRED, &[(&name, &[0]), (&name, &[1])]));
    session.ask("no partitions", &of(PREFERRED, &[(&name, &[])]));
    session.ask("no topics", &of(PREFERRED, &[]));
    for timeout_ms in [0, -1] {
        let request = ElectLeadersRequest { timeout_ms, ..of(PREFERRED, &[(&name, &[0, 7])]) };
        session.ask(&format!("within {timeout_ms}"), &request);
    }
    session.ask("empty name", &of(PREFERRED, &[(&Str::default(), &[0])]));
    session.ask("bad name", &of(PREFERRED, &[(&"no spaces".into(), &[0])]));
}

fn reassign(session: &mut Session) {
    let (name, _) = session.topic("moved", 2, &[]);
    let missing = session.name("missing");
    let of = |topics: &[(&Str, i32, Option<&[i32]>)]| AlterPartitionReassignmentsRequest {
        timeout_ms: 10_000,
        topics: topics
            .iter()
            .map(|&(name, partition_index, replicas)| ReassignableTopic {
                name: name.clone(),
                partitions: vec![ReassignablePartition {
                    partition_index,
                    replicas: replicas.map(<[i32]>::to_vec),
                }],
            })
            .collect(),
        ..Default::default()
    };
    let list = |topics: Option<&[(&Str, &[i32])]>| ListPartitionReassignmentsRequest {
        timeout_ms: 10_000,
        topics: topics.map(|topics| {
            let topic = |&(name, indexes): &(&Str, &[i32])| ListPartitionReassignmentsTopics {
                name: name.clone(),
                partition_indexes: indexes.to_vec(),
            };
            topics.iter().map(topic).collect()
        }),
    };
    session.ask("to where it is", &of(&[(&name, 0, Some(&[1]))]));
    session.ask("cancel what is not under way", &of(&[(&name, 0, None)]));
    session.ask("to an unknown broker", &of(&[(&name, 0, Some(&[7]))]));
    session.ask("to a known and an unknown broker", &of(&[(&name, 0, Some(&[1, 7]))]));
    session.ask("to a negative broker", &of(&[(&name, 0, Some(&[-1]))]));
    session.ask("to a broker twice", &of(&[(&name, 0, Some(&[1, 1]))]));
    session.ask("to nobody", &of(&[(&name, 0, Some(&[]))]));
    session.ask("unknown partition", &of(&[(&name, 7, Some(&[1]))]));
    session.ask("negative partition", &of(&[(&name, -1, Some(&[1]))]));
    session.ask("unknown topic", &of(&[(&missing, 0, Some(&[1]))]));
    session.ask("cancel of an unknown topic", &of(&[(&missing, 0, None)]));
    session.ask("empty name", &of(&[(&Str::default(), 0, Some(&[1]))]));
    session.ask("known and unknown", &of(&[(&name, 1, Some(&[1])), (&missing, 0, Some(&[1]))]));
    session.ask("nothing", &of(&[]));
    let strict = AlterPartitionReassignmentsRequest {
        allow_replication_factor_change: false,
        ..of(&[(&name, 0, Some(&[1]))])
    };
    session.ask("without a change of the factor", &strict);
    for timeout_ms in [0, -1] {
        let request = AlterPartitionReassignmentsRequest { timeout_ms, ..of(&[(&name, 0, Some(&[1]))]) };
        session.ask(&format!("within {timeout_ms}"), &request);
        let request = ListPartitionReassignmentsRequest { timeout_ms, ..list(Some(&[(&name, &[0])])) };
        session.ask(&format!("list within {timeout_ms}"), &request);
    }
    session.ask("list all", &list(None));
    session.ask("list none", &list(Some(&[])));
    session.ask("list some", &list(Some(&[(&name, &[0, 7]), (&missing, &[0])])));
    session.ask("list no partitions", &list(Some(&[(&name, &[])])));
}
