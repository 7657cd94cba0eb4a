//! `kafka-dump-log`: what is in the files of a log, in lines.
//!
//! The tool needs no cluster and no clock: a shell reads the files that [`DumpLog::files`] names, one after the other, and
//! prints what [`DumpLog::dump`] gives for each.

mod decoder;
mod lines;

use bytes::Bytes;

use self::decoder::Decoder;
use super::options::{OptionSpec, Options, Takes, flag, value};
use super::{Exit, KAFKA_VERSION};
use crate::log::file_names::offset_of;
use crate::log::{offset_index, time_index};
use crate::record::{BatchView, Compressors};

/// The name of the tool.
pub const DUMP_LOG: &str = "kafka-dump-log";

/// What was asked for.
#[derive(Clone, Debug)]
pub struct DumpLog {
    files: Vec<String>,
    /// Show records, not only batches.
    deep: bool,
    /// Show keys and values.
    data: bool,
    decoder: Decoder,
    skip_record_metadata: bool,
    index: IndexView,
    bytes_max: usize,
}

/// What is done with an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IndexView {
    Entries,
    SanityCheck,
    /// Only compare it with its log.
    VerifyOnly,
}

static SPECS: [OptionSpec; 17] = [
    flag("cluster-metadata-decoder", "The records are those of the cluster's metadata."),
    flag("deep-iteration", "Shows each record."),
    value("files", "file,file", "REQUIRED: the files: .log, .checkpoint, .index or .timeindex."),
    flag("help", "Prints this."),
    flag("index-sanity-check", "Only checks what a broker checks of an index when it starts."),
    OptionSpec {
        name: "key-decoder-class",
        takes: Takes::MaybeValue("class"),
        help: "Taken, without effect.",
    },
    value("max-bytes", "bytes", "Reads so much of each .log file at most."),
    value("max-message-size", "bytes", "Taken, without effect."),
    flag("offsets-decoder", "The records are those of __consumer_offsets."),
    flag("print-data-log", "Shows keys and values."),
    flag("remote-log-metadata-decoder", "Taken, without effect."),
    flag("share-group-state-decoder", "The records are those of __share_group_state."),
    flag("skip-record-metadata", "Shows keys and values only."),
    flag("transaction-log-decoder", "The records are those of __transaction_state."),
    OptionSpec {
        name: "value-decoder-class",
        takes: Takes::MaybeValue("class"),
        help: "Taken, without effect.",
    },
    flag("verify-index-only", "Only compares an index with its log."),
    flag("version", "Prints the version."),
];

const ABOUT: &str = "This tool helps to parse a log file and dump its contents to the console, useful for debugging a \
seemingly corrupt log segment.";

const DECODERS: [(&str, Decoder); 4] = [
    ("offsets-decoder", Decoder::Offsets),
    ("transaction-log-decoder", Decoder::Transactions),
    ("share-group-state-decoder", Decoder::ShareGroups),
    ("cluster-metadata-decoder", Decoder::ClusterMetadata),
];

impl DumpLog {
    /// Reads the arguments.
    pub fn start(arguments: &[String]) -> Result<Self, Exit> {
        let usage = |message: String| Exit::usage(&[&SPECS], &message);
        let options = Options::parse(&[&SPECS], arguments).map_err(usage)?;
        if options.has("version") {
            return Err(Exit { stdout: format!("{KAFKA_VERSION}\n"), stderr: String::new(), code: 0 });
        }
        if options.has("help") || arguments.is_empty() {
            return Err(usage(ABOUT.into()));
        }
        let Some(files) = options.value("files") else {
            return Err(usage("Missing required argument \"[files]\"".into()));
        };
        let decoder = DECODERS.iter().find(|(name, _)| options.has(name)).map(|(_, decoder)| *decoder);
        let data = options.has("print-data-log")
            || decoder.is_some()
            || options.has("value-decoder-class")
            || options.has("key-decoder-class");
        let index = match (options.has("index-sanity-check"), options.has("verify-index-only")) {
            (true, _) => IndexView::SanityCheck,
            (_, true) => IndexView::VerifyOnly,
            (false, false) => IndexView::Entries,
        };
        let bytes_max: Option<usize> = options.number("max-bytes").map_err(usage)?;
        Ok(Self {
            files: files
                .split(',')
                .map(|file| file.trim().to_owned())
                .filter(|file| !file.is_empty())
                .collect(),
            deep: data || options.has("deep-iteration"),
            data,
            decoder: decoder.unwrap_or(Decoder::Text),
            skip_record_metadata: options.has("skip-record-metadata"),
            index,
            bytes_max: bytes_max.unwrap_or(usize::MAX),
        })
    }

    /// The files, by their paths.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// The log beside an index, which it is compared with.
    pub fn companion(path: &str) -> Option<String> {
        let stem = path.strip_suffix(".timeindex").or_else(|| path.strip_suffix(".index"))?;
        Some(format!("{stem}.log"))
    }

    /// The lines about a file.
    pub fn dump<'a>(
        &'a self,
        path: &'a str,
        bytes: &'a Bytes,
        compressors: &'a Compressors,
    ) -> Box<dyn Iterator<Item = String> + 'a> {
        let head = std::iter::once(format!("Dumping {path}\n"));
        let name = path.rsplit('/').next().unwrap_or(path);
        let base = |suffix: &str| name.strip_suffix(suffix).and_then(|stem| offset_of(stem.get(..20)?, ""));
        if let Some(base_offset) = base(".log").or_else(|| base(".checkpoint")) {
            let start = if name.ends_with(".checkpoint") {
                let epoch = name.get(21..31).and_then(|epoch| epoch.parse::<i32>().ok()).unwrap_or(0);
                format!("Snapshot end offset: {base_offset}, epoch: {epoch}\n")
            } else {
                format!("Log starting offset: {base_offset}\n")
            };
            let batches = lines::Batches::new(self, path, bytes, compressors);
            return Box::new(head.chain(std::iter::once(start)).chain(batches));
        }
        let body = match (base(".index"), base(".timeindex")) {
            (Some(base_offset), _) => self.offset_index(path, bytes, base_offset),
            (_, Some(base_offset)) => self.time_index(path, bytes, base_offset),
            (None, None) => format!("Ignoring unknown file {path}\n"),
        };
        Box::new(head.chain(std::iter::once(body)))
    }

    fn offset_index(&self, path: &str, bytes: &Bytes, base_offset: i64) -> String {
        let entries = offset_index::entries(bytes, base_offset).enumerate();
        let mut entries = entries.take_while(|(at, entry)| *at == 0 || entry.offset != base_offset);
        if self.index == IndexView::SanityCheck {
            let rises = entries
                .try_fold(base_offset - 1, |last, (_, entry)| (entry.offset > last).then_some(entry.offset));
            let whole = bytes.len().is_multiple_of(offset_index::OFFSET_INDEX_ENTRY_SIZE);
            return match rises.is_some() && whole {
                true => format!("{path} passed sanity check.\n"),
                false => format!("{path} failed sanity check.\n"),
            };
        }
        let line = |(_, entry): (usize, offset_index::OffsetPosition)| {
            format!("offset: {} position: {}\n", entry.offset, entry.position)
        };
        if self.index == IndexView::Entries { entries.map(line).collect() } else { String::new() }
    }

    /// Where an offset index does not fit its log, for standard error.
    pub fn mismatches(&self, path: &str, bytes: &Bytes, log: &Bytes) -> Option<String> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let base_offset = offset_of(name.strip_suffix(".index")?.get(..20)?, "")?;
        if self.index == IndexView::SanityCheck {
            return None;
        }
        let mut text = String::new();
        let entries = offset_index::entries(bytes, base_offset).enumerate();
        for (_, entry) in entries.take_while(|(at, entry)| *at == 0 || entry.offset != base_offset) {
            let position = usize::try_from(entry.position).unwrap_or(usize::MAX);
            let found = log.get(position..).and_then(|rest| BatchView::read(rest).ok());
            let found = found.map_or(-1, |batch| batch.header().last_offset());
            if found != entry.offset {
                text.push_str(&format!("  Index offset: {}, log offset: {found}\n", entry.offset));
            }
        }
        (!text.is_empty()).then(|| format!("Mismatches in :{path}\n{text}"))
    }

    fn time_index(&self, path: &str, bytes: &Bytes, base_offset: i64) -> String {
        if self.index == IndexView::SanityCheck {
            let whole = bytes.len().is_multiple_of(time_index::TIME_INDEX_ENTRY_SIZE);
            let rises = time_index::entries(bytes, base_offset)
                .take_while(|entry| entry.timestamp > 0)
                .try_fold(-1, |last, entry| (entry.timestamp >= last).then_some(entry.timestamp));
            return match rises.is_some() && whole {
                true => format!("{path} passed sanity check.\n"),
                false => format!("{path} failed sanity check.\n"),
            };
        }
        let entries = time_index::entries(bytes, base_offset).enumerate();
        let entries = entries.take_while(|(at, entry)| *at == 0 || entry.timestamp > 0);
        let line = |(_, entry): (usize, time_index::TimestampOffset)| {
            format!("timestamp: {} offset: {}\n", entry.timestamp, entry.offset)
        };
        if self.index == IndexView::Entries { entries.map(line).collect() } else { String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, BatchOptions};

    fn dumped(arguments: &str, path: &str, bytes: &Bytes) -> String {
        let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
        let tool = DumpLog::start(&arguments).unwrap();
        tool.dump(path, bytes, &Compressors::default()).collect()
    }

    fn log() -> Bytes {
        let mut batch =
            BatchBuilder::new(BatchOptions { partition_leader_epoch: 4, ..BatchOptions::default() });
        batch.append(1_000, Some(b"k"), Some(b"v"), &[(b"h", None)]);
        batch.append(2_000, None, None, &[]);
        batch.build(&Compressors::default())
    }

    #[test]
    fn batches_and_records_as_apache_kafka_prints_them() {
        let path = "t-0/00000000000000000000.log";
        let text = dumped("--files x --print-data-log", path, &log());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["Dumping t-0/00000000000000000000.log", "Log starting offset: 0"]);
        let batch = "baseOffset: 0 lastOffset: 1 count: 2 baseSequence: -1 lastSequence: -1 producerId: -1 \
                     producerEpoch: -1 partitionLeaderEpoch: 4 isTransactional: false isControl: false \
                     deleteHorizonMs: OptionalLong.empty position: 0 CreateTime: 2000 size: ";
        assert!(lines[2].starts_with(batch) && lines[2].ends_with("isvalid: true"), "{text}");
        assert_eq!(
            lines[3],
            "| offset: 0 CreateTime: 1000 keySize: 1 valueSize: 1 sequence: -1 headerKeys: [h] key: k payload: v"
        );
        assert_eq!(
            lines[4],
            "| offset: 1 CreateTime: 2000 keySize: -1 valueSize: -1 sequence: -1 headerKeys: []"
        );
        assert_eq!(lines.len(), 5);
    }

    #[test]
    fn a_damaged_batch_is_invalid_and_a_torn_end_is_counted() {
        let mut bytes = log().to_vec();
        let end = bytes.len() - 1;
        bytes[end] ^= 1;
        bytes.extend_from_slice(&[0; 7]);
        let text = dumped("--files x", "00000000000000000000.log", &Bytes::from(bytes));
        assert!(text.contains("isvalid: false"), "{text}");
        assert!(text.ends_with("Found 7 invalid bytes at the end of 00000000000000000000.log\n"), "{text}");
    }

    #[test]
    fn indexes() {
        let entries: Vec<u8> =
            [5_u32, 100, 9, 230, 0, 0].iter().flat_map(|part| part.to_be_bytes()).collect();
        let text = dumped("--files x", "00000000000000000010.index", &Bytes::from(entries));
        let expected =
            "Dumping 00000000000000000010.index\noffset: 15 position: 100\noffset: 19 position: 230\n";
        assert_eq!(text, expected);
        let text = dumped("--files x", "leader-epoch-checkpoint", &Bytes::new());
        assert!(text.ends_with("Ignoring unknown file leader-epoch-checkpoint\n"));
    }
}
