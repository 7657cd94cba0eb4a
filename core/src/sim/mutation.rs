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
    /// Metadata counts as committed before it is on the disk.
    MetadataNotSynced,
    /// New segments are not entered in their directory durably.
    DirectoryNotSynced,
}

impl Mutation {
    /// Every planted bug.
    pub const ALL: [Self; 15] = [
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
        Self::MetadataNotSynced,
        Self::DirectoryNotSynced,
    ];

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
