//! Metadata quorums of several controllers: Ottla's alone, and Ottla's with Apache Kafka's.

use ottla_tests::peer::Kind;
use ottla_tests::peer::cluster::{Cluster, Roles, Status};

use Kind::{Kafka, Ottla};

/// All have all of it.
fn is_caught_up(status: &Status) -> bool {
    status.max_follower_lag == 0
}

/// Kills the leader, waits for another one, and brings the old one back: who led, and who does.
fn another_leader(quorum: &mut Cluster) -> (usize, usize) {
    let before = quorum.until("a leader", is_caught_up);
    quorum.kill(before.leader_id);
    let after = quorum.until("another leader", |status| {
        status.leader_id != before.leader_id && status.leader_epoch > before.leader_epoch
    });
    assert!(
        after.high_watermark >= before.high_watermark,
        "nothing committed is lost: {before:?}, {after:?}"
    );
    quorum.restart(before.leader_id);
    quorum.until("the old leader to follow", is_caught_up);
    (before.leader_id, after.leader_id)
}

/// What the log of a controller holds, as far as all have it.
fn log(quorum: &Cluster, id: usize) -> Vec<u8> {
    let path = quorum.data(id).join("__cluster_metadata-0/00000000000000000000.log");
    std::fs::read(path).expect("a log")
}

/// The logs of controllers that have stopped: each is the beginning of the longest.
fn are_the_same(quorum: &Cluster, ids: impl Iterator<Item = usize>) {
    let logs: Vec<_> = ids.map(|id| log(quorum, id)).collect();
    let shortest = logs.iter().map(Vec::len).min().expect("logs");
    assert!(shortest > 0);
    // Of the records. Apache Kafka preallocates nothing here, and a log may lack what was written last.
    assert!(
        logs.iter().all(|log| log[..shortest] == logs[0][..shortest]),
        "logs of {shortest} bytes and more"
    );
}

#[test]
fn three_controllers_elect_another_one() {
    let mut quorum = Cluster::start(&[Ottla, Ottla, Ottla], Roles::Controllers, &[]);
    for _ in 0..3 {
        another_leader(&mut quorum);
    }
    let replication = quorum.tool(&["describe", "--replication"]).ok();
    assert_eq!(replication.lines().filter(|line| line.contains("Follower")).count(), 2, "{replication}");
    for id in 1..=3 {
        assert!(quorum.stop(id), "a clean stop");
    }
    are_the_same(&quorum, 1..=3);
}

#[test]
fn leadership_moves_between_ottla_and_apache_kafka() {
    let mut quorum = Cluster::start(&[Ottla, Kafka, Ottla], Roles::Controllers, &[]);
    let mut moves = Vec::new();
    while !(moves.contains(&(Ottla, Kafka)) && moves.contains(&(Kafka, Ottla))) {
        let (before, after) = another_leader(&mut quorum);
        moves.push((quorum.kind(before), quorum.kind(after)));
        assert!(moves.len() < 40, "{moves:?}");
    }
    println!("{moves:?}");
    for id in 1..=3 {
        assert!(quorum.stop(id), "a clean stop");
    }
    are_the_same(&quorum, 1..=3);
}
