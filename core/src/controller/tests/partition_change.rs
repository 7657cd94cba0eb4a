//! PartitionChange: leaders, eligible replicas, recovery.

use super::house::House;

#[test]
fn eligible_replicas_are_those_that_left_while_too_few_were_in_sync() {
    let mut house = House::of(&[1, 2, 3]);
    house.topic(&[&[1, 2, 3]]);
    house.set("min.insync.replicas", "2");
    house.kill(3);
    assert_eq!(house.shape(0), "1 [1, 2] []", "two are enough");
    house.kill(2);
    assert_eq!(house.shape(0), "1 [1] [2]");
    house.kill(1);
    assert_eq!(house.shape(0), "-1 [] [1, 2]");
    assert_eq!(house.partition(0).last_known_elr, [1]);
    house.restart(3, 2);
    assert_eq!(house.shape(0), "-1 [] [1, 2]", "3 is not eligible");
    house.restart(2, 2);
    assert_eq!(house.shape(0), "2 [2] [1]");
    assert_eq!((house.partition(0).last_known_elr.len(), house.partition(0).leader_recovery_state), (0, 0));
}

#[test]
fn the_minimum_is_no_more_than_there_are_replicas() {
    let mut house = House::of(&[1, 2]);
    house.topic(&[&[1]]);
    house.set("min.insync.replicas", "2");
    house.kill(1);
    assert_eq!(house.shape(0), "-1 [] [1]");
}

#[test]
fn an_unclean_election_has_to_be_allowed() {
    for allowed in [false, true] {
        let mut house = House::of(&[1, 2]);
        house.topic(&[&[1, 2]]);
        house.set("unclean.leader.election.enable", if allowed { "true" } else { "false" });
        house.kill(2);
        house.kill(1);
        house.restart(2, 2);
        let partition = house.partition(0);
        if allowed {
            assert_eq!((house.shape(0), partition.leader_recovery_state), ("2 [2] []".to_owned(), 1));
        } else {
            assert_eq!((house.shape(0), partition.leader_recovery_state), ("-1 [] [1]".to_owned(), 0));
        }
    }
}

#[test]
fn whoever_is_in_controlled_shutdown_is_no_candidate() {
    let mut house = House::of(&[1, 2, 3]);
    house.topic(&[&[1, 2, 3], &[2, 3, 1]]);
    house.beat(2, |beat| beat.want_shut_down = true);
    assert!(house.broker(2).in_controlled_shutdown);
    house.kill(1);
    assert_eq!([house.shape(0), house.shape(1)], ["3 [3] []", "3 [3] []"]);
}

#[test]
fn another_minimum_forgets_who_was_eligible() {
    use crate::controller::ControllerRequest;
    use ottla_protocol::messages::incremental_alter_configs_request::{
        AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
    };

    let mut house = House::of(&[1, 2]);
    house.topic(&[&[1, 2]]);
    house.set("min.insync.replicas", "2");
    house.kill(2);
    assert_eq!(house.shape(0), "1 [1] [2]");
    let set =
        AlterableConfig { name: "min.insync.replicas".into(), config_operation: 0, value: Some("1".into()) };
    let resource = AlterConfigsResource { resource_type: 2, resource_name: "t".into(), configs: vec![set] };
    let request = IncrementalAlterConfigsRequest {
        resources: vec![resource],
        ..IncrementalAlterConfigsRequest::default()
    };
    house.ask(ControllerRequest::IncrementalAlterConfigs(request));
    assert_eq!(house.shape(0), "1 [1] []");
}
