//! Random group requests, from seeds: Apache Kafka's coordinator and ours are asked the same, one request after the other, and must
//! answer the same, or let the request wait both.
//!
//! Ours is asked in process (no server needed), through the codec. Member ids are random on both sides, so they are compared by
//! the request that first told them. Where Kafka's choice depends on the order of a hash map (who leads next, which of two
//! equal protocols), a seed ends early; a few do.
//!
//! `OTTLA_GROUP_SEEDS=from..to` chooses the seeds.

mod requests;
mod sides;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;
use std::{env, thread};

use ottla_core::coordinator::group::{GroupRequest, GroupResponse};
use ottla_core::rng::Rng;
use ottla_protocol::ErrorCode;
use ottla_tests::peer::{Kind, Peer};
use ottla_tests::wire::create_topic;

use sides::{Asked, Core, Kafka};

/// How both are configured: rebalances complete at once unless somebody is missing, and no session ends during a seed.
const OVERRIDES: &[(&str, &str)] = &[
    ("offsets.topic.num.partitions", "1"),
    ("offsets.topic.replication.factor", "1"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.max.size", "3"),
];

/// Requests per seed.
const STEPS: usize = 40;
/// Seeds when none are chosen.
const SEEDS: Range<u64> = 0..40;
/// How long Kafka may take to say what it will say.
const SETTLED_WITHIN: Duration = Duration::from_millis(30);
/// How long it may take when we have answered.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// A client, as both sides know it: index 0 is ours, 1 is Kafka's.
#[derive(Clone, Debug, Default)]
pub struct Client {
    pub member_id: [String; 2],
    pub generation_id: i32,
    pub instance_id: Option<&'static str>,
    /// The members it may assign to.
    pub members: [Vec<String>; 2],
}

/// One seed on its way.
struct Run {
    group: String,
    ours: Core,
    kafka: Kafka,
    clients: Vec<Client>,
    /// Member id → the request that first told it.
    names: [BTreeMap<String, String>; 2],
    /// (request, its text, its client).
    waiting: Vec<(Asked, String, usize)>,
    asked: usize,
    story: Vec<String>,
}

/// How a step ended.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Same,
    /// Kafka's choice was a matter of chance.
    Chance,
    Different,
}

#[test]
fn our_coordinator_answers_as_kafka_does() {
    let peer = Peer::start(Kind::Kafka, OVERRIDES);
    create_topic(peer.address(), "t", 3);
    sides::await_coordinator(peer.address());
    let (mut requests, mut chances) = (0, 0);
    for seed in seeds() {
        let mut run = Run::new(format!("seed-{seed}"), &peer, seed);
        let mut rng = Rng::from_seed(seed);
        for _ in 0..STEPS {
            requests += 1;
            match run.step(&mut rng) {
                Outcome::Same => {}
                Outcome::Chance => {
                    chances += 1;
                    break;
                }
                Outcome::Different => panic!("seed {seed}:\n{}", run.story.join("\n")),
            }
        }
    }
    println!("{requests} requests compared; {chances} seeds ended by chance");
    assert!(requests > 100, "nothing was compared");
}

fn seeds() -> Range<u64> {
    let Ok(chosen) = env::var("OTTLA_GROUP_SEEDS") else { return SEEDS };
    let (from, to) = chosen.split_once("..").expect("from..to");
    from.parse().expect("a number")..to.parse().expect("a number")
}

impl Run {
    fn new(group: String, peer: &Peer, seed: u64) -> Self {
        let mut rng = Rng::from_seed(!seed);
        let mut clients = vec![Client::default(); 3];
        clients[1].instance_id = rng.chance(1, 3).then_some("second");
        clients[2].instance_id = rng.chance(1, 2).then_some("third");
        Self {
            group,
            ours: Core::new(seed),
            kafka: Kafka::new(peer.address()),
            clients,
            names: Default::default(),
            waiting: Vec::new(),
            asked: 0,
            story: Vec::new(),
        }
    }

    /// Asks one random request on both sides, then compares whatever was answered.
    fn step(&mut self, rng: &mut Rng) -> Outcome {
        let client = usize::try_from(rng.below(3)).expect("small");
        let Some(request) = requests::random(rng, &self.group, &self.clients, client) else {
            self.clients[client] =
                Client { instance_id: self.clients[client].instance_id, ..Client::default() };
            return Outcome::Same;
        };
        self.asked += 1;
        let [ours, kafka]: [GroupRequest; 2] = request;
        let text = format!("#{} client {client}: {}", self.asked, named(&self.names[0], format!("{ours:?}")));
        let token = self.ours.ask(self.asked, ours);
        let asked = self.kafka.ask(token, kafka);
        self.waiting.push((asked, text, client));
        self.compare()
    }

    fn compare(&mut self) -> Outcome {
        // Kafka's timers of no delay fire on a thread of their own.
        thread::sleep(Duration::from_millis(8));
        self.ours.tick();
        let waiting = std::mem::take(&mut self.waiting);
        let last = waiting.len().saturating_sub(1);
        for (index, (mut asked, text, client)) in waiting.into_iter().enumerate() {
            let ours = self.ours.answer(&asked);
            let patience = match (&ours, index == last) {
                (Some(_), _) => ANSWER_MAX,
                (None, true) => SETTLED_WITHIN,
                (None, false) => Duration::from_millis(1),
            };
            match (ours, asked.answer_within(patience)) {
                (None, None) => self.waiting.push((asked, text, client)),
                (Some(ours), Some(kafka)) => {
                    let outcome = self.compare_answers(&text, client, [ours, kafka]);
                    if outcome != Outcome::Same {
                        return outcome;
                    }
                }
                (ours, kafka) => {
                    self.story.push(format!("{text}\n  ours  {ours:?}\n  kafka {kafka:?}"));
                    return Outcome::Different;
                }
            }
        }
        Outcome::Same
    }

    fn compare_answers(&mut self, text: &str, client: usize, answers: [GroupResponse; 2]) -> Outcome {
        for (side, answer) in answers.iter().enumerate() {
            self.learn(side, client, answer);
        }
        let [ours, kafka] = [0, 1].map(|side| self.shown(side, answers[side].clone()));
        if ours == kafka {
            self.story.push(format!("{text}\n  both  {ours}"));
            return Outcome::Same;
        }
        if let [GroupResponse::JoinGroup(ours), GroupResponse::JoinGroup(kafka)] = &answers {
            let leader = |side: usize, id: &str| self.names[side].get(id).cloned();
            let settled = ours.error_code == 0 && kafka.error_code == 0;
            let chance = leader(0, &ours.leader) != leader(1, &kafka.leader)
                || ours.protocol_name != kafka.protocol_name;
            if settled && ours.generation_id == kafka.generation_id && chance {
                return Outcome::Chance;
            }
        }
        self.story.push(format!("{text}\n  ours  {ours}\n  kafka {kafka}"));
        Outcome::Different
    }

    /// What the client remembers of an answer.
    fn learn(&mut self, side: usize, client: usize, answer: &GroupResponse) {
        let GroupResponse::JoinGroup(joined) = answer else { return };
        let member_id = joined.member_id.to_string();
        if !member_id.is_empty() {
            let name = format!("<member of #{}>", self.asked);
            self.names[side].entry(member_id.clone()).or_insert(name);
        }
        let error = ErrorCode::from_code(joined.error_code);
        let client = &mut self.clients[client];
        if matches!(error, Some(ErrorCode::None | ErrorCode::MemberIdRequired)) {
            client.member_id[side] = member_id;
        }
        if error == Some(ErrorCode::None) {
            client.generation_id = joined.generation_id;
            client.members[side] = joined.members.iter().map(|member| member.member_id.to_string()).collect();
            client.members[side].sort_by_key(|id| self.names[side].get(id));
        }
    }

    /// An answer with names for ids, in an order of its own, without other seeds' groups.
    fn shown(&self, side: usize, mut answer: GroupResponse) -> String {
        let names = &self.names[side];
        match &mut answer {
            GroupResponse::JoinGroup(joined) => joined.members.sort_by_cached_key(|member| {
                let name = names.get(&*member.member_id).cloned();
                (name, member.group_instance_id.clone(), member.metadata.clone())
            }),
            GroupResponse::DescribeGroups(groups) => {
                for group in groups {
                    group.members.sort_by_cached_key(|member| {
                        let name = names.get(&*member.member_id).cloned();
                        let said = (member.member_metadata.clone(), member.member_assignment.clone());
                        (name, member.group_instance_id.clone(), said)
                    });
                }
            }
            GroupResponse::OffsetFetch(group) => {
                group.topics.sort_by(|a, b| a.name.cmp(&b.name));
                for topic in &mut group.topics {
                    topic.partitions.sort_by_key(|partition| partition.partition_index);
                }
            }
            GroupResponse::ListGroups(listed) => listed.groups.retain(|group| *group.group_id == *self.group),
            GroupResponse::DeleteGroups(groups) => groups.sort_by(|a, b| a.group_id.cmp(&b.group_id)),
            _ => {}
        }
        named(names, format!("{answer:?}"))
    }
}

/// A text with names for the member ids in it; ids that nobody was told are all alike.
fn named(names: &BTreeMap<String, String>, mut text: String) -> String {
    for (id, name) in names {
        text = text.replace(id.as_str(), name);
    }
    for prefix in ["client-", "second-", "third-"] {
        while let Some(at) = text.find(prefix).filter(|at| text.len() >= at + prefix.len() + 36) {
            text.replace_range(at..at + prefix.len() + 36, "<somebody>");
        }
    }
    text
}
