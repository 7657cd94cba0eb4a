//! Who votes: sets of voters, and how they changed along the log (KIP-853).

use ottla_protocol::{Str, Uuid};

use super::peers::Peer;
use crate::quorum::control::{Endpoints, Voter};
use crate::small_map::SmallMap;

/// A replica: a node, and the directory that its log is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplicaKey {
    /// `node.id`; negative for a client that is no replica.
    pub id: i32,
    /// Zero where it is not known.
    pub directory_id: Uuid,
}

/// The voters, each id once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VoterSet(SmallMap<i32, Voter>);

impl VoterSet {
    /// Of two voters with one id the last one counts.
    pub fn new(voters: impl IntoIterator<Item = Voter>) -> Self {
        Self(voters.into_iter().map(|voter| (voter.id, voter)).collect())
    }

    /// By id.
    pub fn iter(&self) -> impl Iterator<Item = &Voter> {
        self.0.values()
    }

    /// As a record lists them.
    pub fn to_vec(&self) -> Vec<Voter> {
        self.iter().cloned().collect()
    }

    /// Rising.
    pub fn ids(&self) -> Vec<i32> {
        self.0.keys().copied().collect()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Nobody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The voter with an id.
    pub fn get(&self, id: i32) -> Option<&Voter> {
        self.0.get(&id)
    }

    /// Whether this replica votes: a voter whose directory is not known is whoever has its id.
    pub fn is_voter(&self, key: ReplicaKey) -> bool {
        self.get(key.id).is_some_and(|voter| key_of(voter).stands_for(key))
    }

    /// Whether nobody else votes.
    pub fn is_only_voter(&self, key: ReplicaKey) -> bool {
        self.len() == 1 && self.is_voter(key)
    }

    /// Voters that decide together.
    pub fn majority(&self) -> usize {
        majority(self.len())
    }

    /// The listeners of a voter; none if it is none.
    pub fn endpoints(&self, id: i32) -> Endpoints {
        self.get(id).map(|voter| voter.endpoints.clone()).unwrap_or_default()
    }

    /// Where a voter is reached.
    pub fn peer(&self, id: i32, listener: &Str) -> Option<Peer> {
        Peer::at(id, &self.get(id)?.endpoints, listener)
    }

    /// With one more; `None` if its id votes already.
    pub fn with(&self, voter: Voter) -> Option<Self> {
        let mut voters = self.0.clone();
        voters.insert(voter.id, voter).is_none().then_some(Self(voters))
    }

    /// With one fewer; `None` if it does not vote, or nobody would.
    pub fn without(&self, key: ReplicaKey) -> Option<Self> {
        let mut voters = self.0.clone();
        let removed = voters.remove(&key.id).is_some_and(|voter| key_of(&voter) == key);
        (removed && !voters.is_empty()).then_some(Self(voters))
    }

    /// With what is new about one of them; `None` if it does not vote.
    pub fn updated(&self, voter: Voter) -> Option<Self> {
        self.is_voter(key_of(&voter)).then(|| {
            let mut voters = self.0.clone();
            voters.insert(voter.id, voter);
            Self(voters)
        })
    }

    /// With what a voter says about itself whose directory is not known; `None` if its id does not vote.
    pub fn updated_by_id(&self, voter: Voter) -> Option<Self> {
        let mut voters = self.0.clone();
        voters.insert(voter.id, voter).is_some().then_some(Self(voters))
    }

    /// As they are while they have not said what they support.
    pub fn unheard(&self) -> Self {
        Self::new(self.iter().map(|voter| Voter { kraft_versions: (0, 0), ..voter.clone() }))
    }

    /// Whether all of them support a `kraft.version`.
    pub fn support(&self, version: i16) -> bool {
        self.iter().all(|voter| (voter.kraft_versions.0..=voter.kraft_versions.1).contains(&version))
    }

    /// Whether a voter of it says something else about itself now.
    pub fn is_outdated(&self, voter: &Voter) -> bool {
        self.is_voter(key_of(voter)) && self.get(voter.id) != Some(voter)
    }
}

impl ReplicaKey {
    /// Whether a replica that is known by this key can be the other one.
    pub fn stands_for(self, other: Self) -> bool {
        self.id == other.id && (self.directory_id.is_zero() || self.directory_id == other.directory_id)
    }
}

/// The key of a voter.
pub fn key_of(voter: &Voter) -> ReplicaKey {
    ReplicaKey { id: voter.id, directory_id: voter.directory_id }
}

/// More than half of so many.
pub fn majority(count: usize) -> usize {
    count.saturating_div(2).saturating_add(1)
}

/// What the log says about voters and `kraft.version`, and where: what is appended counts, committed or not.
#[derive(Clone, Debug, Default)]
pub struct VoterHistory {
    /// `controller.quorum.voters`: they vote until the log says otherwise.
    configured: VoterSet,
    voters: SmallMap<i64, VoterSet>,
    kraft_versions: SmallMap<i64, i16>,
}

impl VoterHistory {
    /// Before the log is read.
    pub fn new(configured: VoterSet) -> Self {
        Self { configured, ..Self::default() }
    }

    /// Who votes.
    pub fn last(&self) -> &VoterSet {
        self.voters.values().next_back().unwrap_or(&self.configured)
    }

    /// Where that is said; −1 in the snapshot that a node is formatted with.
    pub fn last_offset(&self) -> Option<i64> {
        self.voters.keys().next_back().copied()
    }

    /// Where the voters are named at `offset` or later.
    pub fn offsets_from(&self, offset: i64) -> impl Iterator<Item = i64> {
        self.voters.keys().copied().filter(move |own| *own >= offset)
    }

    /// Who voted when the log ended before `end_offset`, if the log says so.
    pub fn before(&self, end_offset: i64) -> Option<&VoterSet> {
        self.voters.last_before(&end_offset).map(|(_, voters)| voters)
    }

    /// The `kraft.version` that holds.
    pub fn kraft_version(&self) -> i16 {
        self.kraft_versions.values().next_back().copied().unwrap_or(0)
    }

    /// The `kraft.version` that held when the log ended before `end_offset`.
    pub fn kraft_version_before(&self, end_offset: i64) -> i16 {
        self.kraft_versions.last_before(&end_offset).map_or(0, |(_, version)| *version)
    }

    /// A record at this offset names the voters.
    pub fn voters_at(&mut self, offset: i64, voters: VoterSet) {
        self.voters.insert(offset, voters);
    }

    /// A record at this offset names the `kraft.version`.
    pub fn kraft_version_at(&mut self, offset: i64, version: i16) {
        self.kraft_versions.insert(offset, version);
    }

    /// The log ends here now.
    pub fn truncate_from_end(&mut self, end_offset: i64) {
        self.voters.split_off(&end_offset);
        self.kraft_versions.split_off(&end_offset);
    }

    /// The log begins here now: what holds there stays.
    pub fn truncate_from_start(&mut self, start_offset: i64) {
        keep_from(&mut self.voters, start_offset);
        keep_from(&mut self.kraft_versions, start_offset);
    }

    /// The log is gone; a snapshot will say what holds.
    pub fn clear(&mut self) {
        self.voters.clear();
        self.kraft_versions.clear();
    }
}

fn keep_from<V>(history: &mut SmallMap<i64, V>, start_offset: i64) {
    if let Some(holding) = history.last_before(&start_offset).map(|(offset, _)| *offset) {
        *history = history.split_off(&holding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voter(id: i32, directory: u128) -> Voter {
        let endpoints = vec![("CONTROLLER".into(), format!("n{id}").into(), 9093)];
        Voter { id, directory_id: Uuid::from_u128(directory), endpoints, kraft_versions: (0, 1) }
    }

    #[test]
    fn a_voter_without_a_directory_is_whoever_has_its_id() {
        let voters = VoterSet::new([voter(1, 0), voter(2, 7)]);
        let key = |id, directory| ReplicaKey { id, directory_id: Uuid::from_u128(directory) };
        assert!(voters.is_voter(key(1, 5)) && voters.is_voter(key(2, 7)));
        assert!(!voters.is_voter(key(2, 8)) && !voters.is_voter(key(3, 7)));
        assert_eq!(voters.with(voter(2, 8)), None);
        assert_eq!(voters.without(key(2, 8)), None);
        assert_eq!(voters.without(key(2, 7)).map(|voters| voters.ids()), Some(vec![1]));
        assert_eq!(VoterSet::new([voter(2, 7)]).without(key(2, 7)), None);
    }

    #[test]
    fn the_history_follows_the_log() {
        let mut history = VoterHistory::new(VoterSet::new([voter(9, 0)]));
        assert_eq!(history.last().ids(), [9]);
        history.voters_at(-1, VoterSet::new([voter(1, 1)]));
        history.voters_at(5, VoterSet::new([voter(1, 1), voter(2, 2)]));
        history.voters_at(9, VoterSet::new([voter(1, 1), voter(2, 2), voter(3, 3)]));
        assert_eq!((history.last().len(), history.last_offset()), (3, Some(9)));
        assert_eq!(history.before(9).map(VoterSet::len), Some(2));
        history.truncate_from_end(9);
        assert_eq!((history.last().len(), history.last_offset()), (2, Some(5)));
        history.truncate_from_start(7);
        assert_eq!((history.before(5), history.last().len()), (None, 2));
        assert_eq!([1, 2, 3, 4, 5].map(majority), [1, 2, 2, 3, 3]);
    }
}
