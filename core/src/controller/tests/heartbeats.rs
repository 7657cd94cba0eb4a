//! BrokerHeartbeat: sessions, fencing, controlled shutdown, directories.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::broker_heartbeat_request::BrokerHeartbeatRequest;

use super::house::{House, directory, registration};
use crate::controller::{ControllerRequest, ControllerResponse};
use crate::coordinator::Append;

fn wants_shut_down(beat: &mut BrokerHeartbeatRequest) {
    beat.want_shut_down = true;
}

#[test]
fn a_broker_is_unfenced_once_it_has_its_own_registration() {
    let mut house = House::of(&[1]);
    house.topic(&[&[1], &[1]]);
    let before = house.log.next_offset();
    house.register(&registration(2, 1));
    let response = house.beat(2, |beat| beat.current_metadata_offset = before - 1);
    assert!(response.is_fenced && !response.is_caught_up && house.is_fenced(2));
    let response = house.beat(2, |beat| beat.want_fence = true);
    assert!(response.is_fenced && response.is_caught_up && house.is_fenced(2), "it does not want to");
    let response = house.beat(2, |_| ());
    assert!(!response.is_fenced && !house.is_fenced(2));
    let written = house.log.next_offset();
    house.beat(2, |_| ());
    assert_eq!(house.log.next_offset(), written, "nothing is new");
}

#[test]
fn sessions_end() {
    let mut house = House::of(&[1, 2, 3]);
    house.topic(&[&[1, 2, 3], &[2, 3, 1], &[3, 1, 2]]);
    house.wait(5_000);
    house.beat(2, |_| ());
    house.beat(3, |_| ());
    assert!(!house.is_fenced(1));
    house.wait(4_500);
    assert!(house.is_fenced(1) && !house.is_fenced(2) && !house.is_fenced(3));
    assert_eq!(
        [house.shape(0), house.shape(1), house.shape(2)],
        ["2 [2, 3] []", "2 [2, 3] []", "3 [3, 2] []"]
    );
    assert_eq!(house.partition(0).leader_epoch, 1, "another leader");
    assert_eq!(house.partition(1).leader_epoch, 0, "the same leader");
    let written = house.log.next_offset();
    house.wait(4_000);
    assert_eq!(house.log.next_offset(), written, "once");
    assert_eq!(house.beat(1, |_| ()).error_code, 0);
    assert!(!house.is_fenced(1), "it was cut off, and is back");
}

#[test]
fn a_session_is_of_one_epoch() {
    let mut house = House::of(&[1]);
    let epoch = house.broker(1).epoch;
    house.wait(8_000);
    let stale = house.beat(1, |beat| beat.broker_epoch = epoch - 1);
    assert_eq!((stale.error_code, stale.is_fenced), (ErrorCode::StaleBrokerEpoch.code(), true));
    house.wait(2_000);
    assert!(house.is_fenced(1));
}

#[test]
fn a_new_controller_gives_everybody_a_whole_session() {
    let mut house = House::of(&[1, 2]);
    house.kill(2);
    house.wait(8_000);
    let mut house = house.fail_over();
    house.wait(8_000);
    assert!(!house.is_fenced(1));
    house.wait(2_000);
    assert!(house.is_fenced(1));
    let written = house.log.next_offset();
    house.wait(20_000);
    assert_eq!(house.log.next_offset(), written);
}

#[test]
fn fencing_of_many_partitions_is_several_writes() {
    let mut house = House::of(&[1, 2]);
    let replicas: Vec<&[i32]> = vec![&[1, 2]; 10_500];
    house.topic(&replicas);
    house.wait(8_000);
    house.beat(2, |_| ());
    house.log.writes.clear();
    house.wait(2_000);
    assert!(house.is_fenced(1));
    assert_eq!(house.log.writes, [10_000, 501]);
    assert_eq!((house.shape(0), house.shape(10_499)), ("2 [2] []".to_owned(), "2 [2] []".to_owned()));
}

#[test]
fn a_controlled_shutdown_moves_leaders_first() {
    let mut house = House::of(&[1, 2, 3]);
    house.topic(&[&[1, 2, 3], &[2, 1, 3]]);
    let response = house.beat(1, wants_shut_down);
    assert!(!response.should_shut_down && !response.is_fenced);
    assert!(house.broker(1).in_controlled_shutdown && !house.is_fenced(1));
    assert_eq!([house.shape(0), house.shape(1)], ["2 [2, 3] []", "2 [2, 3] []"]);
    assert!(!house.beat(1, wants_shut_down).should_shut_down, "nobody has heard of the new leaders");
    house.beat(2, |_| ());
    assert!(!house.beat(1, wants_shut_down).should_shut_down, "3 has not");
    house.beat(3, |_| ());
    let response = house.beat(1, wants_shut_down);
    assert!(response.should_shut_down && response.is_fenced && house.is_fenced(1));
    house.restart(1, 2);
    assert!(!house.broker(1).in_controlled_shutdown && !house.is_fenced(1));
}

#[test]
fn who_leads_nothing_may_stop_at_once() {
    let mut house = House::of(&[1, 2]);
    house.topic(&[&[1, 2]]);
    assert!(house.beat(2, wants_shut_down).should_shut_down);
    assert_eq!((house.shape(0), house.is_fenced(2)), ("1 [1] []".to_owned(), true));
    assert!(house.beat(2, wants_shut_down).should_shut_down, "fenced brokers may, too");
}

#[test]
fn the_last_in_sync_may_stop_and_leads_again() {
    let mut house = House::of(&[1, 2]);
    house.topic(&[&[1]]);
    house.beat(1, wants_shut_down);
    assert_eq!(house.shape(0), "-1 [] [1]");
    house.beat(2, |_| ());
    assert!(house.beat(1, wants_shut_down).should_shut_down);
    house.restart(1, 2);
    assert_eq!((house.shape(0), house.partition(0).leader_recovery_state), ("1 [1] []".to_owned(), 0));
    assert!(house.partition(0).last_known_elr.is_empty());
}

#[test]
fn a_directory_goes_offline() {
    let mut house = House::of(&[2]);
    let mut two = registration(1, 1);
    two.log_dirs.push(directory(77));
    house.register(&two);
    house.beat(1, |_| ());
    house.topic(&[&[1, 2], &[2, 1], &[1]]);
    house.beat(1, |beat| beat.offline_log_dirs = vec![directory(1)]);
    assert_eq!(house.broker(1).directories, [directory(77)]);
    assert_eq!([house.shape(0), house.shape(1), house.shape(2)], ["2 [2] []", "2 [2] []", "-1 [] [1]"]);
    let written = house.log.next_offset();
    house.beat(1, |beat| beat.offline_log_dirs = vec![directory(1)]);
    assert_eq!(house.log.next_offset(), written, "that is known");
}

#[test]
fn directories_are_cordoned() {
    let mut house = House::of(&[1]);
    assert_eq!(house.broker(1).cordoned_directories, None);
    for cordoned in [vec![], vec![directory(1)], vec![]] {
        house.beat(1, |beat| beat.cordoned_log_dirs = Some(cordoned.clone()));
        assert_eq!(house.broker(1).cordoned_directories, Some(cordoned.clone()));
        let written = house.log.next_offset();
        house.beat(1, |beat| beat.cordoned_log_dirs = Some(cordoned));
        assert_eq!(house.log.next_offset(), written);
    }
}

#[test]
fn a_log_without_room_changes_nothing_for_good() {
    let mut house = House::of(&[1, 2, 3]);
    house.topic(&[&[1, 2, 3]]);
    house.log.room = Some(0);
    let refused = house.ask(ControllerRequest::BrokerRegistration(registration(4, 1)));
    assert_eq!(refused, ControllerResponse::Failed(ErrorCode::KafkaStorageError));
    let mut beat = BrokerHeartbeatRequest {
        broker_id: 1,
        broker_epoch: house.broker(1).epoch,
        current_metadata_offset: house.log.next_offset(),
        want_shut_down: true,
        ..BrokerHeartbeatRequest::default()
    };
    beat.cordoned_log_dirs = None;
    let refused = house.ask(ControllerRequest::BrokerHeartbeat(beat));
    assert_eq!(refused, ControllerResponse::Failed(ErrorCode::KafkaStorageError));
    house.log.room = None;
    assert!(!house.beat(1, wants_shut_down).should_shut_down);
    assert!(house.broker(1).in_controlled_shutdown);
    assert_eq!(house.shape(0), "2 [2, 3] []", "what could not be written is decided again");
    assert_eq!(house.register(&registration(4, 1)).0, ErrorCode::None);

    house.wait(5_000);
    house.beat(3, |_| ());
    house.log.room = Some(0);
    house.wait(5_000);
    assert!(!house.is_fenced(2), "nobody could be told");
    house.log.room = None;
    house.beat(3, |_| ());
    house.wait(5_000);
    house.beat(3, |_| ());
    house.wait(5_000);
    assert_eq!((house.is_fenced(2), house.shape(0)), (true, "3 [3] []".to_owned()));
}

#[test]
fn what_was_written_of_many_changes_stays() {
    let mut house = House::of(&[1, 2]);
    let replicas: Vec<&[i32]> = vec![&[1, 2]; 10_500];
    house.topic(&replicas);
    house.wait(8_000);
    house.beat(2, |_| ());
    house.log.room = Some(1);
    house.wait(2_000);
    let moved =
        house.image().topic("t").expect("it exists").partitions.values().filter(|one| one.leader == 2);
    assert_eq!((moved.count(), house.is_fenced(1)), (10_000, false));
    house.log.room = None;
    house.beat(2, |_| ());
    house.wait(8_000);
    house.beat(2, |_| ());
    house.wait(2_000);
    assert!(house.is_fenced(1));
    assert_eq!(house.shape(10_499), "2 [2] []");
}

#[test]
fn what_is_in_a_directory_that_is_offline_does_not_come_with_its_broker() {
    let mut house = House::of(&[1, 2]);
    house.topic(&[&[1], &[1]]);
    house.kill(1);
    assert_eq!((house.partition(0).leader, house.partition(1).leader), (-1, -1));
    house.beat(1, |beat| beat.offline_log_dirs = vec![directory(1)]);
    assert!(!house.is_fenced(1));
    assert_eq!((house.partition(0).leader, house.partition(1).leader), (-1, -1));
}
