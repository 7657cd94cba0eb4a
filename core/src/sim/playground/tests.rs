//! What a visitor does, and what is to be seen then.

use super::*;

fn say(playground: &mut Playground, text: &str, seconds: u64) {
    playground.input(Input::Line { terminal: 0, text: text.into() });
    playground.advance(playground.now_us() + seconds * 1_000_000);
}

fn screen(playground: &Playground) -> String {
    let view = playground.view();
    view.terminals[0].lines.iter().map(|line| line.text.clone() + "\n").collect()
}

#[test]
fn a_topic_is_created_and_described_from_the_terminal() {
    let mut playground = Playground::new(1);
    let create =
        "kafka-topics.sh --create --topic exam-topic --partitions 3 --bootstrap-server localhost:9092";
    say(&mut playground, create, 5);
    assert!(screen(&playground).contains("Created topic exam-topic."), "{}", screen(&playground));
    let view = playground.view();
    let topic = view.topics.iter().find(|topic| topic.name == "exam-topic").unwrap();
    assert_eq!(topic.partitions.len(), 3);
}

#[test]
fn what_is_typed_into_the_producer_appears_in_the_consumer() {
    let mut playground = Playground::new(2);
    let at = "--topic exam-topic --bootstrap-server localhost:9092";
    say(&mut playground, &format!("kafka-topics.sh --create {at}"), 5);
    say(&mut playground, &format!("kafka-console-producer.sh {at}"), 3);
    playground.input(Input::OpenTerminal { terminal: 1 });
    let consume = format!("kafka-console-consumer.sh {at} --group readers --from-beginning");
    playground.input(Input::Line { terminal: 1, text: consume });
    playground.advance(playground.now_us() + 10_000_000);
    say(&mut playground, "커피 주문", 10);
    let view = playground.view();
    let shown: Vec<&str> = view.terminals[1].lines.iter().map(|line| line.text.as_str()).collect();
    assert!(shown.contains(&"커피 주문"), "{:?} {}", shown, screen(&playground));
    let group = view.groups.iter().find(|group| group.id == "readers").unwrap();
    assert_eq!((group.state.as_str(), group.members.len()), ("Stable", 1));
    let committed: Vec<_> = group.offsets.iter().map(|offset| (offset.committed, offset.lag)).collect();
    assert_eq!(committed, [(1, 0)]);
    playground.input(Input::Interrupt { terminal: 1 });
    playground.advance(playground.now_us() + 5_000_000);
    assert_eq!(playground.view().terminals[1].running, None);
}

#[test]
fn the_same_seed_and_inputs_give_the_same_world() {
    let run = || {
        let mut playground = Playground::new(3);
        say(&mut playground, "kafka-topics.sh --list --bootstrap-server localhost:9092", 5);
        say(&mut playground, "ls /opt/kafka/bin", 1);
        (playground.trace_hash(), playground.view())
    };
    assert_eq!(run(), run());
}

/// Offsets and values of the records of a topic's only partition.
fn records(playground: &Playground) -> Vec<(i64, String)> {
    let view = playground.view();
    let topic = view.topics.iter().find(|topic| topic.name == "exam-topic").unwrap();
    topic.partitions[0].led().unwrap().cells.iter().map(|cell| (cell.offset, cell.value.clone())).collect()
}

const PRODUCE: &str = "kafka-console-producer.sh --topic exam-topic --bootstrap-server localhost:9092 \
                       --property parse.key=true --property key.separator=:";

#[test]
fn compaction_takes_cells_away_and_leaves_offsets() {
    let mut playground = Playground::new(4);
    let create = "kafka-topics.sh --create --topic exam-topic --config cleanup.policy=compact \
                  --bootstrap-server localhost:9092";
    say(&mut playground, create, 5);
    say(&mut playground, PRODUCE, 3);
    for line in ["tea:1", "milk:1", "tea:2", "tea:3", "milk:2"] {
        say(&mut playground, line, 0);
    }
    playground.advance(playground.now_us() + 2_000_000);
    assert_eq!(records(&playground).len(), 5);
    // The first record after a while closes the segment of those before.
    playground.advance(playground.now_us() + 5_000_000);
    say(&mut playground, "bread:1", 15);
    let kept = [(3, "3"), (4, "2"), (5, "1")].map(|(offset, value)| (offset, value.to_owned()));
    assert_eq!(records(&playground), kept, "{}", screen(&playground));
}

#[test]
fn retention_takes_cells_away_and_leaves_offsets() {
    let mut playground = Playground::new(5);
    let create = "kafka-topics.sh --create --topic exam-topic --config retention.ms=4000 \
                  --bootstrap-server localhost:9092";
    say(&mut playground, create, 5);
    say(&mut playground, PRODUCE, 3);
    say(&mut playground, "tea:1", 1);
    say(&mut playground, "tea:2", 6);
    say(&mut playground, "tea:3", 3);
    assert_eq!(records(&playground), [(2, "3".to_owned())], "{}", screen(&playground));
    let view = playground.view();
    let topic = view.topics.iter().find(|topic| topic.name == "exam-topic").unwrap();
    let replica = topic.partitions[0].led().unwrap();
    assert_eq!((replica.log_start_offset, replica.log_end_offset), (2, 3));
}

const CREATE: &str =
    "kafka-topics.sh --create --topic exam-topic --replication-factor 3 --bootstrap-server localhost:9092";
const EVERYBODY: &str = "localhost:9092,localhost:9093,localhost:9094";

fn operate(playground: &mut Playground, broker: i32, operation: Operation, seconds: u64) {
    playground.input(Input::Operate { broker, operation });
    playground.advance(playground.now_us() + seconds * 1_000_000);
}

fn partition(playground: &Playground) -> PartitionView {
    let view = playground.view();
    let topic = view.topics.iter().find(|topic| topic.name == "exam-topic").unwrap();
    topic.partitions[0].clone()
}

fn isr(playground: &Playground) -> Vec<i32> {
    let mut isr = partition(playground).isr;
    isr.sort_unstable();
    isr
}

fn controller(playground: &Playground) -> i32 {
    let brokers = playground.view().brokers;
    let controllers: Vec<i32> =
        brokers.iter().filter(|broker| broker.controller).map(|broker| broker.id).collect();
    assert_eq!(controllers.len(), 1, "{brokers:?}");
    controllers[0]
}

/// A topic with three replicas, and a producer with `acks=all` that knows all brokers in terminal 0.
fn produced(seed: u64) -> Playground {
    let mut playground = Playground::new(seed);
    say(&mut playground, CREATE, 3);
    let produce = format!(
        "kafka-console-producer.sh --topic exam-topic --producer-property acks=all --bootstrap-server {EVERYBODY}"
    );
    say(&mut playground, &produce, 2);
    say(&mut playground, "one", 3);
    assert_eq!(isr(&playground), [1, 2, 3], "{}", screen(&playground));
    playground
}

fn values(playground: &Playground, broker: i32) -> Vec<String> {
    let partition = partition(playground);
    let replica = partition.replicas.iter().find(|replica| replica.broker == broker).unwrap();
    replica.cells.iter().map(|cell| cell.value.clone()).collect()
}

#[test]
fn three_brokers_serve_from_the_beginning() {
    let playground = Playground::new(6);
    let view = playground.view();
    let brokers: Vec<(i32, u16, bool)> =
        view.brokers.iter().map(|broker| (broker.id, broker.port, broker.is_fenced)).collect();
    assert_eq!(brokers, [(1, 9092, false), (2, 9093, false), (3, 9094, false)]);
    controller(&playground);
}

#[test]
fn a_playground_may_have_one_broker() {
    let mut playground = Playground::with_brokers(6, 1);
    say(&mut playground, "kafka-topics.sh --create --topic exam-topic --bootstrap-server localhost:9092", 3);
    assert_eq!((controller(&playground), partition(&playground).isr), (1, vec![1]));
}

#[test]
fn another_replica_leads_when_the_leader_is_killed_and_nothing_acknowledged_is_lost() {
    let mut playground = produced(7);
    let before = partition(&playground);
    operate(&mut playground, before.leader, Operation::Kill, 5);
    let after = partition(&playground);
    assert_ne!(after.leader, before.leader);
    assert_eq!(after.leader_epoch, before.leader_epoch + 1);
    assert_eq!(isr(&playground).len(), 2);
    say(&mut playground, "two", 3);
    assert_eq!(values(&playground, before.leader), ["one"], "the log of who is down is as it was left");
    operate(&mut playground, before.leader, Operation::Start, 10);
    assert_eq!(isr(&playground), [1, 2, 3]);
    for broker in 1..=3 {
        assert_eq!(values(&playground, broker), ["one", "two"], "broker {broker}: {}", screen(&playground));
    }
}

#[test]
fn a_follower_that_stands_still_leaves_the_isr_and_comes_back() {
    let mut playground = produced(8);
    let before = partition(&playground);
    let follower =
        before.replicas.iter().map(|replica| replica.broker).find(|id| *id != before.leader).unwrap();
    operate(&mut playground, follower, Operation::Pause, 0);
    say(&mut playground, "two", 15);
    assert_eq!(isr(&playground).len(), 2);
    assert_eq!(values(&playground, follower), ["one"]);
    let shown = playground.view().brokers.into_iter().find(|broker| broker.id == follower).unwrap();
    assert!(shown.is_running && shown.is_paused && shown.is_fenced);
    operate(&mut playground, follower, Operation::Resume, 10);
    assert_eq!(isr(&playground), [1, 2, 3]);
    assert_eq!(values(&playground, follower), ["one", "two"]);
}

#[test]
fn a_leader_that_is_cut_off_is_replaced_and_follows_once_it_is_back() {
    let mut playground = produced(9);
    let before = partition(&playground);
    operate(&mut playground, before.leader, Operation::CutOff, 20);
    let after = partition(&playground);
    assert_ne!(after.leader, before.leader);
    assert_ne!(controller(&playground), before.leader);
    say(&mut playground, "two", 5);
    assert_eq!(values(&playground, before.leader), ["one"]);
    let shown = playground.view().brokers.into_iter().find(|broker| broker.id == before.leader).unwrap();
    assert!(shown.is_running && shown.is_cut_off);
    operate(&mut playground, before.leader, Operation::Reconnect, 15);
    assert_eq!(isr(&playground), [1, 2, 3]);
    for broker in 1..=3 {
        assert_eq!(values(&playground, broker), ["one", "two"], "broker {broker}: {}", screen(&playground));
    }
}

#[test]
fn another_controller_takes_over_when_the_active_one_is_killed() {
    let mut playground = Playground::new(10);
    let before = controller(&playground);
    operate(&mut playground, before, Operation::Kill, 5);
    let after = controller(&playground);
    assert_ne!(after, before);
    let create = format!("kafka-topics.sh --create --topic exam-topic --bootstrap-server {EVERYBODY}");
    say(&mut playground, &create, 5);
    assert!(screen(&playground).contains("Created topic exam-topic."), "{}", screen(&playground));
}

#[test]
fn brokers_are_killed_stopped_paused_cut_off_and_started_from_the_terminal() {
    let mut playground = Playground::new(11);
    let of = |playground: &Playground, id: usize| playground.view().brokers[id - 1].clone();
    say(&mut playground, "jps -m", 0);
    assert!(screen(&playground).contains("201 Kafka /opt/kafka/config/server-2.properties"));
    say(&mut playground, "kill -9 201", 5);
    assert!(!of(&playground, 2).is_running && of(&playground, 2).is_fenced);
    say(&mut playground, "kill -9 201", 0);
    assert!(screen(&playground).contains("(201) - No such process"));
    say(&mut playground, "kafka-server-start.sh -daemon ../config/server-2.properties", 5);
    assert!(of(&playground, 2).is_running && !of(&playground, 2).is_fenced);
    assert_eq!(of(&playground, 2).process_id, 202);
    say(&mut playground, "kafka-server-stop.sh --node-id=3", 10);
    assert!(!of(&playground, 3).is_running && of(&playground, 2).is_running);
    say(&mut playground, "docker start kafka-3", 5);
    assert!(of(&playground, 3).is_running && !of(&playground, 3).is_fenced);
    say(&mut playground, "kill -STOP 202", 0);
    assert!(of(&playground, 2).is_paused);
    say(&mut playground, "kill -CONT 202", 0);
    assert!(!of(&playground, 2).is_paused);
    say(&mut playground, "docker network disconnect kafka kafka-2", 0);
    assert!(of(&playground, 2).is_cut_off && !of(&playground, 3).is_cut_off);
    say(&mut playground, "docker network connect kafka kafka-2", 0);
    assert!(!of(&playground, 2).is_cut_off);
}

#[test]
fn frames_are_seen_on_their_way_and_wait_for_who_is_cut_off() {
    let mut playground = produced(12);
    playground.input(Input::Line { terminal: 0, text: "two".into() });
    let leader = partition(&playground).leader;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        assert!(playground.step(playground.now_us() + 1_000_000), "{seen:?}");
        let is_new = |flight: &&FlightView| flight.kind == MessageKind::Produce && !flight.is_over;
        if let Some(flight) = playground.view().flights.iter().find(is_new)
            && seen.last().is_none_or(|(_, _, is_response)| *is_response != flight.is_response)
        {
            seen.push((flight.from, flight.to, flight.is_response));
        }
    }
    let (client, broker) = (Place::Terminal(0), Place::Broker(leader));
    assert_eq!(seen, [(client, broker, false), (broker, client, true)]);
    operate(&mut playground, leader, Operation::CutOff, 1);
    let view = playground.view();
    let waits = |flight: &&FlightView| !flight.is_over && flight.arrives_us < view.now_us;
    assert!(view.flights.iter().any(|flight| waits(&flight) && flight.api == "Fetch"), "{:?}", view.flights);
    assert!(view.flights.len() <= 200);
}
