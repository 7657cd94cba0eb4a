//! One random request, valid more often than not, as each side is to be asked.

use bytes::Bytes;
use ottla_core::coordinator::group::GroupRequest;
use ottla_core::rng::Rng;
use ottla_protocol::Str;
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::messages::leave_group_request::MemberIdentity;
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use ottla_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest,
    OffsetDeleteRequest, SyncGroupRequest,
};

use crate::Client;

/// A request of client `at`; `None`: it restarts and forgets who it was.
pub fn random(rng: &mut Rng, group: &str, clients: &[Client], at: usize) -> Option<[GroupRequest; 2]> {
    let mut asker = Asker { rng, group: Str::from(group), clients, at };
    Some(match asker.rng.below(30) {
        0..10 => asker.join(),
        10..16 => asker.sync(),
        16 | 17 => asker.heartbeat(),
        18 | 19 => asker.leave(),
        20..23 => asker.commit(),
        23 => asker.fetch(),
        24 | 25 => {
            let version = asker.one_of(&[0, 5, 6, 6]);
            both(|_| GroupRequest::DescribeGroups { version, groups: vec![asker.group.clone()] })
        }
        26 => asker.list(),
        27 => {
            both(|_| GroupRequest::DeleteGroups { groups: vec![asker.group.clone(), Str::from("nowhere")] })
        }
        28 => asker.delete_offsets(),
        _ => return None,
    })
}

struct Asker<'a> {
    rng: &'a mut Rng,
    group: Str,
    clients: &'a [Client],
    at: usize,
}

fn both(request: impl Fn(usize) -> GroupRequest) -> [GroupRequest; 2] {
    [request(0), request(1)]
}

impl<'a> Asker<'a> {
    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let index = self.rng.below(u64::try_from(choices.len()).expect("few"));
        choices[usize::try_from(index).expect("few")]
    }

    fn client(&self) -> &'a Client {
        &self.clients[self.at]
    }

    fn id(&self, side: usize) -> Str {
        Str::from(&self.client().member_id[side])
    }

    fn instance(&self) -> Option<Str> {
        self.client().instance_id.map(Str::from)
    }

    /// The client's generation, now and then the next one.
    fn generation(&mut self) -> i32 {
        self.client().generation_id + i32::from(self.rng.chance(1, 10))
    }

    fn join(&mut self) -> [GroupRequest; 2] {
        let version = self.one_of(&[0, 1, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9]);
        let topic = self.one_of(&["t", "u"]);
        let protocols = match self.rng.below(6) {
            0 => vec![protocol("range", topic)],
            1 => vec![protocol("range", "u"), protocol("sticky", "t")],
            2 => vec![protocol("sticky", "t")],
            3 => Vec::new(),
            _ => vec![protocol("range", "t")],
        };
        let instance = self.instance().filter(|_| version >= 5);
        let protocol_type = if self.rng.chance(1, 30) { "connect" } else { "consumer" };
        let session_timeout_ms = if self.rng.chance(1, 40) { 5_999 } else { 60_000 };
        let stranger = self.rng.chance(1, 30);
        both(|side| GroupRequest::JoinGroup {
            version,
            client_id: Str::from("client"),
            client_host: Str::from("/127.0.0.1"),
            request: JoinGroupRequest {
                group_id: self.group.clone(),
                session_timeout_ms,
                rebalance_timeout_ms: if version == 0 { -1 } else { 60_000 },
                member_id: if stranger { Str::from("stranger") } else { self.id(side) },
                group_instance_id: instance.clone(),
                protocol_type: Str::from(protocol_type),
                protocols: protocols.clone(),
                ..JoinGroupRequest::default()
            },
        })
    }

    fn sync(&mut self) -> [GroupRequest; 2] {
        let version = self.one_of(&[0, 3, 5, 5, 5]);
        let instance = self.instance().filter(|_| version >= 3 && !self.rng.chance(1, 8));
        let generation_id = self.generation();
        let (protocol_type, protocol_name) = match self.rng.below(12) {
            _ if version < 5 => (None, None),
            0 => (Some("another"), Some("range")),
            1 => (None, Some("range")),
            2 => (Some("consumer"), Some("another")),
            3 => (Some("consumer"), None),
            _ => (Some("consumer"), Some("range")),
        };
        both(|side| GroupRequest::SyncGroup {
            version,
            request: SyncGroupRequest {
                group_id: self.group.clone(),
                generation_id,
                member_id: self.id(side),
                group_instance_id: instance.clone(),
                protocol_type: protocol_type.map(Str::from),
                protocol_name: protocol_name.map(Str::from),
                assignments: self.client().members[side]
                    .iter()
                    .map(|member| SyncGroupRequestAssignment {
                        member_id: Str::from(member),
                        assignment: Bytes::from_static(b"share"),
                    })
                    .collect(),
            },
        })
    }

    fn heartbeat(&mut self) -> [GroupRequest; 2] {
        let stranger = self.rng.chance(1, 8);
        let instance = if stranger { Some(Str::from("another")) } else { self.instance() };
        let generation_id = self.generation();
        both(|side| {
            GroupRequest::Heartbeat(HeartbeatRequest {
                group_id: self.group.clone(),
                generation_id,
                member_id: self.id(side),
                group_instance_id: instance.clone(),
            })
        })
    }

    fn leave(&mut self) -> [GroupRequest; 2] {
        let version = self.one_of(&[0, 2, 3, 5]);
        let with = self.one_of(&[0_usize, 1, 2]);
        let how = self.rng.below(4);
        both(|side| {
            let identity = |client: &Client| MemberIdentity {
                member_id: Str::from(&client.member_id[side]),
                group_instance_id: client.instance_id.map(Str::from),
                reason: None,
            };
            let mine = identity(self.client());
            let members = match how {
                _ if version < 3 => Vec::new(),
                0 => vec![MemberIdentity { member_id: Str::default(), ..mine }],
                1 => vec![mine, identity(&self.clients[with])],
                2 => vec![MemberIdentity { group_instance_id: None, ..mine }],
                _ => vec![mine],
            };
            let member_id = if version < 3 { self.id(side) } else { Str::default() };
            let request = LeaveGroupRequest { group_id: self.group.clone(), member_id, members };
            GroupRequest::LeaveGroup { version, request }
        })
    }

    fn commit(&mut self) -> [GroupRequest; 2] {
        let version = self.one_of(&[2, 5, 7, 8, 9, 9]);
        let nobody = self.rng.chance(1, 8);
        let generation = if nobody { -1 } else { self.generation() };
        let instance = self.instance().filter(|_| version >= 7 && !nobody);
        let words = if self.rng.chance(1, 10) { "x".repeat(4_097) } else { "words".to_owned() };
        let offset = i64::try_from(self.rng.below(100)).expect("small");
        let partition = |partition_index, words: &str| OffsetCommitRequestPartition {
            partition_index,
            committed_offset: offset,
            committed_metadata: Some(Str::from(words)),
            ..OffsetCommitRequestPartition::default()
        };
        both(|side| GroupRequest::OffsetCommit {
            version,
            request: OffsetCommitRequest {
                group_id: self.group.clone(),
                generation_id_or_member_epoch: generation,
                member_id: if nobody { Str::default() } else { self.id(side) },
                group_instance_id: instance.clone(),
                topics: vec![OffsetCommitRequestTopic {
                    name: Str::from("t"),
                    partitions: vec![partition(0, &words), partition(1, "")],
                    ..OffsetCommitRequestTopic::default()
                }],
                ..OffsetCommitRequest::default()
            },
        })
    }

    fn fetch(&mut self) -> [GroupRequest; 2] {
        let require_stable = self.rng.chance(1, 2);
        let topics = self.rng.chance(1, 2).then(|| {
            vec![OffsetFetchRequestTopics {
                name: Str::from("t"),
                partition_indexes: vec![0, 1, 2],
                ..OffsetFetchRequestTopics::default()
            }]
        });
        both(|_| GroupRequest::OffsetFetch {
            group: OffsetFetchRequestGroup {
                group_id: self.group.clone(),
                topics: topics.clone(),
                ..OffsetFetchRequestGroup::default()
            },
            require_stable,
        })
    }

    fn list(&mut self) -> [GroupRequest; 2] {
        let states: &[&str] =
            self.one_of(&[&[], &["Stable"], &["empty"], &["PreparingRebalance"], &["nonsense"]]);
        let types: &[&str] = self.one_of(&[&[], &["classic"], &["consumer"]]);
        let owned = |texts: &[&str]| texts.iter().map(|text| Str::from(*text)).collect();
        both(|_| {
            GroupRequest::ListGroups(ListGroupsRequest {
                states_filter: owned(states),
                types_filter: owned(types),
            })
        })
    }

    fn delete_offsets(&mut self) -> [GroupRequest; 2] {
        both(|_| {
            GroupRequest::OffsetDelete(OffsetDeleteRequest {
                group_id: self.group.clone(),
                topics: vec![OffsetDeleteRequestTopic {
                    name: Str::from("t"),
                    partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
                }],
            })
        })
    }
}

/// A protocol with a consumer's subscription to `topic`.
fn protocol(name: &str, topic: &str) -> JoinGroupRequestProtocol {
    let mut metadata = vec![0, 0, 0, 0, 0, 1, 0, 1];
    metadata.extend(topic.bytes());
    metadata.extend([255, 255, 255, 255]);
    JoinGroupRequestProtocol { name: Str::from(name), metadata: Bytes::from(metadata) }
}
