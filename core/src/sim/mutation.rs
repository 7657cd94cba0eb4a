//! Planted bugs: what the checkers must catch. They exist only with the feature `mutations`; without it every question is
//! answered with a constant "no".

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutation {
    /// The high watermark is one past what was appended.
    HighWatermarkTooHigh,
    /// Recovery believes batches whose checksum is wrong.
    RecoveryIgnoresChecksum,
    /// Recovery leaves the last whole batch out.
    RecoveryDropsLastBatch,
    /// Recovery does not tell producer state of what it read.
    RecoveryForgetsProducers,
    /// The recovery point moves before the sync has ended.
    RecoveryPointTooEarly,
    /// Looking up an offset finds the batch of the next one.
    LookupOffByOne,
    /// Appending assigns an offset twice.
    OffsetSkipped,
    /// A repeated sequence is appended again.
    DuplicateSequenceAccepted,
    /// The same producer id is handed out twice.
    ProducerIdsReused,
    /// Every generation is the first.
    GenerationNotRaised,
    /// Every member gets the leader's assignment.
    AssignmentToAll,
    /// Loading a coordinator leaves offsets out.
    OffsetsLostOnLoad,
    /// An offset is committed one too high.
    CommitOneTooHigh,
    /// New segments are not entered in their directory durably.
    DirectoryNotSynced,
    /// The recovery point moves, and the files below it were never synced.
    SegmentsNotSynced,
    /// A log does not note with which record a leader epoch begins.
    LeaderEpochNotNoted,
    /// Recovery leaves what follows the last whole batch in the file.
    TornTailKept,
    /// Every stop counts as a clean one.
    RecoverySkipped,
    /// Producer state begins with what is read after its snapshot.
    SnapshotIgnored,
    /// A new segment begins with no producers.
    ProducersForgottenOnRoll,
    /// After the largest sequence none is right.
    SequenceNeverWraps,
    /// A repeated sequence is refused.
    DuplicateRefused,
    /// Loading a coordinator overlooks what was deleted.
    TombstonesIgnored,
    /// A group is written down without its generation.
    GenerationNotPersisted,
    /// A commit is acknowledged and kept in memory only.
    CommitNotAppended,
    /// A start leads with the epoch of the last one.
    LeaderEpochNotRaised,
    /// A metadata snapshot leaves a topic out.
    MetadataSnapshotIncomplete,
    /// A block of producer ids is handed out again after a start.
    ProducerIdsNotPersisted,
    /// A topic is deleted in words only.
    TopicDeletionNotWritten,
    /// Recovery leaves the indexes as it has found them.
    IndexNotRebuilt,
    /// Recovery does not rebuild the time index.
    TimeIndexNotRebuilt,
    /// What the cleaner has not finished is taken for whole.
    CleanedTakenForWhole,
    /// A swap that was begun is not completed.
    SwapNotCompleted,
    /// Deleted files are left where they are.
    DeletedKept,
    /// A full disk keeps the beginning of what it could not write.
    ShortWriteKept,
    /// A failed sync is left to the next one.
    FailedSyncRetried,
    /// Recovery leaves leader epochs that begin past the end.
    EpochsPastEndKept,
    /// Recovery believes a producer snapshot that is newer than the log.
    NewerSnapshotBelieved,
    /// Recovery leaves the index of aborted transactions as it has found it, and adds to it.
    TxnIndexNotCut,
    /// Recovery does not rebuild the index of aborted transactions.
    TxnIndexNotRebuilt,
    /// A log begins with its first segment, whatever was deleted of that.
    LogStartForgotten,
    /// Recovery goes on after a segment whose end is missing.
    GapOverlooked,
    /// A vote is sent before it is on the disk.
    VoteNotSynced,
    /// A leader counts itself for what is not on its disk.
    OwnAppendNotSynced,
    /// A follower fetches on before what it has is on its disk.
    FetchBeforeSync,
    /// Records of an older epoch are committed by being on a majority.
    OldEpochCommitted,
    /// A follower keeps what its leader does not have.
    TruncationForgotten,
    /// A vote goes to a candidate whose log is shorter.
    VoteForShorterLog,
    /// A pre-vote is granted though the leader is well.
    PreVoteIgnoresLeader,
    /// The voters are changed again before the last change is committed.
    VoterChangesOverlap,
    /// A leader commits what it has, whatever its followers have.
    HighWatermarkTooEarly,
    /// A follower does not say of which epoch its last record is.
    DivergenceNotAsked,
    /// Consumers see what is not committed.
    ServedBeyondHighWatermark,
    /// A leader takes a replica out of the ISR without the controller.
    IsrShrunkAlone,
    /// A replica joins the ISR before it has what is committed.
    JoinedTooEarly,
    /// An append is acknowledged by all before all have it.
    AcknowledgedTooEarly,
    /// Something is committed though fewer than `min.insync.replicas` have it.
    CommittedUnderMinIsr,
    /// A leader forgets what it has proposed when the controller says again what it knows.
    ProposalForgotten,
    /// The controller elects whoever is alive.
    UncleanElection,
    /// It believes that every broker comes back with all that it had.
    StaleCleanShutdownTrusted,
    /// A broker takes up what the one before it was trusted with.
    ServedBeforeRegistered,
    /// A follower remembers no sequences of producers.
    FollowerForgetsProducers,
    /// A group's commit is acknowledged before the replicas have it.
    CommitAcknowledgedAlone,
}

impl Mutation {
    /// Those that the worlds of a broker show.
    pub const BROKER: [Self; 36] = [
        Self::HighWatermarkTooHigh,
        Self::RecoveryIgnoresChecksum,
        Self::RecoveryDropsLastBatch,
        Self::RecoveryForgetsProducers,
        Self::RecoveryPointTooEarly,
        Self::LookupOffByOne,
        Self::OffsetSkipped,
        Self::DuplicateSequenceAccepted,
        Self::ProducerIdsReused,
        Self::GenerationNotRaised,
        Self::AssignmentToAll,
        Self::OffsetsLostOnLoad,
        Self::CommitOneTooHigh,
        Self::DirectoryNotSynced,
        Self::SegmentsNotSynced,
        Self::LeaderEpochNotNoted,
        Self::TornTailKept,
        Self::RecoverySkipped,
        Self::SnapshotIgnored,
        Self::ProducersForgottenOnRoll,
        Self::SequenceNeverWraps,
        Self::DuplicateRefused,
        Self::TombstonesIgnored,
        Self::GenerationNotPersisted,
        Self::CommitNotAppended,
        Self::LeaderEpochNotRaised,
        Self::MetadataSnapshotIncomplete,
        Self::ProducerIdsNotPersisted,
        Self::TopicDeletionNotWritten,
        Self::IndexNotRebuilt,
        Self::TimeIndexNotRebuilt,
        Self::CleanedTakenForWhole,
        Self::SwapNotCompleted,
        Self::DeletedKept,
        Self::ShortWriteKept,
        Self::FailedSyncRetried,
    ];

    /// Those that a single log shows.
    pub const LOG: [Self; 6] = [
        Self::EpochsPastEndKept,
        Self::NewerSnapshotBelieved,
        Self::TxnIndexNotCut,
        Self::TxnIndexNotRebuilt,
        Self::LogStartForgotten,
        Self::GapOverlooked,
    ];

    /// Those that a quorum of replicas can have.
    pub const QUORUM: [Self; 8] = [
        Self::VoteNotSynced,
        Self::OwnAppendNotSynced,
        Self::FetchBeforeSync,
        Self::OldEpochCommitted,
        Self::TruncationForgotten,
        Self::VoteForShorterLog,
        Self::PreVoteIgnoresLeader,
        Self::VoterChangesOverlap,
    ];

    /// Those that clusters show.
    pub const CLUSTER: [Self; 13] = [
        Self::HighWatermarkTooEarly,
        Self::DivergenceNotAsked,
        Self::ServedBeyondHighWatermark,
        Self::IsrShrunkAlone,
        Self::JoinedTooEarly,
        Self::AcknowledgedTooEarly,
        Self::CommittedUnderMinIsr,
        Self::ProposalForgotten,
        Self::UncleanElection,
        Self::StaleCleanShutdownTrusted,
        Self::ServedBeforeRegistered,
        Self::FollowerForgetsProducers,
        Self::CommitAcknowledgedAlone,
    ];

    /// Those of them that the replicas of a partition show without a controller.
    pub const REPLICAS: &'static [Self] = Self::CLUSTER.split_at(6).0;

    /// Whether this build has them.
    pub const AVAILABLE: bool = cfg!(feature = "mutations");
}

/// The bug that is planted in a node, if any. Takes no room without the feature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planted {
    #[cfg(feature = "mutations")]
    mutation: Option<Mutation>,
}

impl Planted {
    /// None, or the one given where the build has them.
    #[allow(unused_variables)]
    pub fn new(mutation: Option<Mutation>) -> Self {
        Self {
            #[cfg(feature = "mutations")]
            mutation,
        }
    }

    /// Whether it is this one.
    #[inline]
    #[allow(unused_variables)]
    pub fn is(self, mutation: Mutation) -> bool {
        #[cfg(feature = "mutations")]
        return self.mutation == Some(mutation);
        #[cfg(not(feature = "mutations"))]
        false
    }
}
