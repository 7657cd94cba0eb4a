//! What is under way and where replicas are, as brokers tell it, and how a plan stands.

use std::collections::BTreeMap;

use ottla_protocol::messages::{DescribeLogDirsResponse, ListPartitionReassignmentsResponse};
use ottla_protocol::{ErrorCode, Str};

use super::plan::{Assignment, Plan, Replica, ids, named, named_replica};
use crate::client::Reply;
use crate::tools::failure::{Refusal, refusal};
use crate::tools::partitions::{TopicPartition, error_of};

/// A reassignment that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ongoing {
    pub replicas: Vec<i32>,
    pub adding: Vec<i32>,
    pub removing: Vec<i32>,
}

/// All that are under way; `None` where another controller has to be asked.
pub fn ongoing(reply: &Reply) -> Result<Option<BTreeMap<TopicPartition, Ongoing>>, Refusal> {
    let answer: ListPartitionReassignmentsResponse = reply.decode()?;
    match error_of(answer.error_code) {
        ErrorCode::None => {}
        ErrorCode::NotController => return Ok(None),
        error => return Err(refusal(error, answer.error_message.as_deref())),
    }
    let mut found = BTreeMap::new();
    for topic in answer.topics {
        for partition in topic.partitions {
            let ongoing = Ongoing {
                replicas: partition.replicas,
                adding: partition.adding_replicas,
                removing: partition.removing_replicas,
            };
            found.insert((topic.name.detached(), partition.partition_index), ongoing);
        }
    }
    Ok(Some(found))
}

/// What `--list` shows.
pub fn listed(ongoing: &BTreeMap<TopicPartition, Ongoing>) -> String {
    if ongoing.is_empty() {
        return "No partition reassignments found.\n".to_owned();
    }
    let some = |what: &str, brokers: &[i32]| match brokers.is_empty() {
        true => String::new(),
        false => format!(" {what}: {}.", ids(brokers)),
    };
    let line = |(place, one): (&TopicPartition, &Ongoing)| {
        let (adding, removing) = (some("adding", &one.adding), some("removing", &one.removing));
        format!("{}: replicas: {}.{adding}{removing}\n", named(place), ids(&one.replicas))
    };
    format!("Current partition reassignments:\n{}", ongoing.iter().map(line).collect::<String>())
}

/// How the partitions of a plan stand.
pub fn states(plan: &Plan, ongoing: &BTreeMap<TopicPartition, Ongoing>, current: &Assignment) -> String {
    let mut text = "Status of partition reassignment:\n".to_owned();
    for (place, target) in plan.assignment() {
        let partition = named(&place);
        let replicas = current.get(&place).map_or(&[][..], Vec::as_slice);
        text.push_str(&if ongoing.contains_key(&place) {
            format!("Reassignment of partition {partition} is still in progress.\n")
        } else if replicas == target {
            format!("Reassignment of partition {partition} is completed.\n")
        } else {
            let (replicas, target) = (ids(replicas), ids(&target));
            format!(
                "There is no active reassignment of partition {partition}, but replica set is {replicas} rather than {target}.\n"
            )
        });
    }
    text
}

/// Where a replica is, and where it moves to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directories {
    pub current: Option<Str>,
    pub future: Option<Str>,
}

/// Where the replicas of a broker are, as it tells.
pub fn directories(broker: i32, reply: &Reply) -> Result<BTreeMap<Replica, Directories>, Refusal> {
    let answer: DescribeLogDirsResponse = reply.decode()?;
    match error_of(answer.error_code) {
        ErrorCode::None => {}
        error => return Err(refusal(error, None)),
    }
    let mut found: BTreeMap<Replica, Directories> = BTreeMap::new();
    for directory in answer.results.iter().filter(|directory| directory.error_code == 0) {
        for topic in &directory.topics {
            for partition in &topic.partitions {
                let place = (broker, topic.name.detached(), partition.partition_index);
                let replica = found.entry(place).or_default();
                let path = Some(directory.log_dir.detached());
                if partition.is_future_key {
                    replica.future = path;
                } else {
                    replica.current = path;
                }
            }
        }
    }
    Ok(found)
}

/// How the replicas of a plan stand that have to be in certain directories, and whether all are where they should be or will not move.
pub fn moves(wanted: &BTreeMap<Replica, Str>, found: &BTreeMap<Replica, Directories>) -> (String, bool) {
    let (mut lines, mut are_done) = (Vec::new(), true);
    for (place, target) in wanted {
        let (broker, topic, partition) = place;
        let Directories { current, future } = found.get(place).cloned().unwrap_or_default();
        let replica = named_replica(place);
        are_done &= future.is_none() && current.is_some();
        lines.push(match (current, future) {
            (None, _) => format!(
                "Partition {topic}-{partition} is not found in any live log dir on broker {broker}. There is likely an offline log directory on the broker."
            ),
            (Some(_), Some(future)) if future == *target => {
                format!("Reassignment of replica {replica} is still in progress.")
            }
            (Some(_), Some(future)) => format!(
                "Partition {topic}-{partition} on broker {broker} is being moved to log dir {future} instead of {target}."
            ),
            (Some(current), None) if current == *target => {
                format!("Reassignment of replica {replica} completed successfully.")
            }
            (Some(current), None) => format!(
                "Partition {topic}-{partition} on broker {broker} is not being moved from log dir {current} to {target}."
            ),
        });
    }
    (lines.join("\n"), are_done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_is_told() {
        let place = (Str::from("t"), 0);
        let one = Ongoing { replicas: vec![1, 2], adding: vec![2], removing: vec![1] };
        let ongoing = BTreeMap::from([(place.clone(), one)]);
        let line = "Current partition reassignments:\nt-0: replicas: 1,2. adding: 2. removing: 1.\n";
        assert_eq!(listed(&ongoing), line);
        let plan = Plan { partitions: vec![(place.clone(), vec![2])], ..Plan::default() };
        let state = |ongoing, current: &[i32]| {
            let current = Assignment::from([(place.clone(), current.to_vec())]);
            states(&plan, ongoing, &current).lines().last().unwrap().to_owned()
        };
        assert_eq!(state(&ongoing, &[1, 2]), "Reassignment of partition t-0 is still in progress.");
        let none = BTreeMap::new();
        assert_eq!(state(&none, &[2]), "Reassignment of partition t-0 is completed.");
        let other = "There is no active reassignment of partition t-0, but replica set is 1 rather than 2.";
        assert_eq!(state(&none, &[1]), other);
    }

    #[test]
    fn moves_between_directories_are_told() {
        let place = (1, Str::from("t"), 0);
        let wanted = BTreeMap::from([(place.clone(), Str::from("/b"))]);
        let told = |current: Option<&str>, future: Option<&str>| {
            let found = Directories { current: current.map(Str::from), future: future.map(Str::from) };
            moves(&wanted, &BTreeMap::from([(place.clone(), found)]))
        };
        assert_eq!(
            told(Some("/b"), None),
            ("Reassignment of replica t-0-1 completed successfully.".into(), true)
        );
        assert!(!told(Some("/a"), Some("/b")).1 && !told(None, None).1 && told(Some("/a"), None).1);
        assert!(told(Some("/a"), Some("/c")).0.ends_with("being moved to log dir /c instead of /b."));
    }
}
