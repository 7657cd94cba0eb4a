//! What a replica answers, and when: the machine alone, on a store in memory.

use std::sync::Arc;

use ottla_protocol::{Bytes, ErrorCode, Uuid};

use super::rpc::{Request, Response, begin_quorum_epoch, fetch, vote};
use super::voters::ReplicaKey;
use super::{Failure, Quorum, QuorumConfig, QuorumCx, QuorumEffect, QuorumEvent, RequestId, RoleName};
use crate::log::{LogConfig, MemoryStore};
use crate::machine::SyncOutcome;
use crate::quorum::control::{KRAFT_VERSIONS, Voter};
use crate::rng::Rng;
use crate::sim::mutation::Planted;
use crate::time::{Instant, Now};

const ROOT: &str = "d/__cluster_metadata-0";

/// A replica with its store, at a time.
struct Bench {
    store: MemoryStore,
    quorum: Quorum<MemoryStore>,
    now_ms: u64,
    effects: Vec<QuorumEffect<MemoryStore>>,
    /// Syncs end when the test says so.
    waiting: Vec<u64>,
}

pub(super) fn config(voters: i32) -> QuorumConfig {
    let voter = |id: i32| Voter {
        id,
        directory_id: Uuid::ZERO,
        endpoints: vec![("C".into(), format!("n{id}").into(), 9093)],
        kraft_versions: KRAFT_VERSIONS,
    };
    QuorumConfig {
        node_id: 1,
        directory_id: Uuid::from_u128(7),
        cluster_id: "c".into(),
        topic: "__cluster_metadata".into(),
        topic_id: Uuid::METADATA_TOPIC,
        dir: ROOT.to_owned(),
        log: LogConfig { delete: false, compact: false, ..LogConfig::default() },
        listener: "C".into(),
        endpoints: voter(1).endpoints,
        static_voters: (1..=voters).map(voter).collect(),
        bootstrap_servers: Vec::new(),
        auto_join: false,
        election_timeout_ms: 1_000,
        fast_election: true,
        fetch_timeout_ms: 2_000,
        election_backoff_max_ms: 1_000,
        request_timeout_ms: 2_000,
        retry_backoff_ms: 20,
        fetch_max_bytes: 1 << 20,
        fetch_snapshot_max_bytes: 1 << 20,
    }
}

pub(super) fn now(ms: u64) -> Now {
    Now { monotonic: Instant(ms * 1_000), wall: 1_000_000 + i64::try_from(ms).unwrap() }
}

impl Bench {
    fn new(voters: i32) -> Self {
        Self::of(config(voters))
    }

    fn of(config: QuorumConfig) -> Self {
        let (mut store, mut effects) = (MemoryStore::default(), Vec::new());
        let mut cx =
            QuorumCx { now: now(0), store: &mut store, effects: &mut effects, planted: Planted::default() };
        let quorum = Quorum::open(&mut cx, Arc::new(config), Rng::from_seed(1)).unwrap();
        let mut bench = Self { store, quorum, now_ms: 0, effects: Vec::new(), waiting: Vec::new() };
        bench.take(effects);
        bench
    }

    fn take(&mut self, effects: Vec<QuorumEffect<MemoryStore>>) {
        for effect in effects {
            match effect {
                QuorumEffect::Sync { token, .. } => self.waiting.push(token),
                effect => self.effects.push(effect),
            }
        }
    }

    fn handle(&mut self, event: QuorumEvent) {
        self.act(|quorum, cx| quorum.handle(cx, event));
    }

    fn act(&mut self, act: impl FnOnce(&mut Quorum<MemoryStore>, &mut QuorumCx<'_, MemoryStore>)) {
        let mut effects = Vec::new();
        let mut cx = QuorumCx {
            now: now(self.now_ms),
            store: &mut self.store,
            effects: &mut effects,
            planted: Planted::default(),
        };
        act(&mut self.quorum, &mut cx);
        self.take(effects);
    }

    /// Ends the syncs that are under way, and those that follow from them.
    fn sync(&mut self) {
        while !self.waiting.is_empty() {
            let token = self.waiting.remove(0);
            self.handle(QuorumEvent::Synced { token, outcome: SyncOutcome::Done });
        }
    }

    fn upgrade(&mut self, kraft_version: i16) {
        self.act(|quorum, cx| quorum.upgrade(cx, kraft_version).unwrap());
    }

    fn wait(&mut self, ms: u64) {
        self.now_ms += ms;
        self.handle(QuorumEvent::Tick);
    }

    fn ask(&mut self, request: Request) -> Option<Response> {
        self.effects.clear();
        self.handle(QuorumEvent::Request { from: RequestId(9), version: newest(&request), request });
        self.reply()
    }

    fn reply(&mut self) -> Option<Response> {
        self.effects.iter().find_map(|effect| match effect {
            QuorumEffect::Reply { response, .. } => Some(response.clone()),
            _ => None,
        })
    }

    /// The error, the epoch and whether it was granted.
    fn vote(&mut self, asked: vote::Vote) -> (ErrorCode, i32, bool) {
        let request = Request::Vote(vote::request(self.quorum.config(), &asked));
        let response = self.ask(request).or_else(|| {
            self.sync();
            self.reply()
        });
        let Some(Response::Vote(response)) = response else { panic!("{response:?}") };
        match vote::read_response(self.quorum.config(), &response) {
            Ok((answer, granted)) => (answer.error, answer.leader.epoch, granted),
            Err(error) => (error, -1, false),
        }
    }

    fn fetch(&mut self, asked: fetch::Fetch) -> Option<fetch::Fetched> {
        let request = Request::Fetch(fetch::request(self.quorum.config(), &asked));
        match self.ask(request)? {
            Response::Fetch(response) => Some(fetch::read_response(self.quorum.config(), &response).unwrap()),
            other => panic!("{other:?}"),
        }
    }

    /// Has replica 1 of three elected by replica 2.
    fn elected() -> Self {
        let mut bench = Self::new(3);
        bench.sync();
        bench.wait(2_100);
        bench.grant(true);
        bench.sync();
        bench.grant(false);
        bench.sync();
        assert_eq!(bench.quorum.role(), RoleName::Leader);
        bench
    }

    /// The connections fail to all that it asks for records.
    fn refuse_fetches(&mut self) {
        loop {
            let sent = std::mem::take(&mut self.effects).into_iter().find_map(|effect| match effect {
                QuorumEffect::Send { correlation, request: Request::Fetch(_), .. } => Some(correlation),
                _ => None,
            });
            let Some(correlation) = sent else { return };
            self.handle(QuorumEvent::Response { correlation, outcome: Err(Failure::Disconnected) });
        }
    }

    fn grant(&mut self, pre_vote: bool) {
        let sent = self.effects.iter().rev().find_map(|effect| match effect {
            QuorumEffect::Send { to, correlation, request: Request::Vote(_) } if to.id == 2 => {
                Some(*correlation)
            }
            _ => None,
        });
        let leader =
            super::rpc::LeaderView { leader_id: -1, epoch: self.quorum.epoch(), endpoints: Vec::new() };
        let response = vote::response(self.quorum.config(), 2, ErrorCode::None, &leader, true);
        let correlation = sent.unwrap_or_else(|| panic!("no vote was asked for, pre-vote: {pre_vote}"));
        self.handle(QuorumEvent::Response { correlation, outcome: Ok(Response::Vote(response)) });
    }
}

fn newest(request: &Request) -> i16 {
    super::rpc::VERSIONS
        .iter()
        .find(|(key, ..)| *key == request.api_key())
        .map_or(0, |(_, _, newest)| *newest)
}

fn candidate(epoch: i32) -> vote::Vote {
    let replica = ReplicaKey { id: 2, directory_id: Uuid::from_u128(2) };
    vote::Vote { replica, epoch, last_epoch: 0, last_offset: 0, pre_vote: false, voter: None }
}

fn follower(epoch: i32, offset: i64, last_epoch: i32) -> fetch::Fetch {
    let replica = ReplicaKey { id: 2, directory_id: Uuid::from_u128(2) };
    fetch::Fetch {
        replica,
        epoch,
        offset,
        last_epoch,
        high_watermark: -1,
        max_wait_ms: 500,
        max_bytes: 1_000,
    }
}

#[test]
fn the_only_voter_leads_at_once_and_commits_what_is_on_its_disk() {
    let mut bench = Bench::new(1);
    assert_eq!((bench.quorum.role(), bench.quorum.epoch()), (RoleName::Leader, 1));
    assert!(bench.quorum.high_watermark().is_none() && !bench.quorum.has_claimed());
    bench.sync();
    assert_eq!(bench.quorum.high_watermark(), Some(1));
    let said = |effect: &QuorumEffect<_>| {
        matches!(effect, QuorumEffect::LeaderChanged { leader_id: Some(1), epoch: 1 })
    };
    assert!(bench.effects.iter().any(said), "{:?}", bench.effects);
}

#[test]
fn a_vote_leaves_when_it_is_on_the_disk() {
    let mut bench = Bench::new(3);
    bench.sync();
    let request = vote::request(bench.quorum.config(), &candidate(1));
    assert_eq!(bench.ask(Request::Vote(request)), None);
    bench.sync();
    assert!(bench.reply().is_some());
    let text = crate::log::LogStore::read(&mut bench.store, &format!("{ROOT}/quorum-state")).unwrap();
    assert!(String::from_utf8(text).unwrap().contains("\"votedId\":2"));
}

#[test]
fn votes_are_answered_as_kafka_does() {
    use ErrorCode::{FencedLeaderEpoch, InvalidRequest, InvalidVoterKey, None as Fine};
    let mut bench = Bench::new(3);
    bench.sync();
    let (two, three) = (candidate(5), ReplicaKey { id: 3, directory_id: Uuid::from_u128(3) });
    let other = ReplicaKey { id: 1, directory_id: Uuid::from_u128(8) };
    // In order: each begins where the one before ended.
    for (what, asked, expected) in [
        ("a last epoch that is not before", vote::Vote { last_epoch: 5, ..two }, (InvalidRequest, 0, false)),
        ("nobody", vote::Vote { replica: ReplicaKey { id: -1, ..three }, ..two }, (InvalidRequest, 0, false)),
        ("for another directory", vote::Vote { voter: Some(other), ..two }, (InvalidVoterKey, 5, false)),
        ("a pre-vote", vote::Vote { pre_vote: true, ..two }, (Fine, 5, true)),
        ("a vote", two, (Fine, 5, true)),
        ("once more", two, (Fine, 5, true)),
        ("by another", vote::Vote { replica: three, ..two }, (Fine, 5, false)),
        ("of before", candidate(4), (FencedLeaderEpoch, 5, false)),
        ("later", vote::Vote { replica: three, ..candidate(6) }, (Fine, 6, true)),
    ] {
        assert_eq!(bench.vote(asked), expected, "{what}");
    }
    let mut request = vote::request(bench.quorum.config(), &two);
    request.cluster_id = Some("another".into());
    let Some(Response::Vote(response)) = bench.ask(Request::Vote(request)) else { panic!() };
    assert_eq!(response.error_code, ErrorCode::InconsistentClusterId.code());
}

#[test]
fn fetches_are_checked_in_kafkas_order() {
    use ErrorCode::{FencedLeaderEpoch, InvalidRequest, NotLeaderOrFollower, UnknownLeaderEpoch};
    let mut bench = Bench::new(3);
    bench.sync();
    let error = |bench: &mut Bench, asked| bench.fetch(asked).map(|fetched| fetched.answer.error);
    assert_eq!(error(&mut bench, follower(0, 0, 0)), Some(NotLeaderOrFollower));
    assert_eq!(error(&mut bench, follower(1, 0, 0)), Some(UnknownLeaderEpoch));
    assert_eq!(error(&mut bench, follower(0, 0, 1)), Some(InvalidRequest));
    let mut bench = Bench::elected();
    assert_eq!(error(&mut bench, follower(0, 0, 0)), Some(FencedLeaderEpoch));
    assert_eq!(error(&mut bench, follower(2, 0, 0)), Some(UnknownLeaderEpoch));
    assert_eq!(error(&mut bench, follower(1, 0, -1)), Some(InvalidRequest));
}

#[test]
fn what_a_follower_fetches_from_is_committed_and_said_at_once_to_one_that_says_what_it_knows() {
    let mut bench = Bench::elected();
    let first = bench.fetch(follower(1, 0, 0)).unwrap();
    assert!(!first.records.is_empty());
    assert_eq!((first.high_watermark, first.answer.leader.leader_id), (-1, 1));
    let second = bench.fetch(follower(1, 1, 1)).unwrap();
    assert_eq!((second.high_watermark, second.records), (1, Bytes::new()));
    // With that there is nothing to say until something happens, or the wait is over.
    let knowing = fetch::Fetch { high_watermark: 1, ..follower(1, 1, 1) };
    assert_eq!(bench.fetch(knowing), None);
    bench.wait(500);
    assert!(bench.reply().is_some());
    let diverging = bench.fetch(follower(1, 9, 1)).unwrap();
    assert_eq!(diverging.validity, super::Validity::Diverging { epoch: 1, end_offset: 1 });
}

#[test]
fn a_leader_without_a_majority_gives_up() {
    let mut bench = Bench::elected();
    bench.fetch(follower(1, 0, 0)).unwrap();
    bench.wait(2_900);
    assert_eq!(bench.quorum.role(), RoleName::Leader);
    bench.wait(200);
    assert_eq!(bench.quorum.role(), RoleName::Resigned);
}

#[test]
fn voters_that_see_their_leader_go_stand_one_after_the_other() {
    for (node_id, turn_ms) in [(1, 0), (3, 50)] {
        let mut bench = Bench::of(QuorumConfig { node_id, ..config(3) });
        bench.sync();
        let leader = QuorumConfig { node_id: 2, ..config(3) };
        let begin = begin_quorum_epoch::request(&leader, 5, bench.quorum.key());
        bench.ask(Request::BeginQuorumEpoch(begin));
        bench.sync();
        bench.refuse_fetches();
        bench.wait(20);
        assert_eq!(bench.quorum.role(), RoleName::Follower, "once may be an accident");
        bench.refuse_fetches();
        if turn_ms > 0 {
            bench.wait(turn_ms - 1);
            assert_eq!(bench.quorum.role(), RoleName::Follower, "it is not the turn of {node_id}");
            bench.wait(1);
        }
        assert_eq!(bench.quorum.role(), RoleName::Prospective, "{node_id}");
    }
}

#[test]
fn voters_without_kraft_version_1_stay_as_they_are() {
    let mut bench = Bench::elected();
    bench.fetch(follower(1, 1, 1));
    let request = ottla_protocol::messages::RemoveRaftVoterRequest {
        cluster_id: None,
        voter_id: 2,
        voter_directory_id: Uuid::from_u128(2),
    };
    let Some(Response::RemoveRaftVoter(response)) = bench.ask(Request::RemoveRaftVoter(request)) else {
        panic!()
    };
    assert_eq!(response.error_code, ErrorCode::UnsupportedVersion.code());
}

#[test]
fn a_quorum_is_upgraded_once_every_voter_has_said_that_it_can() {
    let mut bench = Bench::elected();
    bench.fetch(follower(1, 1, 1));
    let tell = |bench: &mut Bench, id: i32, kraft_versions| {
        let voter = Voter {
            id,
            directory_id: Uuid::from_u128(id.unsigned_abs().into()),
            endpoints: vec![("C".into(), format!("n{id}").into(), 9093)],
            kraft_versions,
        };
        let request = super::rpc::voters::update_request(&config(3), bench.quorum.epoch(), &voter);
        match bench.ask(Request::UpdateRaftVoter(request)) {
            Some(Response::UpdateRaftVoter(response)) => response.error_code,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(tell(&mut bench, 9, KRAFT_VERSIONS), ErrorCode::VoterNotFound.code());
    assert_eq!(tell(&mut bench, 2, KRAFT_VERSIONS), 0);
    let refusal =
        "Invalid upgrade of kraft.version to KRAFT_VERSION_1 because not all of the voters support it";
    assert_eq!(bench.quorum.upgrade_refusal(1).as_deref(), Some(refusal), "3 has not been heard");
    assert_eq!(tell(&mut bench, 3, (0, 0)), 0);
    assert_eq!(bench.quorum.upgrade_refusal(1).as_deref(), Some(refusal), "3 cannot");
    bench.upgrade(1);
    assert_eq!(bench.quorum.kraft_version(), 0);
    assert_eq!(tell(&mut bench, 3, KRAFT_VERSIONS), 0);
    assert_eq!(bench.quorum.upgrade_refusal(1), None);
    bench.upgrade(1);
    assert_eq!(bench.quorum.kraft_version(), 1);
    let directories: Vec<_> = bench.quorum.voters().iter().map(|voter| voter.directory_id).collect();
    assert_eq!(directories, [7, 2, 3].map(Uuid::from_u128), "the log says who votes");
}
