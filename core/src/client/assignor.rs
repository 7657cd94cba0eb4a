//! Who gets which partition: the leader of a classic group runs one of these.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::IntoTree as _;
use ottla_protocol::Str;

/// A topic's partition.
pub type TopicPartition = (Str, i32);

/// A member as its leader sees it.
#[derive(Clone, Debug, Default)]
pub struct Subscription {
    /// Topics it wants.
    pub topics: Vec<Str>,
    /// What it holds now (sticky assignors).
    pub owned: Vec<TopicPartition>,
}

/// The strategies of Kafka's consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    /// Consecutive partitions of each topic to each member.
    Range,
    /// All partitions, one after the other.
    RoundRobin,
    /// Even, and as it was where that is possible.
    Sticky,
    /// As sticky; a partition changes hands in two rebalances, so that the others are never stopped (KIP-429).
    CooperativeSticky,
}

/// What each member gets, by member id.
pub type Assignment = BTreeMap<Str, Vec<TopicPartition>>;

impl Assignor {
    /// Its name in the group protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::Sticky => "sticky",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// By its name in the group protocol.
    pub fn by_name(name: &str) -> Option<Self> {
        [Self::Range, Self::RoundRobin, Self::Sticky, Self::CooperativeSticky]
            .into_iter()
            .find(|assignor| assignor.name() == name)
    }

    /// Whether members keep what they hold during a rebalance.
    pub fn is_cooperative(self) -> bool {
        self == Self::CooperativeSticky
    }

    /// Shares `partitions` (topic to count) among `members`.
    pub fn assign(
        self,
        partitions: &BTreeMap<Str, i32>,
        members: &BTreeMap<Str, Subscription>,
    ) -> Assignment {
        let mut assignment: Assignment = members.keys().map(|id| (id.clone(), Vec::new())).into_map();
        match self {
            Self::Range => range(partitions, members, &mut assignment),
            Self::RoundRobin => round_robin(partitions, members, &mut assignment),
            Self::Sticky => sticky(partitions, members, &mut assignment),
            Self::CooperativeSticky => {
                sticky(partitions, members, &mut assignment);
                hold_back_what_moves(members, &mut assignment);
            }
        }
        assignment
    }
}

fn range(
    partitions: &BTreeMap<Str, i32>,
    members: &BTreeMap<Str, Subscription>,
    assignment: &mut Assignment,
) {
    for (topic, count) in partitions {
        let wanting: Vec<&Str> =
            members.iter().filter(|(_, member)| member.topics.contains(topic)).map(|(id, _)| id).collect();
        let Ok(consumers) = i32::try_from(wanting.len()) else { continue };
        if consumers == 0 {
            continue;
        }
        let (each, extra) = (count / consumers, count % consumers);
        for (place, id) in (0..consumers).zip(wanting) {
            let first = each * place + place.min(extra);
            let share = each + i32::from(place < extra);
            if let Some(mine) = assignment.get_mut(id) {
                mine.extend((first..first + share).map(|partition| (topic.clone(), partition)));
            }
        }
    }
}

fn round_robin(
    partitions: &BTreeMap<Str, i32>,
    members: &BTreeMap<Str, Subscription>,
    assignment: &mut Assignment,
) {
    let ids: Vec<&Str> = members.keys().collect();
    let mut turn = 0_usize;
    for (topic, count) in partitions {
        if !members.values().any(|member| member.topics.contains(topic)) {
            continue;
        }
        for partition in 0..*count {
            for _ in 0..ids.len() {
                let id = ids[turn % ids.len()];
                turn += 1;
                if members.get(id).is_some_and(|member| member.topics.contains(topic)) {
                    if let Some(mine) = assignment.get_mut(id) {
                        mine.push((topic.clone(), partition));
                    }
                    break;
                }
            }
        }
    }
}

/// Members keep what they hold up to their share; the rest goes to whoever has least; at last single partitions move until no
/// member has two more than another that wants the same topic.
fn sticky(
    partitions: &BTreeMap<Str, i32>,
    members: &BTreeMap<Str, Subscription>,
    assignment: &mut Assignment,
) {
    let mut free: BTreeSet<TopicPartition> = partitions
        .iter()
        .flat_map(|(topic, count)| (0..*count).map(|partition| (topic.clone(), partition)))
        .into_set();
    for (id, member) in members {
        for owned in &member.owned {
            if member.topics.contains(&owned.0)
                && free.remove(owned)
                && let Some(mine) = assignment.get_mut(id)
            {
                mine.push(owned.clone());
            }
        }
    }
    for partition in free {
        let least = members
            .iter()
            .filter(|(_, member)| member.topics.contains(&partition.0))
            .map(|(id, _)| id)
            .min_by_key(|id| (assignment.get(*id).map_or(0, Vec::len), (*id).clone()));
        if let Some(mine) = least.and_then(|id| assignment.get_mut(id)) {
            mine.push(partition);
        }
    }
    while let Some((from, to, at)) = imbalance(members, assignment) {
        let moved = assignment.get_mut(&from).map(|mine| mine.remove(at));
        if let (Some(partition), Some(mine)) = (moved, assignment.get_mut(&to)) {
            mine.push(partition);
        }
    }
    for mine in assignment.values_mut() {
        mine.sort_unstable();
    }
}

/// A partition whose move makes shares more even: from whom, to whom, its place.
fn imbalance(members: &BTreeMap<Str, Subscription>, assignment: &Assignment) -> Option<(Str, Str, usize)> {
    for (from, mine) in assignment {
        for (at, (topic, _)) in mine.iter().enumerate().rev() {
            let poorer = assignment.iter().filter(|(id, theirs)| {
                theirs.len() + 1 < mine.len()
                    && members.get(*id).is_some_and(|member| member.topics.contains(topic))
            });
            if let Some((to, _)) = poorer.min_by_key(|(id, theirs)| (theirs.len(), (*id).clone())) {
                return Some((from.clone(), to.clone(), at));
            }
        }
    }
    None
}

/// What another member still holds is given to nobody this time: its owner lets go and the group rebalances once more.
fn hold_back_what_moves(members: &BTreeMap<Str, Subscription>, assignment: &mut Assignment) {
    let owner: BTreeMap<&TopicPartition, &Str> =
        members.iter().flat_map(|(id, member)| member.owned.iter().map(move |owned| (owned, id))).into_map();
    for (id, mine) in assignment.iter_mut() {
        mine.retain(|partition| owner.get(partition).is_none_or(|owner| *owner == id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(wanting: &[(&str, &[&str])]) -> BTreeMap<Str, Subscription> {
        let one = |(id, topics): &(&str, &[&str])| {
            let topics = topics.iter().map(|topic| Str::from(*topic)).collect();
            (Str::from(*id), Subscription { topics, owned: Vec::new() })
        };
        wanting.iter().map(one).collect()
    }

    fn topics(counts: &[(&str, i32)]) -> BTreeMap<Str, i32> {
        counts.iter().map(|(topic, count)| (Str::from(*topic), *count)).collect()
    }

    fn sizes(assignment: &Assignment) -> Vec<usize> {
        assignment.values().map(Vec::len).collect()
    }

    #[test]
    fn range_gives_the_first_members_what_does_not_divide() {
        let given = Assignor::Range
            .assign(&topics(&[("a", 7)]), &members(&[("x", &["a"]), ("y", &["a"]), ("z", &["a"])]));
        assert_eq!(sizes(&given), [3, 2, 2]);
        assert_eq!(given[&Str::from("y")], [(Str::from("a"), 3), (Str::from("a"), 4)]);
    }

    #[test]
    fn round_robin_skips_members_that_do_not_want_the_topic() {
        let given = Assignor::RoundRobin
            .assign(&topics(&[("a", 2), ("b", 2)]), &members(&[("x", &["a", "b"]), ("y", &["b"])]));
        assert_eq!(sizes(&given), [3, 1]);
    }

    #[test]
    fn sticky_moves_no_more_than_it_must() {
        let mut two = members(&[("x", &["a"]), ("y", &["a"])]);
        let first = Assignor::Sticky.assign(&topics(&[("a", 6)]), &two);
        for (id, owned) in &first {
            two.get_mut(id).unwrap().owned.clone_from(owned);
        }
        two.insert("z".into(), Subscription { topics: vec!["a".into()], owned: Vec::new() });
        let second = Assignor::Sticky.assign(&topics(&[("a", 6)]), &two);
        assert_eq!(sizes(&second), [2, 2, 2]);
        let kept =
            |id: &str| second[&Str::from(id)].iter().filter(|p| first[&Str::from(id)].contains(p)).count();
        assert_eq!((kept("x"), kept("y")), (2, 2));
    }

    #[test]
    fn cooperative_members_get_nothing_that_another_still_holds() {
        let mut two = members(&[("x", &["a"]), ("y", &["a"])]);
        two.get_mut("x").unwrap().owned = (0..4).map(|partition| (Str::from("a"), partition)).collect();
        let first = Assignor::CooperativeSticky.assign(&topics(&[("a", 4)]), &two);
        assert_eq!(sizes(&first), [2, 0]);
        two.get_mut("x").unwrap().owned.clone_from(&first[&Str::from("x")]);
        let second = Assignor::CooperativeSticky.assign(&topics(&[("a", 4)]), &two);
        assert_eq!(sizes(&second), [2, 2]);
    }
}
