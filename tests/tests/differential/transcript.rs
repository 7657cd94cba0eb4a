//! What a broker answered, as lines `path = value` with all that may differ masked.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, checksum};
use ottla_protocol::tree::Node;
use ottla_protocol::{ApiKey, ErrorCode};

/// One answer, as it came.
#[derive(Debug)]
pub enum Answer {
    Fields { nodes: Vec<Node>, frame: Bytes, fault: Option<String> },
    Bytes(Bytes),
    Closed(ErrorKind),
}

/// One answer, ready to be compared.
#[derive(Debug)]
pub struct Noted {
    pub label: String,
    pub api: ApiKey,
    pub version: i16,
    pub fields: BTreeMap<String, String>,
}

/// The answers of one scenario.
#[derive(Debug)]
pub struct Transcript {
    prefix: String,
    pub answers: Vec<Noted>,
}

impl Transcript {
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), answers: Vec::new() }
    }

    pub fn note(&mut self, label: &str, api: ApiKey, version: i16, answer: &Answer) {
        let mut fields = BTreeMap::new();
        match answer {
            Answer::Fields { nodes, frame, fault } => {
                let walk = Walk { api, prefix: &self.prefix, frame };
                nodes.iter().filter(|node| node.name != "CorrelationId").for_each(|node| {
                    walk.field("", node, &mut fields);
                });
                if let Some(fault) = fault {
                    fields.insert("(frame)".to_owned(), fault.clone());
                }
            }
            Answer::Bytes(bytes) => {
                // Correlation id, and the error code where the answer begins with one.
                let head = &bytes[..bytes.len().min(6)];
                fields.insert("(frame)".to_owned(), format!("begins {head:02x?}"));
            }
            // How a socket ends depends on who writes last.
            Answer::Closed(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                fields.insert("(connection)".to_owned(), "closed".to_owned());
            }
            Answer::Closed(kind) => {
                fields.insert("(connection)".to_owned(), kind.to_string());
            }
        }
        self.answers.push(Noted { label: label.to_owned(), api, version, fields });
    }

    /// Notes one value that a scenario worked out itself.
    pub fn say(&mut self, label: &str, path: &str, value: &str) {
        let fields = [(path.to_owned(), value.to_owned())].into();
        let label = format!("{label}: {path}");
        self.answers.push(Noted { label, api: ApiKey::ApiVersions, version: -1, fields });
    }
}

struct Walk<'a> {
    api: ApiKey,
    prefix: &'a str,
    frame: &'a Bytes,
}

/// Fields that tell elements of an array apart, so that their order does not matter.
const KEYS: &[&str] = &[
    "Name",
    "Topic",
    "TopicName",
    "ApiKey",
    "Index",
    "PartitionIndex",
    "Partition",
    "NodeId",
    "BrokerId",
    "Key",
    "GroupId",
    "GroupInstanceId",
    "ResourceType",
    "ResourceName",
    "ConfigName",
    "Feature",
    "BatchIndex",
    "EntityType",
    "EntityName",
    "User",
    "Mechanism",
];

impl Walk<'_> {
    fn field(&self, path: &str, node: &Node, fields: &mut BTreeMap<String, String>) {
        if node.name == "tagged fields" {
            return;
        }
        let path = match path {
            "" => node.name.clone(),
            _ => format!("{path}.{}", node.name),
        };
        let elements = node.children.first().is_some_and(|child| child.name.starts_with('['));
        if !elements {
            if node.children.is_empty() {
                fields.insert(path.clone(), self.value(node));
            }
            node.children.iter().for_each(|child| self.field(&path, child, fields));
            return;
        }
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut count = 0;
        for element in &node.children {
            let Some(key) = self.key(element) else { continue };
            count += 1;
            let again = seen.entry(key.clone()).or_default();
            let place = if *again == 0 { format!("{path}[{key}]") } else { format!("{path}[{key}#{again}]") };
            *again += 1;
            if element.children.is_empty() {
                fields.insert(place, self.value(element));
            } else {
                fields.insert(place.clone(), "there".to_owned());
                element.children.iter().for_each(|child| self.field(&place, child, fields));
            }
        }
        fields.insert(path, format!("{count} elements"));
    }

    /// What identifies an element; `None` for what belongs to another scenario.
    fn key(&self, element: &Node) -> Option<String> {
        let own = |element: &'_ Node| -> Vec<String> {
            let keys = element.children.iter().filter(|child| KEYS.contains(&child.name.as_str()));
            keys.map(|child| child.value.trim_matches('"').to_owned()).collect()
        };
        let mut keys = own(element);
        // Whom a quota is for is a list, in no order.
        let parts =
            element.children.iter().filter(|child| child.name == "Entity").flat_map(|list| &list.children);
        let mut parts: Vec<Vec<String>> = parts.map(own).collect();
        parts.sort_unstable();
        keys.extend(parts.into_iter().flatten());
        let foreign =
            |key: &String| key.starts_with("__") || (key.starts_with("d-") && !key.starts_with(self.prefix));
        // The group without a name is everybody's.
        let nameless = self.api == ApiKey::ListGroups && keys == [""];
        if nameless || keys.iter().any(foreign) {
            return None;
        }
        let short = keys.iter().map(|key| key.strip_prefix(self.prefix).unwrap_or(key));
        Some(short.collect::<Vec<_>>().join(" "))
    }

    fn value(&self, node: &Node) -> String {
        let value = &node.value;
        let text = |mask: &str| match value.as_str() {
            "null" | "\"\"" => value.clone(),
            _ => mask.to_owned(),
        };
        match node.name.as_str() {
            "ErrorCode" | "TopicConfigErrorCode" => {
                let code = value.parse().ok().and_then(ErrorCode::from_code);
                code.map_or_else(|| value.clone(), |code| code.name().to_owned())
            }
            "TopicId" | "ReplicaDirectoryId" if value != "AAAAAAAAAAAAAAAAAAAAAA" => "<id>".to_owned(),
            "ClusterId" | "MemberId" | "Leader" | "Documentation" => text("<text>"),
            "ErrorMessage" | "BatchIndexErrorMessage" => {
                without_ids(&without_times(&value.replace(self.prefix, "")))
            }
            "LogDir" => text("<path>"),
            "LastTimestamp" if value != "-1" => "<time>".to_owned(),
            "UsableBytes" | "TotalBytes" if value != "-1" => "<number>".to_owned(),
            "Port" if value != "-1" => "<port>".to_owned(),
            "ProducerId" | "SessionId" | "LogAppendTimeMs" if !matches!(value.as_str(), "0" | "-1") => {
                "<number>".to_owned()
            }
            "FinalizedFeaturesEpoch"
            | "HighWatermark"
            | "LogEndOffset"
            | "LastFetchTimestamp"
            | "LastCaughtUpTimestamp"
            | "LeaderEpoch"
                if matches!(self.api, ApiKey::DescribeQuorum | ApiKey::ApiVersions) =>
            {
                "<number>".to_owned()
            }
            "Records" if value != "null" => {
                let batches = whole_batches(&self.frame[node.range.clone()], value);
                let sum = checksum(CrcAlgorithm::Crc32Iscsi, batches) as u32;
                format!("{} bytes of whole batches, sum {sum:08x}", batches.len())
            }
            _ => value.replace(self.prefix, ""),
        }
    }
}

/// A sentence with its long numbers masked: they are times.
fn without_times(sentence: &str) -> String {
    const TIME_DIGITS: usize = 12;
    let mut masked = String::new();
    let mut rest = sentence;
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_digit()) {
        let (before, number) = rest.split_at(start);
        let end = number.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(number.len());
        let (number, after) = number.split_at(end);
        masked.push_str(before);
        masked.push_str(if number.len() < TIME_DIGITS { number } else { "<time>" });
        rest = after;
    }
    masked + rest
}

/// The records field without its length prefix and without the torn batch that Apache Kafka sends at the end where
/// a limit falls into it: clients drop that, and Ottla does not send it.
fn whole_batches<'a>(field: &'a [u8], value: &str) -> &'a [u8] {
    let length: usize = value.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0);
    let records = &field[field.len() - length..];
    let mut end = 0;
    while let Some(size) = records[end..].get(8..12) {
        let size = 12 + i32::from_be_bytes(size.try_into().expect("four bytes")) as usize;
        if records.len() - end < size {
            break;
        }
        end += size;
    }
    &records[..end]
}

/// A sentence without ids, which are 22 letters and digits.
fn without_ids(sentence: &str) -> String {
    let words = sentence.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'));
    let masked = words.map(|word| match word.char_indices().nth(22) {
        Some((end, _)) if word.chars().count() == 23 && word.contains(|c: char| c.is_ascii_uppercase()) => {
            format!("<id>{}", &word[end..])
        }
        _ => word.to_owned(),
    });
    masked.collect()
}
