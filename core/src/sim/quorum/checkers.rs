//! What a quorum promises, looked at whenever something happens.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::ledger::Ledger;
use super::node::{Asker, Node};
use super::world::vote_asked;
use crate::quorum::raft::{ReplicaKey, Request, Response, RoleName};
use crate::record::batches;

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Checker {
    /// Nobody else leads in an epoch in which somebody has led.
    OneLeaderPerEpoch,
    /// What one replica takes for committed, all do, byte for byte.
    CommittedPrefixKept,
    /// A vote that was sent is the only one of its epoch, whatever befalls the voter.
    VoteRemembered,
    /// The high watermark of a replica goes up while it lives.
    HighWatermarkMonotonic,
    /// What a leader takes for committed is on the disks of a majority; what others do, a leader has before.
    HighWatermarkOnMajority,
    /// What a leader commits ends with something of its own epoch.
    HighWatermarkOfOwnEpoch,
    /// What a replica has told to be on its disk is there after the power has gone.
    SyncedKept,
    /// A replica fetches from where what is on its disk ends.
    FetchedFromSynced,
    /// A leader changes the voters again once the last change is committed.
    OneChangeAtATime,
    /// What the state machines say after the same records is the same, snapshots included.
    StatesAgree,
    /// What a leader has committed in the epoch in which it was appended is there at the end.
    AcknowledgedKept,
    /// Nobody finds something that cannot be.
    NobodyFails,
    /// A replica in trouble, or coming back from it, does not depose a leader that the others follow.
    LeaderUndisturbed,
    /// Once everything is well somebody leads, soon.
    ElectionEnds,
    /// Then all have all of it.
    Converges,
    /// And the same bytes.
    LogsIdentical,
}

impl Checker {
    /// Every promise.
    pub const ALL: [Self; 16] = [
        Self::OneLeaderPerEpoch,
        Self::CommittedPrefixKept,
        Self::VoteRemembered,
        Self::HighWatermarkMonotonic,
        Self::HighWatermarkOnMajority,
        Self::HighWatermarkOfOwnEpoch,
        Self::SyncedKept,
        Self::FetchedFromSynced,
        Self::OneChangeAtATime,
        Self::StatesAgree,
        Self::AcknowledgedKept,
        Self::NobodyFails,
        Self::LeaderUndisturbed,
        Self::ElectionEnds,
        Self::Converges,
        Self::LogsIdentical,
    ];
}

/// A batch that is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Committed {
    next_offset: i64,
    epoch: i32,
    digest: u64,
}

/// What was seen, and what of it should not have been.
#[derive(Clone, Debug, Default)]
pub struct Checkers {
    /// Broken promises.
    pub violations: Vec<(Checker, String)>,
    /// How often each had something to check.
    pub exercised: BTreeMap<Checker, u64>,
    /// Who led in an epoch, and in which of its lives.
    leaders: BTreeMap<i32, (ReplicaKey, u64)>,
    /// By base offset.
    committed: BTreeMap<i64, Committed>,
    /// Digests of the state machine by the offset it has come to.
    states: BTreeMap<i64, u64>,
    /// Whom a replica has voted for in an epoch.
    votes: BTreeMap<(ReplicaKey, i32), ReplicaKey>,
    /// The newest epoch in which a replica has voted.
    newest_votes: BTreeMap<ReplicaKey, i32>,
    /// The high watermark of a node in its life.
    high_watermarks: BTreeMap<(i32, u64), i64>,
    /// The largest high watermark of any leader.
    committed_up_to: i64,
    /// What is on the disks of replicas that are down.
    synced: BTreeMap<ReplicaKey, i64>,
}

/// Old requests do not name directories.
fn is_same(one: ReplicaKey, other: ReplicaKey) -> bool {
    one.stands_for(other) || other.stands_for(one)
}

fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Checkers {
    /// Notes whether a promise was kept.
    pub fn check(&mut self, checker: Checker, is_kept: bool, sentence: impl FnOnce() -> String) {
        *self.exercised.entry(checker).or_default() += 1;
        if !is_kept {
            self.violations.push((checker, sentence()));
        }
    }

    /// A replica found something that cannot be.
    pub fn failed(&mut self, id: i32, reason: &str) {
        self.check(Checker::NobodyFails, false, || format!("{id}: {reason}"));
    }

    /// A replica leads, and nobody else does in its epoch.
    pub fn look(&mut self, nodes: &BTreeMap<i32, Node>, id: i32, elections: &mut u64) {
        let Some(node) = nodes.get(&id) else { return };
        let Some(quorum) = &node.quorum else { return };
        // Before it has written down that it leads nothing of that can be seen.
        if quorum.role() != RoleName::Leader || !quorum.is_remembered() {
            return;
        }
        let (epoch, leader) = (quorum.epoch(), (node.key(), node.life));
        if let Some(before) = self.leaders.get(&epoch).copied() {
            self.check(Checker::OneLeaderPerEpoch, before == leader, || {
                format!("{leader:?} leads in epoch {epoch}, and {before:?} has")
            });
        } else {
            *elections += 1;
            self.leaders.insert(epoch, leader);
        }
        // The first record of an epoch may state what is new about the leader itself.
        let begun = quorum.epoch_start_offset().unwrap_or(0) + 3;
        let from = quorum.high_watermark().unwrap_or(0).max(begun);
        let open = quorum.log().voters().offsets_from(from).count();
        if open > 0 {
            self.check(Checker::OneChangeAtATime, open == 1, || {
                format!("{id}: {open} sets of voters are not committed, from offset {from} on")
            });
        }
    }

    /// A replica sends a request: it may be a vote for itself, or tell what it has on its disk.
    pub fn sent(&mut self, nodes: &BTreeMap<i32, Node>, id: i32, request: &Request) {
        let Some(node) = nodes.get(&id) else { return };
        if let Some((candidate, epoch)) = vote_asked(request) {
            self.voted(node.key(), epoch, candidate);
        }
        if let (Request::Fetch(fetch), Some(quorum)) = (request, &node.quorum)
            && let Some(asked) = fetch.topics.first().and_then(|topic| topic.partitions.first())
        {
            let synced = quorum.log().synced_offset();
            self.check(Checker::FetchedFromSynced, asked.fetch_offset <= synced, || {
                format!("{id} fetches from {}, and what is on its disk ends at {synced}", asked.fetch_offset)
            });
        }
    }

    /// A replica answers: it may be a vote.
    pub fn replied(&mut self, _: i32, key: Option<ReplicaKey>, asker: &Asker, response: &Response) {
        let (Response::Vote(response), Asker::Replica { vote: Some((candidate, epoch)), .. }) =
            (response, asker)
        else {
            return;
        };
        let granted =
            response.topics.iter().flat_map(|topic| &topic.partitions).any(|asked| asked.vote_granted);
        if let Some(key) = key.filter(|_| granted) {
            self.voted(key, *epoch, *candidate);
        }
    }

    fn voted(&mut self, voter: ReplicaKey, epoch: i32, candidate: ReplicaKey) {
        let before = *self.votes.entry((voter, epoch)).or_insert(candidate);
        let newest = self.newest_votes.entry(voter).or_insert(epoch);
        *newest = epoch.max(*newest);
        self.check(Checker::VoteRemembered, is_same(before, candidate), || {
            format!("{voter:?} votes for {candidate:?} in epoch {epoch}, and has voted for {before:?}")
        });
    }

    /// A replica is about to be down.
    pub fn stopped(&mut self, nodes: &BTreeMap<i32, Node>, id: i32) {
        let Some(node) = nodes.get(&id) else { return };
        if let Some(quorum) = &node.quorum {
            self.synced.insert(node.key(), quorum.log().synced_offset());
        }
    }

    /// A replica has started: it remembers what it has told.
    pub fn started(&mut self, nodes: &BTreeMap<i32, Node>, id: i32) {
        let Some(node) = nodes.get(&id) else { return };
        let Some(quorum) = &node.quorum else { return };
        let key = node.key();
        if let Some(synced) = self.synced.get(&key).copied() {
            let end_offset = quorum.log().end_offset();
            self.check(Checker::SyncedKept, end_offset >= synced, || {
                format!("{id} comes back with a log up to {end_offset}, and {synced} was on its disk")
            });
        }
        if let Some(epoch) = self.newest_votes.get(&key).copied() {
            let voted = self.votes.get(&(key, epoch)).copied();
            let has_led = quorum.leader_id() == Some(id);
            let remembers = quorum.epoch() > epoch
                || (quorum.epoch() == epoch
                    && (quorum.voted().zip(voted).is_some_and(|(now, then)| is_same(now, then)) || has_led));
            self.check(Checker::VoteRemembered, remembers, || {
                format!(
                    "{id} has voted for {voted:?} in epoch {epoch}, and comes back in epoch {} with {:?}",
                    quorum.epoch(),
                    quorum.voted()
                )
            });
        }
        let ledger = node.ledger.clone();
        if ledger.next_offset > 0 {
            self.installed(id, &ledger);
        }
    }

    /// A replica takes more for committed.
    pub fn high_watermark(&mut self, nodes: &BTreeMap<i32, Node>, id: i32, high_watermark: i64) {
        let Some(node) = nodes.get(&id) else { return };
        let Some(quorum) = &node.quorum else { return };
        let before = self.high_watermarks.insert((id, node.life), high_watermark);
        if let Some(before) = before {
            self.check(Checker::HighWatermarkMonotonic, before <= high_watermark, || {
                format!("the high watermark of {id} went from {before} to {high_watermark}")
            });
        }
        // A leader that has committed its own removal has resigned by now.
        if !matches!(quorum.role(), RoleName::Leader | RoleName::Resigned) {
            let known = self.committed_up_to;
            self.check(Checker::HighWatermarkOnMajority, high_watermark <= known, || {
                format!("{id} takes {high_watermark} for committed, and no leader has more than {known}")
            });
            return;
        }
        let have = |key: ReplicaKey| {
            let live = nodes.get(&key.id).filter(|node| key.stands_for(node.key()));
            let log = live.and_then(|node| Some(node.quorum.as_ref()?.log()));
            // A log that was opened a moment ago does not know yet what is on its disk.
            let known = log.filter(|log| log.is_synced()).map(|log| log.synced_offset());
            let before =
                || self.synced.iter().find(|(dead, _)| key.stands_for(**dead)).map(|(_, synced)| *synced);
            known.unwrap_or_else(|| before().max(log.map(|log| log.synced_offset())).unwrap_or(0))
        };
        let voters = quorum.voters();
        let keys = voters.iter().map(|voter| ReplicaKey { id: voter.id, directory_id: voter.directory_id });
        let count = keys.filter(|key| have(*key) >= high_watermark).count();
        let (needed, of) = (voters.majority(), voters.ids());
        self.check(Checker::HighWatermarkOnMajority, count >= needed, || {
            format!("{id} takes {high_watermark} for committed, which {count} of {of:?} have on their disks")
        });
        self.committed_up_to = self.committed_up_to.max(high_watermark);
        let epoch = quorum.log().snapshot_id(high_watermark).map(|id| id.epoch);
        let own = quorum.epoch();
        self.check(Checker::HighWatermarkOfOwnEpoch, epoch == Some(own), || {
            format!(
                "{id} leads in epoch {own} and commits up to {high_watermark}, which is of epoch {epoch:?}"
            )
        });
    }

    /// A replica takes in committed batches.
    pub fn committed(&mut self, id: i32, ledger: &mut Ledger, bytes: &Bytes) {
        for batch in batches(bytes).map_while(Result::ok) {
            if batch.base_offset < ledger.next_offset {
                continue;
            }
            self.agrees(id, &batch);
            ledger.apply(batch.bytes());
            let (offset, state) = (ledger.next_offset, ledger.digest());
            if let Some(before) = self.states.get(&offset).copied() {
                self.check(Checker::StatesAgree, before == state, || {
                    format!("the state of {id} at {offset} is another one than elsewhere")
                });
            } else {
                self.states.insert(offset, state);
            }
        }
    }

    fn agrees(&mut self, id: i32, batch: &crate::record::Batch) {
        let committed = Committed {
            next_offset: batch.next_offset(),
            epoch: batch.partition_leader_epoch,
            digest: digest(batch.bytes()),
        };
        if let Some(before) = self.committed.get(&batch.base_offset).copied() {
            self.check(Checker::CommittedPrefixKept, before == committed, || {
                format!("{id} has {committed:?} at {}, and elsewhere it is {before:?}", batch.base_offset)
            });
        } else {
            self.committed.insert(batch.base_offset, committed);
        }
    }

    /// A replica begins with a snapshot.
    pub fn installed(&mut self, id: i32, ledger: &Ledger) {
        let (offset, state) = (ledger.next_offset, ledger.digest());
        let known = self.states.get(&offset).copied();
        self.check(Checker::StatesAgree, known == Some(state), || {
            format!("{id} begins with a snapshot at {offset} that nobody could have taken")
        });
    }

    /// Something appended at an offset in an epoch was committed by the leader that appended it.
    pub fn acknowledged(&mut self, epoch: i32, offset: i64) {
        let found = self.committed.get(&offset).map(|committed| committed.epoch);
        self.check(Checker::AcknowledgedKept, found == Some(epoch), || {
            format!("{offset} was acknowledged in epoch {epoch}, and is {found:?}")
        });
    }

    /// The bytes of a log are those that all have.
    pub fn log_is(&mut self, id: i32, bytes: &Bytes) {
        for batch in batches(bytes).map_while(Result::ok) {
            let found = self.committed.get(&batch.base_offset).map(|committed| committed.digest);
            let own = digest(batch.bytes());
            self.check(Checker::LogsIdentical, found == Some(own), || {
                format!("the log of {id} has other bytes at {} than others have", batch.base_offset)
            });
        }
    }
}
