//! `kafka-dump-log`: what is in the files of a log, in the lines of Apache Kafka's tool.
//!
//! It needs no cluster and no clock: a shell lends it a store and prints what it says. Nothing is ever written.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]

mod batches;
mod complaints;
mod decoder;
mod entries;
mod indexes;
mod remote;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests;

use std::fmt;

use self::complaints::Complaints;
use self::decoder::{Decoder, Plain};
use super::failure::Refusal;
use super::options::{OptionSpec, Options, Takes, flag, value};
use super::{Exit, KAFKA_VERSION, Output};
use crate::log::txn_index::TXN_INDEX_ENTRY_SIZE;
use crate::log::{AbortedTxn, LogStore, ReadOnly, StoreError, producer_snapshot};
use crate::quorum::checkpoint::SnapshotId;
use crate::record::{Compressors, RecordError};

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
    /// Of each log file.
    bytes_max: i32,
    /// Of a batch that an index points at.
    message_bytes_max: u64,
}

/// What a shell lends to the tool.
#[derive(Clone, Copy, Debug)]
pub struct DumpLent<'a> {
    /// The codecs.
    pub compressors: &'a Compressors,
    /// What paths are relative to.
    pub current_directory: &'a str,
}

/// What is done with an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IndexView {
    Entries,
    SanityCheck,
    /// Only compare it with its log.
    VerifyOnly,
}

const FILES: &str = "REQUIRED: The comma separated list of data and index log files to be dumped.";
const KEY_DECODER: &str = "Decodes keys: StringDecoder (the default), IntegerDecoder or LongDecoder of \
org.apache.kafka.tools.api. Other Java classes cannot be loaded.";
const VALUE_DECODER: &str = "The same of values.";

static SPECS: [OptionSpec; 17] = [
    flag("cluster-metadata-decoder", "If set, log data will be parsed as cluster metadata records."),
    flag("deep-iteration", "Shows each record. Automatically set if print-data-log is enabled."),
    value("files", "String: file1, file2, ...", FILES),
    flag("help", "Print usage information."),
    flag("index-sanity-check", "Only the check that a broker makes of an index when it starts."),
    OptionSpec { name: "key-decoder-class", takes: Takes::MaybeValue("String"), help: KEY_DECODER },
    value("max-bytes", "Integer: size", "Reads so much of each .log file at most. (default: 2147483647)"),
    value("max-message-size", "Integer: size", "Size of largest message. (default: 5242880)"),
    flag("offsets-decoder", "Records are those of the __consumer_offsets topic."),
    flag("print-data-log", "Shows keys and values. Automatically set if any decoder option is specified."),
    flag("remote-log-metadata-decoder", "Records are those of the __remote_log_metadata topic."),
    flag("share-group-state-decoder", "Records are those of the __share_group_state topic."),
    flag(
        "skip-record-metadata",
        "Skip metadata when printing records. This flag also skips control records.",
    ),
    flag("transaction-log-decoder", "Records are those of the __transaction_state topic."),
    OptionSpec { name: "value-decoder-class", takes: Takes::MaybeValue("String"), help: VALUE_DECODER },
    flag("verify-index-only", "Only compares an index with its log."),
    flag("version", "Display Kafka version."),
];

/// `--max-message-size`, in bytes.
const MESSAGE_BYTES_MAX: i32 = 5 << 20;

const ABOUT: &str = "This tool helps to parse a log file and dump its contents to the console, useful for debugging a \
seemingly corrupt log segment.";

/// The first that is given counts.
const DECODERS: [(&str, Decoder); 5] = [
    ("offsets-decoder", Decoder::Offsets),
    ("transaction-log-decoder", Decoder::Transactions),
    ("cluster-metadata-decoder", Decoder::ClusterMetadata),
    ("remote-log-metadata-decoder", Decoder::RemoteLogMetadata),
    ("share-group-state-decoder", Decoder::ShareGroups),
];

impl DumpLog {
    /// Reads the arguments.
    pub fn start(arguments: &[String]) -> Result<Self, Exit> {
        let usage = |message: String| Exit::usage(&[&SPECS], &message);
        let options = Options::parse(&[&SPECS], arguments).map_err(usage)?;
        if options.has("help") || arguments.is_empty() {
            return Err(usage(ABOUT.into()));
        }
        if options.has("version") {
            return Err(Exit { stdout: format!("{KAFKA_VERSION}\n"), stderr: String::new(), code: 0 });
        }
        let Some(files) = options.value("files") else {
            return Err(usage("Missing required argument \"[files]\"".into()));
        };
        let decoder = DECODERS.iter().find(|(name, _)| options.has(name)).map(|(_, decoder)| *decoder);
        let plain = |option: &str| {
            match options.value(option) {
            None | Some("") => Ok(Plain::String),
            Some(class) => Plain::of_class(class).ok_or_else(|| {
                Exit::error(&format!(
                    "--{option} {class}: Java classes cannot be loaded here; StringDecoder, IntegerDecoder and \
                     LongDecoder of org.apache.kafka.tools.api are built in"
                ))
            }),
        }
        };
        let decoder = match decoder {
            Some(decoder) => decoder,
            None => Decoder::Plain { key: plain("key-decoder-class")?, value: plain("value-decoder-class")? },
        };
        let data = decoder.is_of_a_topic()
            || ["print-data-log", "value-decoder-class", "key-decoder-class"]
                .iter()
                .any(|option| options.has(option));
        let index = match (options.has("index-sanity-check"), options.has("verify-index-only")) {
            (true, _) => IndexView::SanityCheck,
            (_, true) => IndexView::VerifyOnly,
            (false, false) => IndexView::Entries,
        };
        let message_bytes_max: i32 =
            options.number("max-message-size").map_err(usage)?.unwrap_or(MESSAGE_BYTES_MAX);
        Ok(Self {
            files: files.split(',').filter(|file| !file.is_empty()).map(normal).collect(),
            deep: data || options.has("deep-iteration"),
            data,
            decoder,
            skip_record_metadata: options.has("skip-record-metadata"),
            index,
            bytes_max: options.number("max-bytes").map_err(usage)?.unwrap_or(i32::MAX),
            message_bytes_max: u64::try_from(message_bytes_max).unwrap_or(0),
        })
    }

    /// Dumps the files, saying things as it goes; answers the exit code.
    pub fn run<S: LogStore>(&self, store: &mut S, lent: DumpLent<'_>, say: &mut dyn FnMut(Output)) -> i32 {
        let mut store = ReadOnly(store);
        let mut dump = Dump { tool: self, store: &mut store, lent, say, complaints: Complaints::default() };
        for path in &self.files {
            if let Err(refusal) = dump.file(path) {
                dump.complain(format!("ERROR {refusal}\n"));
                return 1;
            }
        }
        let complaints = dump.complaints.to_text();
        dump.complain(complaints);
        0
    }
}

/// A run.
struct Dump<'a, S> {
    tool: &'a DumpLog,
    store: &'a mut S,
    lent: DumpLent<'a>,
    say: &'a mut dyn FnMut(Output),
    complaints: Complaints,
}

impl<S: LogStore> Dump<'_, S> {
    fn file(&mut self, path: &str) -> Result<(), Refusal> {
        self.line(format_args!("Dumping {path}"));
        let name = path.rsplit('/').next().unwrap_or(path);
        match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("log") => {
                let base_offset = base_offset(name)?;
                self.line(format_args!("Log starting offset: {base_offset}"));
                self.batches(path)
            }
            Some("checkpoint") => {
                self.metadata_snapshot(name)?;
                self.batches(path)
            }
            Some("index") => self.offset_index(path, base_offset(name)?),
            Some("timeindex") => self.time_index(path, base_offset(name)?),
            Some("snapshot") => self.producers(path),
            Some("txnindex") => {
                base_offset(name)?;
                self.aborted_transactions(path)
            }
            _ => {
                self.complain(format!("Ignoring unknown file {path}\n"));
                Ok(())
            }
        }
    }

    fn metadata_snapshot(&mut self, name: &str) -> Result<(), Refusal> {
        if name == "bootstrap.checkpoint" {
            self.line(format_args!("KRaft bootstrap snapshot"));
            return Ok(());
        }
        let Some(id) = SnapshotId::parse(name) else {
            let message = format!("{name} is no snapshot's name");
            return Err(failed("java.lang.StringIndexOutOfBoundsException", message));
        };
        self.line(format_args!("Snapshot end offset: {}, epoch: {}", id.end_offset, id.epoch));
        Ok(())
    }

    fn producers(&mut self, path: &str) -> Result<(), Refusal> {
        let bytes = self.store.read(path).map_err(|error| storage(path, &error))?;
        let producers = match producer_snapshot::read(&bytes) {
            Ok(producers) => producers,
            Err(error) => {
                self.complain(format!("{error}\n"));
                return Ok(());
            }
        };
        for (producer_id, producer) in producers {
            let first = optional(producer.current_txn_first_offset);
            let mut text = format!(
                "producerId: {producer_id} producerEpoch: {} coordinatorEpoch: {} currentTxnFirstOffset: {first} \
                 lastTimestamp: {}",
                producer.producer_epoch, producer.coordinator_epoch, producer.last_timestamp
            );
            if let Some(batch) = producer.batches.front() {
                text.push_str(&format!(
                    " firstSequence: {} lastSequence: {} lastOffset: {} offsetDelta: {} timestamp: {}",
                    batch.first_sequence(),
                    batch.last_sequence,
                    batch.last_offset,
                    batch.offset_delta,
                    batch.timestamp
                ));
            }
            self.line(format_args!("{text}"));
        }
        Ok(())
    }

    fn aborted_transactions(&mut self, path: &str) -> Result<(), Refusal> {
        let bytes = match self.store.read(path) {
            Ok(bytes) => bytes,
            Err(StoreError::NotFound) => return Ok(()),
            Err(error) => return Err(storage(path, &error)),
        };
        let mut text = String::new();
        // A cut last entry is none. Of the version Apache Kafka looks at the first byte only, and where it is wrong shows nothing.
        for entry in bytes.as_chunks().0 {
            let mut entry: [u8; TXN_INDEX_ENTRY_SIZE] = *entry;
            let version = entry[0] as i8;
            entry[..2].fill(0);
            let Some(aborted) = AbortedTxn::from_array(&entry).filter(|_| version <= 0) else {
                let message = format!(
                    "Unexpected aborted transaction version {version} in transaction index {}, current version is 0",
                    self.absolute(path)
                );
                return Err(failed("org.apache.kafka.common.KafkaException", message));
            };
            text.push_str(&format!(
                "version: {version} producerId: {} firstOffset: {} lastOffset: {} lastStableOffset: {}\n",
                aborted.producer_id, aborted.first_offset, aborted.last_offset, aborted.last_stable_offset
            ));
        }
        self.print(text);
        Ok(())
    }

    fn open(&mut self, path: &str) -> Result<S::File, Refusal> {
        self.store.open(path).map_err(|error| storage(path, &error))
    }

    fn absolute(&self, path: &str) -> String {
        match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("{}/{path}", self.lent.current_directory),
        }
    }

    fn print(&mut self, stdout: String) {
        (self.say)(Output { stdout, ..Output::default() });
    }

    fn line(&mut self, text: fmt::Arguments<'_>) {
        self.print(format!("{text}\n"));
    }

    fn complain(&mut self, stderr: String) {
        (self.say)(Output { stderr, ..Output::default() });
    }
}

/// What Apache Kafka's tool would end with.
fn failed(class: &str, message: impl Into<String>) -> Refusal {
    Refusal { class: class.to_owned(), message: message.into() }
}

fn storage(path: &str, error: &StoreError) -> Refusal {
    match error {
        StoreError::NotFound => failed("java.nio.file.NoSuchFileException", path),
        error => failed("java.io.IOException", format!("{path}: {error}")),
    }
}

fn unreadable_records(error: &RecordError) -> Refusal {
    failed("org.apache.kafka.common.InvalidRecordException", error.to_string())
}

/// The offset in a file's name: all up to the first point.
fn base_offset(name: &str) -> Result<i64, Refusal> {
    let digits = name.split('.').next().unwrap_or(name);
    digits
        .parse()
        .map_err(|_| failed("java.lang.NumberFormatException", format!("For input string: \"{digits}\"")))
}

/// As Java shows an `OptionalLong`.
fn optional(number: Option<i64>) -> String {
    number.map_or_else(|| "OptionalLong.empty".to_owned(), |number| format!("OptionalLong[{number}]"))
}

/// A path as Java's `File` spells it: without doubled or trailing separators.
fn normal(path: &str) -> String {
    let mut normal = String::with_capacity(path.len());
    for letter in path.chars().filter(|letter| *letter != '\0') {
        if letter != '/' || !normal.ends_with('/') {
            normal.push(letter);
        }
    }
    if normal.len() > 1 && normal.ends_with('/') {
        normal.pop();
    }
    normal
}
