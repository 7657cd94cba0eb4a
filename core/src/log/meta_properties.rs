//! `meta.properties`: whose log directory this is (KIP-631, KIP-858).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ottla_protocol::Uuid;

use super::error::LogError;
use super::store::{LogStore, StoreError};

/// The file's name.
pub const META_PROPERTIES: &str = "meta.properties";

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    /// `cluster.id`.
    pub cluster_id: String,
    /// `node.id`.
    pub node_id: i32,
    /// `directory.id`; directories formatted by old versions have none.
    pub directory_id: Option<Uuid>,
}

impl MetaProperties {
    /// The file's text, as version 1.
    pub fn to_text(&self) -> String {
        let mut text = format!("cluster.id={}\n", self.cluster_id);
        if let Some(directory_id) = self.directory_id {
            let _ = writeln!(text, "directory.id={directory_id}");
        }
        let _ = write!(text, "node.id={}\nversion=1\n", self.node_id);
        text
    }

    /// Reads the file's text. The error is a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut properties = BTreeMap::new();
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with(['#', '!']) {
                continue;
            }
            let (key, value) =
                line.split_once(['=', ':']).ok_or_else(|| format!("{line:?} is no property"))?;
            properties.insert(key.trim(), value.trim().replace('\\', ""));
        }
        let required = |key: &str| properties.get(key).ok_or_else(|| format!("{key} is missing"));
        match required("version")?.as_str() {
            "1" => {}
            version => return Err(format!("version {version} is not supported")),
        }
        let node_id = required("node.id")?;
        let directory_id = properties.get("directory.id").map(|id| id.parse::<Uuid>());
        Ok(Self {
            cluster_id: required("cluster.id")?.clone(),
            node_id: node_id.parse().map_err(|_| format!("node.id {node_id} is no number"))?,
            directory_id: directory_id.transpose().map_err(|_| "directory.id is no UUID".to_owned())?,
        })
    }

    /// Reads the file of a log directory; `None` if the directory is not formatted.
    pub fn read<S: LogStore>(store: &mut S, log_dir: &str) -> Result<Option<Self>, LogError> {
        let path = format!("{log_dir}/{META_PROPERTIES}");
        match store.read(&path) {
            Ok(bytes) => Self::parse(&String::from_utf8_lossy(&bytes))
                .map(Some)
                .map_err(|reason| LogError::Corrupt { path, position: 0, reason }),
            Err(StoreError::NotFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the file of a log directory.
    pub fn write<S: LogStore>(&self, store: &mut S, log_dir: &str) -> Result<(), LogError> {
        Ok(store.write_replacing(&format!("{log_dir}/{META_PROPERTIES}"), self.to_text().as_bytes())?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_java_writes_is_read() {
        let text = "#\n#Sat Nov 21 10:00:00 UTC 2026\nnode.id=1\ndirectory.id=ABEiM0RVZneImaq7zN3u_w\n\
                    version=1\ncluster.id=4L6g3nShT-eMCtK--X86sw\n";
        let meta = MetaProperties::parse(text).unwrap();
        assert_eq!((meta.cluster_id.as_str(), meta.node_id), ("4L6g3nShT-eMCtK--X86sw", 1));
        assert_eq!(MetaProperties::parse(&meta.to_text()).unwrap(), meta);
        assert!(MetaProperties::parse("version=0\n").is_err());
        assert!(MetaProperties::parse("version=1\nnode.id=1\n").is_err());
    }
}
