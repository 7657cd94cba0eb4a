//! `metadata.version`: which records, at which of their versions, a cluster may hold (KIP-584, KIP-778).

/// A level of the feature `metadata.version`, 7 (3.3-IV3) to 30 (4.3-IV0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetadataVersion(i16);

/// Level and release names, in order of level.
pub const NAMES: [(i16, &str); 24] = [
    (7, "3.3-IV3"),
    (8, "3.4-IV0"),
    (9, "3.5-IV0"),
    (10, "3.5-IV1"),
    (11, "3.5-IV2"),
    (12, "3.6-IV0"),
    (13, "3.6-IV1"),
    (14, "3.6-IV2"),
    (15, "3.7-IV0"),
    (16, "3.7-IV1"),
    (17, "3.7-IV2"),
    (18, "3.7-IV3"),
    (19, "3.7-IV4"),
    (20, "3.8-IV0"),
    (21, "3.9-IV0"),
    (22, "4.0-IV0"),
    (23, "4.0-IV1"),
    (24, "4.0-IV2"),
    (25, "4.0-IV3"),
    (26, "4.1-IV0"),
    (27, "4.1-IV1"),
    (28, "4.2-IV0"),
    (29, "4.2-IV1"),
    (30, "4.3-IV0"),
];

impl MetadataVersion {
    /// The lowest level that Kafka 4.3 runs with.
    pub const MINIMUM: Self = Self(7);
    /// 4.3-IV0, what Kafka 4.3 formats with.
    pub const LATEST: Self = Self(30);
    /// The first with the ELR fields in partition records (KIP-966).
    pub const ELR: Self = Self(23);

    /// The version of a feature level, when it is one of Kafka 4.3's.
    pub fn from_level(level: i16) -> Option<Self> {
        (Self::MINIMUM.0..=Self::LATEST.0).contains(&level).then_some(Self(level))
    }

    /// Parses `4.3-IV0`, or `4.3`, which means the last level of that release.
    pub fn from_release(release: &str) -> Option<Self> {
        let exact = NAMES.iter().find(|(_, name)| *name == release);
        let by_release = || {
            NAMES
                .iter()
                .rev()
                .find(|(_, name)| name.split_once('-').is_some_and(|(short, _)| short == release))
        };
        exact.or_else(by_release).map(|(level, _)| Self(*level))
    }

    /// The feature level.
    pub fn level(self) -> i16 {
        self.0
    }

    /// `4.3-IV0`.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(level, _)| *level == self.0).map_or("unknown", |(_, name)| name)
    }

    /// Version of `RegisterBrokerRecord`.
    pub fn register_broker_record(self) -> i16 {
        match self.0 {
            30.. => 4,
            17.. => 3,
            8.. => 2,
            _ => 1,
        }
    }

    /// Version of `PartitionRecord` and of `PartitionChangeRecord`.
    pub fn partition_record(self) -> i16 {
        match self.0 {
            23.. => 2,
            17.. => 1,
            _ => 0,
        }
    }

    /// Whether a smaller ISR needs a new leader epoch, as brokers of that time expect (KAFKA-15021).
    pub fn bumps_leader_epoch_on_isr_shrink(self) -> bool {
        self.0 < 12
    }

    /// Whether brokers register log directories (KIP-858).
    pub fn has_directories(self) -> bool {
        self.0 >= 17
    }

    /// Whether brokers register cordoned log directories (KIP-1066).
    pub fn has_cordoned_directories(self) -> bool {
        self.0 >= 30
    }

    /// Whether SCRAM credentials may be written (KIP-900).
    pub fn has_scram(self) -> bool {
        self.0 >= 11
    }

    /// Whether metadata transactions may be written (KIP-868).
    pub fn has_transactions(self) -> bool {
        self.0 >= 13
    }

    /// Whether delegation tokens may be written (KIP-900).
    pub fn has_delegation_tokens(self) -> bool {
        self.0 >= 14
    }

    /// Whether controllers register (KIP-919).
    pub fn has_controller_registrations(self) -> bool {
        self.0 >= 15
    }
}

impl std::fmt::Display for MetadataVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_and_levels() {
        assert_eq!(MetadataVersion::from_release("4.3").map(MetadataVersion::level), Some(30));
        assert_eq!(MetadataVersion::from_release("3.9-IV0").map(MetadataVersion::level), Some(21));
        assert_eq!(MetadataVersion::from_release("4.4"), None);
        assert_eq!(MetadataVersion::from_level(6), None);
        assert_eq!(MetadataVersion::LATEST.to_string(), "4.3-IV0");
    }
}
