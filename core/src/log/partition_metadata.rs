//! `partition.metadata`: the topic's id, so that a directory is not taken for that of another topic of the same name (KIP-516).

use ottla_protocol::Uuid;

use super::error::LogError;
use super::file_names::PARTITION_METADATA;
use super::store::{LogStore, StoreError};

/// Reads the topic id of a partition's directory; `None` if the file is missing, or as empty as a power loss soon after
/// its creation can leave it.
pub fn read<S: LogStore>(store: &mut S, dir: &str) -> Result<Option<Uuid>, LogError> {
    let path = format!("{dir}/{PARTITION_METADATA}");
    let bytes = match store.read(&path) {
        Ok(bytes) if bytes.iter().all(|byte| *byte == 0) => return Ok(None),
        Ok(bytes) => bytes,
        Err(StoreError::NotFound) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let corrupt =
        |reason: &str| LogError::Corrupt { path: path.clone(), position: 0, reason: reason.to_owned() };
    let text = std::str::from_utf8(&bytes).map_err(|_| corrupt("not UTF-8"))?;
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.map(str::trim).ok_or_else(|| corrupt(&format!("{name} is missing")))
    };
    if field("version")? != "0" {
        return Err(corrupt("unknown version"));
    }
    field("topic_id")?.parse().map(Some).map_err(|_| corrupt("the topic id is no UUID"))
}

/// Writes the topic id.
pub fn write<S: LogStore>(store: &mut S, dir: &str, topic_id: Uuid) -> Result<(), LogError> {
    let text = format!("version: 0\ntopic_id: {topic_id}");
    Ok(store.write_replacing(&format!("{dir}/{PARTITION_METADATA}"), text.as_bytes())?)
}
