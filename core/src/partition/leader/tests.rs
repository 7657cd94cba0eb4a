//! What a leader makes of its followers' fetches and of the controller's answers.

use ottla_protocol::records::metadata::RegisterBrokerRecord;

use super::*;
use crate::metadata::topics::DIRECTORY_LOST;

const LAG_MAX_MS: i64 = 30_000;

fn id() -> TopicIdPartition {
    TopicIdPartition { topic_id: Uuid([7; 16]), partition: 0 }
}

fn context() -> ProposalContext {
    ProposalContext { partition: id(), leader_epoch: 4, partition_epoch: 9, broker_epoch: 11 }
}

fn at_ms(ms: i64) -> Instant {
    Instant(1).plus_ms(ms)
}

fn image(epochs: [i64; 3]) -> MetadataImage {
    let mut image = MetadataImage::default();
    for (broker_id, broker_epoch) in (1..).zip(epochs) {
        let record = RegisterBrokerRecord {
            broker_id,
            broker_epoch,
            fenced: false,
            ..RegisterBrokerRecord::default()
        };
        image.replay(&record.into()).unwrap();
    }
    image
}

/// Broker 1 leads 2 and 3 from offset 10 on.
fn leadership(isr: &[i32]) -> Leadership {
    let registration = PartitionRegistration {
        replicas: vec![1, 2, 3],
        isr: isr.to_vec(),
        leader: 1,
        ..PartitionRegistration::default()
    };
    Leadership::new(at_ms(0), &registration, &image([11, 12, 13]), 10, LAG_MAX_MS)
}

fn fetch(broker: i32, fetch_offset: i64, leader_end_offset: i64) -> FollowerFetch {
    let broker_epoch = i64::from(broker) + 10;
    FollowerFetch { broker, broker_epoch, fetch_offset, log_start_offset: 0, leader_end_offset }
}

#[test]
fn nothing_is_committed_before_all_in_sync_have_fetched() {
    let mut it = leadership(&[1, 2, 3]);
    assert_eq!(it.committed_offset(at_ms(0), 12, 12, 1), Some(-1));
    assert_eq!(it.fetched(at_ms(1), &fetch(2, 12, 12)), Ok(true));
    assert_eq!(it.committed_offset(at_ms(1), 12, 12, 1), Some(-1));
    assert_eq!(it.fetched(at_ms(2), &fetch(3, 11, 12)), Ok(true));
    assert_eq!(it.committed_offset(at_ms(2), 12, 12, 1), Some(11));
    assert_eq!(it.fetched(at_ms(3), &fetch(3, 11, 12)), Ok(false));
    // What the leader itself does not vouch for.
    assert_eq!(it.committed_offset(at_ms(3), 5, 12, 1), Some(5));
}

#[test]
fn a_fetch_of_an_earlier_life_does_not_count() {
    let mut it = leadership(&[1, 2, 3]);
    let old = FollowerFetch { broker_epoch: 5, ..fetch(2, 12, 12) };
    assert_eq!(it.fetched(at_ms(1), &old), Err(ErrorCode::NotLeaderOrFollower));
    assert_eq!(it.fetched(at_ms(1), &fetch(7, 12, 12)), Err(ErrorCode::NotLeaderOrFollower));
    assert_eq!(it.committed_offset(at_ms(1), 12, 12, 1), Some(-1));
    // An epoch that the metadata does not know yet may fetch, and not join.
    let mut it = leadership(&[1, 2]);
    let new = FollowerFetch { broker_epoch: 99, ..fetch(3, 12, 12) };
    assert_eq!(it.fetched(at_ms(1), &new), Ok(true));
    it.maybe_expand(context(), 3, 12);
    assert_eq!(it.take_proposal(), None);
    it.brokers_changed(&image([11, 12, 99]));
    it.maybe_expand(context(), 3, 12);
    assert_eq!(it.take_proposal().unwrap().isr, [(1, 11), (2, -1), (3, 99)]);
}

#[test]
fn joining_needs_what_is_committed_and_the_start_of_the_epoch() {
    let mut it = leadership(&[1, 2]);
    for (offset, high_watermark, joins) in [(9, 5, false), (10, 11, false), (11, 11, true)] {
        it.fetched(at_ms(1), &fetch(3, offset, 20)).unwrap();
        it.maybe_expand(context(), 3, high_watermark);
        assert_eq!(it.take_proposal().is_some(), joins, "{offset} {high_watermark}");
    }
    // One change at a time.
    it.fetched(at_ms(2), &fetch(3, 20, 20)).unwrap();
    it.maybe_expand(context(), 3, 11);
    it.maybe_shrink(at_ms(100_000), context(), 20);
    assert_eq!(it.take_proposal(), None);
}

#[test]
fn who_is_about_to_join_counts_already_and_who_is_to_leave_counts_still() {
    let mut it = leadership(&[1, 2]);
    it.fetched(at_ms(0), &fetch(2, 20, 20)).unwrap();
    it.fetched(at_ms(0), &fetch(3, 15, 20)).unwrap();
    it.maybe_expand(context(), 3, 15);
    let much_later = at_ms(LAG_MAX_MS * 3);
    assert_eq!(it.committed_offset(much_later, 20, 20, 1), Some(15));
    assert!(it.is_under_min_isr(3) && !it.is_maximal_isr_too_small(3));
    let altered = AlteredIsr { leader_epoch: 4, partition_epoch: 10, isr: vec![1, 2, 3] };
    assert_eq!(it.answered(4, 9, Ok(&altered)), Some(10));
    assert!(!it.is_under_min_isr(3));

    it.maybe_shrink(much_later, context(), 21);
    // Broker 2 had everything there was, and is as late as 3.
    assert_eq!(it.take_proposal().unwrap().isr, [(1, 11)]);
    assert_eq!(it.committed_offset(much_later, 21, 21, 1), Some(15));
    let altered = AlteredIsr { leader_epoch: 4, partition_epoch: 10, isr: vec![1] };
    assert_eq!(it.answered(4, 9, Ok(&altered)), Some(10));
    assert_eq!(it.committed_offset(much_later, 21, 21, 1), Some(21));
}

#[test]
fn what_was_proposed_outlives_an_assignment_unless_who_was_to_join_is_no_replica_any_more() {
    let mut it = leadership(&[1, 2]);
    it.fetched(at_ms(1), &fetch(2, 12, 12)).unwrap();
    it.fetched(at_ms(1), &fetch(3, 11, 12)).unwrap();
    it.maybe_expand(context(), 3, 11);
    let later = at_ms(2 * LAG_MAX_MS);
    let mut registration = PartitionRegistration {
        replicas: vec![1, 2, 3],
        isr: vec![1, 2],
        leader: 1,
        ..PartitionRegistration::default()
    };
    it.assign(&registration, &image([11, 12, 13]));
    assert_eq!(it.committed_offset(later, 12, 12, 1), Some(11), "it is still waited for");
    registration.replicas = vec![1, 2];
    it.assign(&registration, &image([11, 12, 13]));
    assert_eq!(it.committed_offset(later, 12, 12, 1), Some(12));
    assert!(!it.has_follower(3) && it.take_proposal().is_none());
}

#[test]
fn one_that_has_caught_up_and_may_join_is_waited_for() {
    let mut it = leadership(&[1]);
    it.fetched(at_ms(0), &fetch(3, 20, 20)).unwrap();
    assert_eq!(it.committed_offset(at_ms(LAG_MAX_MS), 25, 25, 1), Some(20));
    assert_eq!(it.committed_offset(at_ms(LAG_MAX_MS + 1), 25, 25, 1), Some(25));
}

#[test]
fn one_whose_directory_is_offline_is_not_waited_for() {
    let (kept, lost) = (Uuid::from_u128(1_000), Uuid::from_u128(1_001));
    let image = |log_dirs: &[Uuid]| {
        let mut image = image([11, 12, 13]);
        let three = RegisterBrokerRecord {
            broker_id: 3,
            broker_epoch: 13,
            fenced: false,
            log_dirs: log_dirs.into(),
            ..Default::default()
        };
        image.replay(&three.into()).unwrap();
        image
    };
    let registration = |isr: &[i32], directory: Uuid| PartitionRegistration {
        replicas: vec![1, 2, 3],
        isr: isr.into(),
        leader: 1,
        directories: vec![DIRECTORY_UNASSIGNED, DIRECTORY_UNASSIGNED, directory],
        ..Default::default()
    };
    let (both, one) = (image(&[kept, lost]), image(&[kept]));
    let mut it = Leadership::new(at_ms(0), &registration(&[1, 2, 3], lost), &both, 10, LAG_MAX_MS);
    it.fetched(at_ms(0), &fetch(2, 25, 25)).unwrap();
    it.fetched(at_ms(0), &fetch(3, 20, 20)).unwrap();
    // The broker loses the directory; what the controller says of the partition comes before or after that.
    it.brokers_changed(&one);
    assert_eq!(it.committed_offset(at_ms(1), 25, 25, 1), Some(20), "it is in sync");
    it.overrule(&[1, 2]);
    assert_eq!(it.committed_offset(at_ms(1), 25, 25, 1), Some(25));
    it.brokers_changed(&both);
    assert_eq!(it.committed_offset(at_ms(1), 25, 25, 1), Some(20), "it may come back");
    // Or it says that this replica cannot take records for now.
    it.assign(&registration(&[1, 2], DIRECTORY_LOST), &both);
    assert_eq!(it.committed_offset(at_ms(1), 25, 25, 1), Some(25));
    it.maybe_expand(context(), 3, 15);
    assert_eq!(it.take_proposal(), None);
    it.assign(&registration(&[1, 2], lost), &both);
    it.maybe_expand(context(), 3, 15);
    assert!(it.take_proposal().is_some());
}

#[test]
fn lag_is_the_time_since_the_replica_had_everything() {
    let mut it = leadership(&[1, 2, 3]);
    // 2 is always one fetch behind a leader that grows; 3 stands still.
    for n in 0..10 {
        let (now, end) = (at_ms(n * 10_000), 20 + n);
        it.fetched(now, &fetch(2, end - 1, end)).unwrap();
        it.fetched(now, &fetch(3, 15, end)).unwrap();
    }
    it.maybe_shrink(at_ms(90_000), context(), 30);
    assert_eq!(it.take_proposal().unwrap().isr, [(1, 11), (2, 12)]);
}

#[test]
fn what_a_refusal_means_for_what_was_proposed() {
    let proposed = || {
        let mut it = leadership(&[1, 2]);
        it.fetched(at_ms(0), &fetch(3, 20, 20)).unwrap();
        it.maybe_expand(context(), 3, 10);
        let proposal = it.take_proposal().unwrap();
        (it, proposal)
    };
    let may_propose = |it: &mut Leadership| {
        it.maybe_expand(context(), 3, 10);
        it.take_proposal().is_some()
    };
    for error in [ErrorCode::IneligibleReplica, ErrorCode::OperationNotAttempted] {
        let (mut it, _) = proposed();
        assert_eq!(it.answered(4, 9, Err(error)), None);
        assert!(may_propose(&mut it), "{error}");
    }
    for error in [ErrorCode::InvalidUpdateVersion, ErrorCode::FencedLeaderEpoch, ErrorCode::NewLeaderElected]
    {
        let (mut it, _) = proposed();
        assert_eq!(it.answered(4, 9, Err(error)), None);
        assert!(!may_propose(&mut it) && !it.is_maximal_isr_too_small(3), "{error}");
        it.overrule(&[1, 2]);
        assert!(may_propose(&mut it), "{error}");
    }
    // Nobody knows what became of it: the same is asked again.
    let (mut it, proposal) = proposed();
    assert_eq!(it.answered(4, 9, Err(ErrorCode::UnknownServerError)), None);
    assert_eq!(it.take_proposal(), Some(proposal));
    // Answers to something else.
    let altered = AlteredIsr { leader_epoch: 5, partition_epoch: 10, isr: vec![1, 2, 3] };
    assert_eq!((it.answered(4, 9, Ok(&altered)), it.answered(4, 8, Ok(&altered))), (None, None));
    assert_eq!(it.isr(), [1, 2]);
}

#[test]
fn the_nearest_replica_with_the_most_records_is_preferred() {
    let mut it = leadership(&[1, 2, 3]);
    it.fetched(at_ms(0), &fetch(2, 18, 20)).unwrap();
    it.fetched(at_ms(0), &fetch(3, 20, 20)).unwrap();
    let here = |brokers: &'static [i32]| move |broker: i32| brokers.contains(&broker);
    assert_eq!(it.preferred_read_replica(at_ms(0), 15, here(&[2, 3])), Some(3));
    assert_eq!(it.preferred_read_replica(at_ms(0), 15, here(&[2])), Some(2));
    assert_eq!(it.preferred_read_replica(at_ms(0), 19, here(&[2])), None);
    assert_eq!(it.preferred_read_replica(at_ms(0), 15, here(&[1, 2])), None);
    assert_eq!(it.preferred_read_replica(at_ms(0), 15, here(&[])), None);
}
