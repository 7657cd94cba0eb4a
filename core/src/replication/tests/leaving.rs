//! A leader that leaves: what is on its way when it hands over.

use ottla_protocol::ErrorCode;
use ottla_protocol::records::metadata::{BrokerRegistrationChangeRecord, PartitionChangeRecord};

use super::cluster::{Cluster, TOPIC_ID, unchanged};
use super::{cluster, with_min_isr};
use crate::metadata::MetadataRecord;

/// Broker 1 hands over to broker 2, as the controller writes it down.
fn leaving() -> Vec<MetadataRecord> {
    let leaves = BrokerRegistrationChangeRecord {
        broker_id: 1,
        broker_epoch: 10,
        in_controlled_shutdown: 1,
        ..BrokerRegistrationChangeRecord::default()
    };
    let change =
        PartitionChangeRecord { topic_id: TOPIC_ID, leader: 2, isr: Some(vec![2, 3]), ..unchanged() };
    vec![leaves.into(), change.into()]
}

fn leave(cluster: &mut Cluster) {
    cluster.publish(leaving());
    cluster.settle();
}

#[test]
fn what_the_next_leader_commits_is_acknowledged() {
    let mut cluster = cluster();
    cluster.settle();
    let number = cluster.produce(1, -1, 10);
    // The followers take it; that they have it is said with their next fetch, which is to the next leader.
    cluster.rounds = Some(1);
    while cluster.ends(2) != (1, 0) || cluster.ends(3) != (1, 0) {
        cluster.settle();
    }
    assert_eq!(cluster.ends(1), (1, 0));
    cluster.publish(leaving());
    cluster.rounds = None;
    cluster.advance(1_000);
    assert_eq!(cluster.produced(number).unwrap().unwrap().base_offset, 0);
    cluster.assert_identical();
}

#[test]
fn what_the_next_leader_does_not_have_is_refused() {
    let mut cluster = cluster();
    cluster.settle();
    cluster.rounds = Some(0);
    let number = cluster.produce(1, -1, 10);
    cluster.publish(leaving());
    assert!(cluster.produced(number).is_none());
    cluster.rounds = None;
    cluster.advance(1_000);
    assert_eq!(cluster.produced(number).unwrap().unwrap_err().code, ErrorCode::NotLeaderOrFollower);
    assert_eq!(cluster.ends(1), (0, 0));
}

#[test]
fn what_comes_later_is_passed_on_in_its_order() {
    let mut cluster = with_min_isr();
    leave(&mut cluster);
    let numbers: Vec<_> = (0..20).map(|n| (cluster.produce(1, [-1, 1, 0][n % 3], 10 + n), n)).collect();
    cluster.advance(1_000);
    for (number, offset) in numbers {
        assert_eq!(cluster.produced(number).unwrap().unwrap().base_offset, offset as i64);
    }
    cluster.assert_identical();
    assert_eq!(cluster.ends(2), (20, 20));
}

#[test]
fn what_cannot_be_passed_on_times_out() {
    let mut cluster = cluster();
    leave(&mut cluster);
    cluster.cut(1, 2);
    let numbers = [cluster.produce(1, -1, 10), cluster.produce(1, -1, 10)];
    cluster.advance(4_900);
    assert!(cluster.produced(numbers[0]).is_none());
    cluster.advance(200);
    for number in numbers {
        assert_eq!(cluster.produced(number).unwrap().unwrap_err().code, ErrorCode::RequestTimedOut);
    }
    // Nothing of it is left, and nothing is sent that nobody waits for.
    cluster.cut.clear();
    cluster.advance(2_000);
    assert_eq!(cluster.ends(2), (0, 0));
    let number = cluster.produce(1, -1, 10);
    cluster.advance(1_000);
    assert_eq!(cluster.produced(number).unwrap().unwrap().base_offset, 0);
}

#[test]
fn what_the_next_leader_refuses_is_refused() {
    let mut cluster = Cluster::new(|config| config.topic_defaults.min_insync_replicas = 3);
    leave(&mut cluster);
    let number = cluster.produce(1, -1, 10);
    cluster.advance(100);
    assert_eq!(cluster.produced(number).unwrap().unwrap_err().code, ErrorCode::NotEnoughReplicas);
}

#[test]
fn one_that_stays_refuses_what_another_leads() {
    let mut cluster = cluster();
    cluster.elect(2, &[1, 2, 3]);
    let number = cluster.produce(1, -1, 10);
    assert_eq!(cluster.produced(number).unwrap().unwrap_err().code, ErrorCode::NotLeaderOrFollower);
}
