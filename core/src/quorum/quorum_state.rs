//! `quorum-state`: the epoch that this node is in and whom it voted for, as Kafka keeps it in JSON (KIP-595, version 1: KIP-853).

use ottla_protocol::Uuid;

/// Its name beside the metadata log.
pub const FILE: &str = "quorum-state";

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumState {
    /// −1 while there is none.
    pub leader_id: i32,
    /// The newest epoch this node has seen.
    pub leader_epoch: i32,
    /// −1 without a vote in this epoch.
    pub voted_id: i32,
    /// The directory of the one voted for.
    pub voted_directory_id: Uuid,
}

impl QuorumState {
    /// The state of the leader of an epoch.
    pub fn leader(leader_id: i32, leader_epoch: i32) -> Self {
        Self { leader_id, leader_epoch, voted_id: -1, voted_directory_id: Uuid::ZERO }
    }

    /// Reads the file, of version 0 or 1. The error is a sentence without the path.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if !(text.starts_with('{') && text.ends_with('}')) {
            return Err("it is not a JSON object".to_owned());
        }
        let number = |key: &str| -> Result<Option<i32>, String> {
            let Some(value) = raw_value(text, key) else { return Ok(None) };
            value.parse().map(Some).map_err(|_| format!("{key} is not a number: {value}"))
        };
        match number("data_version")? {
            Some(0 | 1) => {}
            Some(version) => {
                return Err(format!("data_version {version} is none that this build reads (0, 1)"));
            }
            None => return Err("it has no data_version".to_owned()),
        }
        let directory = raw_value(text, "votedDirectoryId").and_then(|id| id.trim_matches('"').parse().ok());
        Ok(Self {
            leader_id: number("leaderId")?.unwrap_or(-1),
            leader_epoch: number("leaderEpoch")?.ok_or("it has no leaderEpoch")?,
            voted_id: number("votedId")?.unwrap_or(-1),
            voted_directory_id: directory.unwrap_or(Uuid::ZERO),
        })
    }

    /// The text of the file.
    pub fn to_text(&self) -> String {
        format!(
            "{{\"leaderId\":{},\"leaderEpoch\":{},\"votedId\":{},\"votedDirectoryId\":\"{}\",\"data_version\":1}}",
            self.leader_id, self.leader_epoch, self.voted_id, self.voted_directory_id
        )
    }
}

/// The text of a scalar in a flat object whose keys are distinct at every depth.
fn raw_value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let (_, after) = text.split_once(&format!("\"{key}\""))?;
    let value = after.trim_start().strip_prefix(':')?.trim_start();
    let end = value.find([',', '}', ']']).unwrap_or(value.len());
    value.get(..end).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_kafka_writes_it() {
        let text = r#"{"leaderId":1,"leaderEpoch":7,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}"#;
        assert_eq!(QuorumState::parse(text), Ok(QuorumState::leader(1, 7)));
        assert_eq!(QuorumState::leader(1, 7).to_text(), text);
        let old = r#"{"clusterId":"","leaderId":3,"leaderEpoch":2,"votedId":3,"appliedOffset":0,"currentVoters":[{"voterId":3}],"data_version":0}"#;
        assert_eq!(QuorumState::parse(old).map(|state| (state.leader_epoch, state.voted_id)), Ok((2, 3)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for text in [
            "",
            "{}",
            r#"{"leaderEpoch":1}"#,
            r#"{"leaderEpoch":"x","data_version":1}"#,
            r#"{"leaderEpoch":1,"data_version":2}"#,
        ] {
            assert!(QuorumState::parse(text).is_err(), "{text}");
        }
    }
}
