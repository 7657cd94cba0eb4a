//! Kafka's text checkpoints, version 0: a version line, a count line, then one entry a line.
//!
//! `recovery-point-offset-checkpoint`, `replication-offset-checkpoint`, `log-start-offset-checkpoint` and `cleaner-offset-checkpoint` hold
//! `topic partition offset`; `leader-epoch-checkpoint` holds `epoch start_offset`.

use std::collections::BTreeMap;
use std::fmt;

/// Where every log is known to be on the disk up to.
pub const RECOVERY_POINT_CHECKPOINT: &str = "recovery-point-offset-checkpoint";
/// High watermarks.
pub const REPLICATION_OFFSET_CHECKPOINT: &str = "replication-offset-checkpoint";
/// Log start offsets that DeleteRecords moved into the middle of a segment.
pub const LOG_START_OFFSET_CHECKPOINT: &str = "log-start-offset-checkpoint";
/// Up to where compacted logs have been cleaned.
pub const CLEANER_OFFSET_CHECKPOINT: &str = "cleaner-offset-checkpoint";

/// Offsets by topic and partition, as a checkpoint file of a log directory holds them.
pub type OffsetCheckpoint = BTreeMap<(String, i32), i64>;

/// A checkpoint that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for CheckpointError {}

/// Reads `topic partition offset` lines. Kafka creates these files empty: that is no entries.
pub fn parse_offsets(bytes: &[u8]) -> Result<OffsetCheckpoint, CheckpointError> {
    if bytes.is_empty() {
        return Ok(OffsetCheckpoint::new());
    }
    let entries = parse(bytes, |fields| match fields {
        [topic, partition, offset] => {
            Some((((*topic).to_owned(), partition.parse().ok()?), offset.parse().ok()?))
        }
        _ => None,
    })?;
    Ok(entries.into_iter().collect())
}

/// Writes `topic partition offset` lines.
pub fn format_offsets(offsets: &OffsetCheckpoint) -> String {
    format(offsets.iter().map(|((topic, partition), offset)| format!("{topic} {partition} {offset}")))
}

/// Reads `epoch start_offset` lines.
pub fn parse_epochs(bytes: &[u8]) -> Result<Vec<(i32, i64)>, CheckpointError> {
    parse(bytes, |fields| match fields {
        [epoch, start_offset] => Some((epoch.parse().ok()?, start_offset.parse().ok()?)),
        _ => None,
    })
}

/// Writes `epoch start_offset` lines.
pub fn format_epochs(epochs: impl ExactSizeIterator<Item = (i32, i64)>) -> String {
    format(epochs.map(|(epoch, start_offset)| format!("{epoch} {start_offset}")))
}

fn format(entries: impl ExactSizeIterator<Item = String>) -> String {
    let mut text = format!("0\n{}\n", entries.len());
    for entry in entries {
        text.push_str(&entry);
        text.push('\n');
    }
    text
}

fn parse<T>(bytes: &[u8], entry: impl Fn(&[&str]) -> Option<T>) -> Result<Vec<T>, CheckpointError> {
    let error = |line: usize, reason: &str| CheckpointError { line, reason: reason.to_owned() };
    let text = std::str::from_utf8(bytes).map_err(|_| error(1, "not UTF-8"))?;
    let mut lines = (1..).zip(text.lines());
    match lines.next() {
        Some((_, "0")) => {}
        Some((line, version)) => return Err(error(line, &format!("unknown version {version:?}"))),
        None => return Err(error(1, "the file is empty")),
    }
    let expected = match lines.next().map(|(line, count)| (line, count.parse::<usize>())) {
        Some((_, Ok(count))) => count,
        Some((line, Err(_))) => return Err(error(line, "the number of entries is no number")),
        None => return Err(error(2, "the number of entries is missing")),
    };
    let mut entries = Vec::new();
    for (line, text) in lines {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        entries.push(entry(&fields).ok_or_else(|| error(line, &format!("malformed entry {text:?}")))?);
    }
    if entries.len() != expected {
        return Err(error(2, &format!("{expected} entries are announced, {} are there", entries.len())));
    }
    Ok(entries)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_reads_back_as_written() {
        let offsets: OffsetCheckpoint = [(("a".to_owned(), 0), 5), (("b-c".to_owned(), 12), 0)].into();
        let text = format_offsets(&offsets);
        assert_eq!(text, "0\n2\na 0 5\nb-c 12 0\n");
        assert_eq!(parse_offsets(text.as_bytes()).unwrap(), offsets);
        assert_eq!(parse_offsets(b"").unwrap(), OffsetCheckpoint::new());
        let epochs = [(0, 0), (3, 17)];
        assert_eq!(parse_epochs(format_epochs(epochs.into_iter()).as_bytes()).unwrap(), epochs);
    }

    #[test]
    fn broken_checkpoints_say_where() {
        let line = |text: &str| parse_epochs(text.as_bytes()).unwrap_err().line;
        assert_eq!(line(""), 1);
        assert_eq!(line("1\n0\n"), 1);
        assert_eq!(line("0\n"), 2);
        assert_eq!(line("0\nx\n"), 2);
        assert_eq!(line("0\n2\n0 0\n"), 2);
        assert_eq!(line("0\n1\n0 0 0\n"), 3);
        assert_eq!(line("0\n1\n0 a\n"), 3);
    }
}
