//! Control records of the quorum: who leads, which `kraft.version` holds, who votes.

use ottla_protocol::records::raft::{
    KRaftVersionRecord, LeaderChangeMessage, SnapshotFooterRecord, SnapshotHeaderRecord, VotersRecord,
    leader_change_message, voters_record,
};
use ottla_protocol::{Bytes, Decoder, Encoder, Message, Str, Uuid};

use crate::record::ControlRecordType;

/// A voter of the quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    /// `node.id`.
    pub id: i32,
    /// The directory of its metadata log; zero when `kraft.version` is 0.
    pub directory_id: Uuid,
    /// Name, host and port of each of its controller listeners.
    pub endpoints: Endpoints,
    /// The levels of `kraft.version` that it supports: first and last.
    pub kraft_versions: (i16, i16),
}

/// Name, host and port of listeners.
pub type Endpoints = Vec<(Str, Str, u16)>;

/// The levels of `kraft.version` that this build supports.
pub const KRAFT_VERSIONS: (i16, i16) = (0, 1);

/// A control record that the quorum acts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// An epoch began.
    LeaderChange,
    /// A snapshot begins; the largest timestamp of what it stands for.
    SnapshotHeader(i64),
    /// A snapshot ends.
    SnapshotFooter,
    /// `kraft.version` changed.
    KRaftVersion(i16),
    /// The set of voters changed.
    Voters(Vec<Voter>),
}

impl Control {
    /// Reads one. The error is a sentence.
    pub fn decode(key: &[u8], value: &Bytes) -> Result<Self, String> {
        let kind = ControlRecordType::from_key(key).ok_or("a control record of an unknown type")?;
        let mut decoder = Decoder::new(value.clone());
        let broken = |error| format!("a broken control record: {error}");
        Ok(match kind {
            ControlRecordType::LeaderChange => Self::LeaderChange,
            ControlRecordType::SnapshotHeader => {
                let header = SnapshotHeaderRecord::decode(&mut decoder, 0).map_err(broken)?;
                Self::SnapshotHeader(header.last_contained_log_timestamp)
            }
            ControlRecordType::SnapshotFooter => Self::SnapshotFooter,
            ControlRecordType::KRaftVersion => {
                Self::KRaftVersion(KRaftVersionRecord::decode(&mut decoder, 0).map_err(broken)?.kraft_version)
            }
            ControlRecordType::KRaftVoters => {
                let voters = VotersRecord::decode(&mut decoder, 0).map_err(broken)?.voters;
                Self::Voters(voters.iter().map(Voter::from_record).collect())
            }
            ControlRecordType::Abort | ControlRecordType::Commit => {
                return Err("a transaction marker in the metadata log".to_owned());
            }
        })
    }
}

impl Voter {
    fn from_record(record: &voters_record::Voter) -> Self {
        let endpoints = record.endpoints.iter();
        Self {
            id: record.voter_id,
            directory_id: record.voter_directory_id,
            endpoints: endpoints.map(|one| (one.name.detached(), one.host.detached(), one.port)).collect(),
            kraft_versions: (
                record.kraft_version_feature.min_supported_version,
                record.kraft_version_feature.max_supported_version,
            ),
        }
    }

    fn to_record(&self) -> voters_record::Voter {
        let endpoints = self.endpoints.iter().map(|(name, host, port)| voters_record::Endpoint {
            name: name.clone(),
            host: host.clone(),
            port: *port,
        });
        voters_record::Voter {
            voter_id: self.id,
            voter_directory_id: self.directory_id,
            endpoints: endpoints.collect(),
            kraft_version_feature: voters_record::KRaftVersionFeature {
                min_supported_version: self.kraft_versions.0,
                max_supported_version: self.kraft_versions.1,
            },
        }
    }
}

fn encode(message: &impl Message) -> Bytes {
    let mut encoder = Encoder::new();
    // These messages have no field that could be too long or null out of place.
    match message.encode(&mut encoder, 0).and_then(|()| encoder.into_bytes()) {
        Ok(bytes) => bytes,
        Err(error) => panic!("a control record that does not encode: {error}"),
    }
}

/// The value of [`ControlRecordType::LeaderChange`]: who leads, who votes, and who of them voted for it.
pub fn leader_change(leader_id: i32, voters: &[i32], granting: &[i32]) -> Bytes {
    let voter = |id: &i32| leader_change_message::Voter { voter_id: *id, ..Default::default() };
    encode(&LeaderChangeMessage {
        version: 0,
        leader_id,
        voters: voters.iter().map(voter).collect(),
        granting_voters: granting.iter().map(voter).collect(),
    })
}

/// The value of [`ControlRecordType::KRaftVersion`].
pub fn kraft_version(kraft_version: i16) -> Bytes {
    encode(&KRaftVersionRecord { version: 0, kraft_version })
}

/// The value of [`ControlRecordType::KRaftVoters`].
pub fn voters(voters: &[Voter]) -> Bytes {
    encode(&VotersRecord { version: 0, voters: voters.iter().map(Voter::to_record).collect() })
}

/// The value of [`ControlRecordType::SnapshotHeader`].
pub fn snapshot_header(last_contained_log_timestamp: i64) -> Bytes {
    encode(&SnapshotHeaderRecord { version: 0, last_contained_log_timestamp })
}

/// The value of [`ControlRecordType::SnapshotFooter`].
pub fn snapshot_footer() -> Bytes {
    encode(&SnapshotFooterRecord { version: 0 })
}
