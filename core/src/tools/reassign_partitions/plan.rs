//! Plans: which replicas partitions shall have, and in which directories.

use std::collections::BTreeMap;

use ottla_protocol::Str;

use crate::tools::decode_json::{array, check_version, field, number, object, text};
use crate::tools::failure::Refusal;
use crate::tools::json::{Json, quoted};
use crate::tools::partitions::TopicPartition;

/// A directory that does not matter.
const ANY: &str = "any";

/// A replica: its broker, its topic and its partition.
pub type Replica = (i32, Str, i32);
/// Replicas of partitions.
pub type Assignment = BTreeMap<TopicPartition, Vec<i32>>;

/// A plan, in the order of its file.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub partitions: Vec<(TopicPartition, Vec<i32>)>,
    /// Only those that matter.
    pub directories: BTreeMap<Replica, Str>,
}

impl Plan {
    /// Reads a plan, which need not make sense.
    pub fn parse(json: &str) -> Result<Self, Refusal> {
        let plan = parsed(json)?;
        check_version(&plan)?;
        let mut read = Self::default();
        for item in list(&plan, "partitions")? {
            let place = (text(field(item, "topic")?)?, number(field(item, "partition")?, "Integer")?);
            let replicas = array(field(item, "replicas")?)?;
            let replicas =
                replicas.iter().map(|item| number(item, "Integer")).collect::<Result<Vec<i32>, _>>()?;
            if let Some(directories) = object(item)?.get("log_dirs") {
                let directories = array(directories)?.iter().map(text).collect::<Result<Vec<Str>, _>>()?;
                if directories.len() != replicas.len() {
                    let names: Vec<&str> = directories.iter().map(|name| &**name).collect();
                    return Err(wrong(format!(
                        "Size of replicas list {replicas:?} is different from size of log dirs list [{}] for partition {}",
                        names.join(", "),
                        named(&place)
                    )));
                }
                let wanted = replicas.iter().zip(directories).filter(|(_, directory)| **directory != *ANY);
                let wanted =
                    wanted.map(|(broker, directory)| ((*broker, place.0.clone(), place.1), directory));
                read.directories.extend(wanted);
            }
            read.partitions.push((place, replicas));
        }
        Ok(read)
    }

    /// The same, if it can be carried out.
    pub fn checked(self) -> Result<Self, Refusal> {
        if self.partitions.is_empty() {
            return Err(wrong("Partition reassignment list cannot be empty".to_owned()));
        }
        if self.partitions.iter().any(|(_, replicas)| replicas.is_empty()) {
            return Err(wrong("Partition replica list cannot be empty".to_owned()));
        }
        let places: Vec<String> = self.partitions.iter().map(|(place, _)| named(place)).collect();
        let twice = duplicates(&places);
        if !twice.is_empty() {
            let twice = twice.join(",");
            return Err(wrong(format!(
                "Partition reassignment contains duplicate topic partitions: {twice}"
            )));
        }
        let entries = self.partitions.iter().filter_map(|(place, replicas)| {
            let twice: Vec<String> = duplicates(replicas).iter().map(ToString::to_string).collect();
            let sentence = format!("{} contains multiple entries for {}", named(place), twice.join(","));
            (!twice.is_empty()).then_some(sentence)
        });
        let entries: Vec<String> = entries.collect();
        if !entries.is_empty() {
            let entries = entries.join(". ");
            return Err(wrong(format!(
                "Partition replica lists may not contain duplicate entries: {entries}"
            )));
        }
        Ok(self)
    }

    /// The topics, each once.
    pub fn topics(&self) -> Vec<Str> {
        let mut topics: Vec<Str> = self.partitions.iter().map(|((topic, _), _)| topic.clone()).collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }

    /// The replicas by partition; a later one goes before an earlier one.
    pub fn assignment(&self) -> Assignment {
        self.partitions.iter().cloned().collect()
    }
}

fn wrong(sentence: String) -> Refusal {
    Refusal::new("AdminCommandFailedException", sentence)
}

fn parsed(json: &str) -> Result<Json, Refusal> {
    let unread = || Refusal::new("AdminOperationException", "The input string is not a valid JSON");
    Json::parse(json).ok_or_else(unread)
}

/// The items of a member that need not be there.
fn list<'j>(plan: &'j Json, name: &str) -> Result<&'j [Json], Refusal> {
    object(plan)?.get(name).map_or(Ok(&[]), array)
}

/// Those that stand more than once.
fn duplicates<T: Clone + PartialEq>(items: &[T]) -> Vec<T> {
    let mut twice: Vec<T> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        if items.iter().take(at).any(|before| before == item) && !twice.contains(item) {
            twice.push(item.clone());
        }
    }
    twice
}

/// The topics of a file that `--generate` is given.
pub fn topics_to_move(json: &str) -> Result<Vec<Str>, Refusal> {
    let plan = parsed(json)?;
    check_version(&plan)?;
    let topics = list(&plan, "topics")?.iter();
    let topics = topics.map(|item| text(field(item, "topic")?)).collect::<Result<Vec<Str>, _>>()?;
    let twice: Vec<String> = duplicates(&topics).iter().map(ToString::to_string).collect();
    match twice.is_empty() {
        true => Ok(topics),
        false => Err(wrong(format!(
            "List of topics to reassign contains duplicate entries: [{}]",
            twice.join(", ")
        ))),
    }
}

/// `topic-partition`.
pub fn named((topic, partition): &TopicPartition) -> String {
    format!("{topic}-{partition}")
}

/// `topic-partition-broker`.
pub fn named_replica((broker, topic, partition): &Replica) -> String {
    format!("{topic}-{partition}-{broker}")
}

/// A plan as a file holds it.
pub fn json(assignment: &Assignment, directories: &BTreeMap<Replica, Str>) -> String {
    let partitions: Vec<String> = assignment
        .iter()
        .map(|((topic, partition), replicas)| {
            let directory = |broker: &i32| {
                let place = (*broker, topic.clone(), *partition);
                quoted(directories.get(&place).map_or(ANY, |directory| directory))
            };
            let directories: Vec<String> = replicas.iter().map(directory).collect();
            format!(
                "{{\"topic\":{},\"partition\":{partition},\"replicas\":[{}],\"log_dirs\":[{}]}}",
                quoted(topic),
                ids(replicas),
                directories.join(",")
            )
        })
        .collect();
    format!("{{\"version\":1,\"partitions\":[{}]}}", partitions.join(","))
}

/// Ids with commas between.
pub fn ids<'i>(ids: impl IntoIterator<Item = &'i i32>) -> String {
    ids.into_iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> String {
        Plan::parse(json).and_then(Plan::checked).unwrap_err().message
    }

    #[test]
    fn a_plan_is_read_and_written() {
        let text = r#"{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[2,1],"log_dirs":["/d","any"]}]}"#;
        let plan = Plan::parse(text).and_then(Plan::checked).unwrap();
        assert_eq!(plan.directories.keys().collect::<Vec<_>>(), [&(2, Str::from("t"), 0)]);
        assert_eq!(json(&plan.assignment(), &plan.directories), text);
    }

    #[test]
    fn plans_that_make_no_sense_are_refused() {
        let of = |partitions: &str| format!("{{\"partitions\":[{partitions}]}}");
        let one = r#"{"topic":"t","partition":0,"replicas":[1]}"#;
        assert_eq!(refused("{}"), "Partition reassignment list cannot be empty");
        assert_eq!(
            refused(&of(&format!("{one},{one}"))),
            "Partition reassignment contains duplicate topic partitions: t-0"
        );
        assert_eq!(
            refused(&of(&one.replace("[1]", "[1,1]"))),
            "Partition replica lists may not contain duplicate entries: t-0 contains multiple entries for 1"
        );
        assert_eq!(refused(&of(&one.replace("[1]", "[]"))), "Partition replica list cannot be empty");
        assert_eq!(
            refused(&of(r#"{"topic":"t","partition":0,"replicas":[1,2],"log_dirs":["any"]}"#)),
            "Size of replicas list [1, 2] is different from size of log dirs list [any] for partition t-0"
        );
        assert_eq!(refused(r#"{"version":2}"#), "Not supported version field value 2");
    }
}
