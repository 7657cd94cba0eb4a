//! Random members over many seeds: whatever they do, the group keeps its promises.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::{ErrorCode, Str};

use super::harness::{House, Member, error, replayed};
use crate::coordinator::Token;
use crate::coordinator::group::{GroupConfig, GroupResponse};
use crate::rng::Rng;

const SEEDS: u64 = 300;
const STEPS: usize = 120;

/// A client that does what Kafka's consumer does, at times late, at times not at all.
#[derive(Default)]
struct Actor {
    instance_id: Option<&'static str>,
    member_id: String,
    generation_id: i32,
    joining: Option<Token>,
    syncing: Option<Token>,
    settled: bool,
}

impl Actor {
    fn member(&self) -> Member {
        Member {
            member_id: self.member_id.clone(),
            generation_id: self.generation_id,
            instance_id: self.instance_id,
            rebalance_timeout_ms: 20_000,
            ..Member::new()
        }
    }

    fn restart(&mut self) {
        *self = Self { instance_id: self.instance_id, ..Self::default() };
    }
}

/// What must hold over a whole run.
#[derive(Default)]
struct Promises {
    generation_id: i32,
    leaders: BTreeMap<i32, Str>,
    /// (generation, partition) → member.
    owners: BTreeMap<(i32, u8), Str>,
    settled: usize,
    moved: usize,
}

fn run(seed: u64, promises: &mut Promises) {
    let mut rng = Rng::from_seed(seed);
    let mut house = House::load(Default::default(), GroupConfig::default(), 0, seed);
    let mut actors: Vec<Actor> = (0..4).map(|_| Actor::default()).collect();
    actors[3].instance_id = Some("fixed");
    for _ in 0..STEPS {
        let at = usize::try_from(rng.below(4)).unwrap();
        match rng.below(20) {
            0..8 => act(&mut house, &mut actors[at], promises),
            8..12 => house.pass(i64::try_from(rng.below(2_000)).unwrap()),
            12 => house.pass(i64::try_from(rng.below(15_000)).unwrap()),
            13 => {
                let member = actors[at].member();
                house.leave(5, "group", &[(&member.member_id, None)]);
                actors[at].restart();
            }
            14 => actors[at].restart(),
            15 => {
                let member = actors[at].member();
                let result = house.commit(&member, "t", i64::try_from(rng.below(100)).unwrap());
                if result == ErrorCode::None && actors[at].generation_id > 0 {
                    assert!(
                        actors[at].generation_id >= promises.generation_id,
                        "seed {seed}: a stale commit"
                    );
                }
            }
            16 if rng.chance(1, 4) => {
                let before = house.runtime.tip().clone();
                assert_eq!(replayed(&house.log), before, "seed {seed}");
                house = House::load(house.log.clone(), GroupConfig::default(), house.now_ms, rng.next_u64());
                promises.moved += 1;
                // A generation that nobody was assigned anything in is not written, and its number is used again.
                let written = before.group_metadata("group").map_or(0, |value| value.generation);
                promises.leaders.retain(|generation_id, _| *generation_id <= written);
                for actor in &mut actors {
                    (actor.joining, actor.syncing) = (None, None);
                }
            }
            17 if rng.chance(1, 4) => house.log.failure = Some(ErrorCode::NotEnoughReplicas),
            _ => {
                for actor in &mut actors {
                    act(&mut house, actor, promises);
                }
            }
        }
    }
    assert_eq!(&replayed(&house.log), house.runtime.tip(), "seed {seed}");
    // Left alone, the group settles again: whoever is there gets a share, and nobody waits for ever.
    house.log.failure = None;
    for _ in 0..120 {
        for actor in &mut actors {
            act(&mut house, actor, promises);
        }
        house.pass(1_000);
    }
    assert!(actors.iter().all(|actor| actor.settled), "seed {seed}: somebody still waits");
    assert_eq!(house.described("group"), "Stable 4", "seed {seed}");
}

/// One step of a client.
fn act(house: &mut House, actor: &mut Actor, promises: &mut Promises) {
    if let Some(token) = actor.joining {
        let Some(GroupResponse::JoinGroup(joined)) = house.take(token) else { return };
        actor.joining = None;
        match error(joined.error_code) {
            ErrorCode::None => {
                actor.member_id = joined.member_id.to_string();
                actor.generation_id = joined.generation_id;
                // A static leader that restarts leads on under its new id.
                let fixed = joined.leader.starts_with("fixed-");
                let name = if fixed { Str::from("fixed") } else { joined.leader.clone() };
                let leader = promises.leaders.entry(joined.generation_id).or_insert(name.clone());
                assert_eq!(*leader, name, "one leader per generation");
                let member = actor.member();
                let shares: Vec<(Member, &'static str)> = joined
                    .members
                    .iter()
                    .zip(["\u{0}", "\u{1}", "\u{2}", "\u{3}"])
                    .map(|(member, share)| {
                        (Member { member_id: member.member_id.to_string(), ..Member::new() }, share)
                    })
                    .collect();
                let shares: Vec<(&Member, &'static str)> =
                    shares.iter().map(|(member, share)| (member, *share)).collect();
                actor.syncing = Some(house.sync(&member, if joined.skip_assignment { &[] } else { &shares }));
            }
            ErrorCode::MemberIdRequired => actor.member_id = joined.member_id.to_string(),
            _ => actor.restart(),
        }
    } else if let Some(token) = actor.syncing {
        let Some(GroupResponse::SyncGroup(synced)) = house.take(token) else { return };
        actor.syncing = None;
        match error(synced.error_code) {
            ErrorCode::None => {
                actor.settled = true;
                promises.settled += 1;
                assert!(actor.generation_id >= promises.generation_id, "a generation from the past");
                promises.generation_id = actor.generation_id;
                if let (Some(share), None) = (synced.assignment.first(), actor.instance_id) {
                    let key = (actor.generation_id, *share);
                    let owner = promises.owners.entry(key).or_insert(Str::from(actor.member_id.as_str()));
                    assert_eq!(&**owner, actor.member_id, "one owner per partition and generation");
                }
            }
            ErrorCode::RebalanceInProgress | ErrorCode::CoordinatorNotAvailable => {}
            _ => actor.restart(),
        }
    } else if actor.settled {
        match house.heartbeat(&actor.member()) {
            ErrorCode::None => {}
            ErrorCode::RebalanceInProgress => actor.settled = false,
            _ => actor.restart(),
        }
    } else {
        actor.joining = Some(house.join(&actor.member()));
    }
}

#[test]
fn a_group_keeps_its_promises_whatever_its_members_do() {
    let (mut settled, mut moved) = (0, 0);
    let mut generations = BTreeSet::new();
    for seed in 0..SEEDS {
        let mut promises = Promises::default();
        run(seed, &mut promises);
        settled += promises.settled;
        moved += promises.moved;
        generations.insert(promises.generation_id);
    }
    // The premises were exercised.
    assert!(settled > 1_000, "{settled}");
    assert!(moved > 100, "{moved}");
    assert!(generations.len() > 10, "{generations:?}");
}
