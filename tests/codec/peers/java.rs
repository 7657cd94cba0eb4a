//! Against Apache Kafka: 4.3.1 for what it speaks, 3.9.1 for the versions that 4.0 removed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use ottla_protocol::{
    ApiKey, Bytes, Decoder, ErrorCode, Kind, Schema, json,
    records::MetadataRecord,
    registry::{self, Entry},
};

use crate::{
    common::{again, count, encode, random, seed},
    hex::{hex, unhex},
};

/// The release that decides, then those asked only for what it no longer speaks.
const RELEASES: [&str; 2] = ["4.3.1", "3.9.1"];

#[test]
fn every_message_at_every_version_as_apache_kafka_writes_it() {
    let entries: BTreeMap<&str, Entry> =
        registry::all().into_iter().map(|entry| (entry.spec.name, entry)).collect();
    let target = build();
    let ours = target.join("ours.txt");
    fs::write(&ours, our_messages(&entries)).expect("target/ is writable");

    let mut tally = Tally::default();
    for release in RELEASES {
        let theirs = target.join(format!("theirs-{release}.txt"));
        let class_path = format!(
            "{}:{}",
            target.join("classes").display(),
            target.join(format!("kafka-{release}/*")).display()
        );
        let status = Command::new("java")
            .args(["-cp", &class_path, "CodecPeer"])
            .args([&ours, &theirs])
            .args([seed().to_string(), count().to_string()])
            .status()
            .expect("a JDK is installed");
        assert!(status.success(), "CodecPeer failed on {release}");
        let theirs = fs::read_to_string(theirs).expect("CodecPeer wrote its answer");
        for line in theirs.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            tally.take(&entries, release, &words);
        }
    }
    tally.finish(&entries);
}

/// What remains to be shown, and what went wrong.
#[derive(Default)]
struct Tally {
    /// Versions that some release has checked, by message.
    covered: BTreeSet<(String, i16)>,
    /// Those that the reference itself speaks.
    reference: BTreeSet<(String, i16)>,
    frames: usize,
    absences: usize,
    printed: usize,
    faults: Vec<String>,
}

impl Tally {
    fn take(&mut self, entries: &BTreeMap<&str, Entry>, release: &str, words: &[&str]) {
        let reference = release == RELEASES[0];
        match *words {
            ["range", name, first, last] => {
                let entry = &entries[name];
                for version in number(first)..=number(last) {
                    if reference {
                        self.reference.insert((name.to_owned(), version));
                    }
                    if entry.spec.versions.contains(version) {
                        self.covered.insert((name.to_owned(), version));
                    } else if reference {
                        self.faults.push(format!("{name} v{version} is not in the tables"));
                    }
                }
            }
            ["bad", name, version, reason, frame] if self.counts(entries, name, version, reference) => {
                self.faults.push(format!("{name} v{version} of ours, {release}: {reason}\n    {frame}"));
            }
            ["default", name, version, theirs] if self.counts(entries, name, version, reference) => {
                let entry = &entries[name];
                let ours = encode(entry, number(version), &*(entry.make)());
                let ours = ours.map_or_else(|_| "error".to_owned(), |bytes| hex(&bytes));
                if ours != theirs {
                    self.faults
                        .push(format!("{name} v{version} by default: {ours} is not {theirs} of {release}"));
                }
            }
            ["theirs", name, version, frame] if self.counts(entries, name, version, reference) => {
                self.frames += 1;
                let written = again(&entries[name], number(version), unhex(frame).into());
                if written.as_ref().map(|bytes| hex(bytes)) != Ok(frame.to_owned()) {
                    let written = written.map(|bytes| hex(&bytes));
                    self.faults
                        .push(format!("{name} v{version} of {release}: {frame}\n    became {written:?}"));
                }
            }
            ["json", name, version, frame, ref theirs @ ..] if reference => {
                self.printed += 1;
                let entry = &entries[name];
                let mut message = (entry.make)();
                let frame = Bytes::from(unhex(frame));
                let read = entry.spec.decode(&mut Decoder::new(frame), number(version), Some(&mut *message));
                let mut ours = String::new();
                json::write(&mut ours, &*message, number(version));
                if read.is_err() || ours != theirs.join(" ") {
                    self.faults
                        .push(format!("{name} v{version} prints as {ours}\n    not as {}", theirs.join(" ")));
                }
            }
            ["record", type_id, type_name] if reference => {
                let ours = record_of(number(type_id)).map(|record| record.type_name());
                if ours.as_deref() != Some(type_name) {
                    self.faults.push(format!("metadata record {type_id} is {type_name}, not {ours:?}"));
                }
            }
            ["absent", name, structure, field, outcome] if reference => {
                self.absences += 1;
                let schema =
                    if structure.strip_suffix("Data").unwrap_or(structure) == name || structure == name {
                        entries[name].spec.schema
                    } else {
                        find(entries[name].spec.schema, structure)
                            .unwrap_or_else(|| panic!("{name} has no {structure}"))
                    };
                let known = schema.fields.iter().find(|known| known.name.eq_ignore_ascii_case(field));
                let known = known.unwrap_or_else(|| panic!("{name}: {structure} has no {field}"));
                if known.ignorable != (outcome == "ignorable") {
                    self.faults.push(format!("{name}: {structure}.{field} is {outcome} to Kafka"));
                }
            }
            ["key", key, name, version, request, response] if reference => {
                let api = ApiKey::from_key(number(key)).unwrap_or_else(|| panic!("no API key {key}"));
                let version = number(version);
                let ours =
                    (api.name(), api.request_header_version(version), api.response_header_version(version));
                if ours != (name, number(request), number(response)) {
                    self.faults.push(format!("API {key} {name} v{version}: ours is {ours:?}"));
                }
            }
            ["error", code, name, retriable, ref message @ ..] if reference => {
                let ours = ErrorCode::from_code(number(code));
                let facts =
                    ours.map(|error| (error.name(), error.is_retriable().to_string(), error.message()));
                let message = message.join(" ");
                if facts != Some((name, retriable.to_owned(), &message)) {
                    self.faults.push(format!("error {code} {name} {retriable} {message}: ours is {facts:?}"));
                }
            }
            ["range" | "bad" | "json" | "default" | "theirs" | "absent" | "key" | "error" | "record", ..] => {
            }
            _ => self.faults.push(format!("not a line: {words:?}")),
        }
    }

    /// Whether this release decides on the version: an old one only where the reference is silent.
    fn counts(&self, entries: &BTreeMap<&str, Entry>, name: &str, version: &str, reference: bool) -> bool {
        let version = number(version);
        let known = entries[name].spec.versions.contains(version);
        known && (reference || !self.reference.contains(&(name.to_owned(), version)))
    }

    fn finish(self, entries: &BTreeMap<&str, Entry>) {
        let mut faults = self.faults;
        for (name, entry) in entries {
            for version in entry.spec.versions.first..=entry.spec.versions.last {
                if !self.covered.contains(&((*name).to_owned(), version)) {
                    faults.push(format!("{name} v{version} was checked by no release"));
                }
            }
        }
        println!(
            "{} messages, {} versions, {} frames of theirs, {} absent fields, {} printed as JSON",
            entries.len(),
            self.covered.len(),
            self.frames,
            self.absences,
            self.printed
        );
        assert!(self.frames > 1000 && self.absences > 100 && self.printed > 1000, "the peer said too little");
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults[..faults.len().min(40)].join("\n"));
    }
}

fn number<N: std::str::FromStr>(text: &str) -> N {
    text.parse().unwrap_or_else(|_| panic!("not a number: {text}"))
}

/// A metadata record of this type that holds the defaults.
fn record_of(type_id: i16) -> Option<MetadataRecord> {
    let name = MetadataRecord::spec(type_id)?.name;
    let entry = registry::all().into_iter().find(|entry| entry.spec.name == name)?;
    let body = encode(&entry, 0, &*(entry.make)()).ok()?;
    let frame = [&[1, type_id as u8, 0], &*body].concat();
    MetadataRecord::decode(frame.into()).ok().map(|(record, _)| record)
}

/// The structure of that name somewhere below.
fn find(schema: &'static Schema, name: &str) -> Option<&'static Schema> {
    schema.fields.iter().find_map(|field| {
        let (Kind::Struct(below) | Kind::Array(&Kind::Struct(below))) = field.kind else { return None };
        if below.name == name { Some(below) } else { find(below, name) }
    })
}

/// Names, then random messages of every version; the first of each version is the default one.
fn our_messages(entries: &BTreeMap<&str, Entry>) -> String {
    let mut random = random::Random::new(seed());
    let mut lines = String::new();
    for (name, entry) in entries {
        let _ = writeln!(lines, "message {name}");
        for version in entry.spec.versions.first..=entry.spec.versions.last {
            for _ in 0..count() {
                let mut message = (entry.make)();
                random::fill(&mut *message, version, &mut random);
                let frame = encode(entry, version, &*message)
                    .unwrap_or_else(|error| panic!("{name} v{version}: {error} in {message:?}"));
                let _ = writeln!(lines, "bytes {name} {version} {}", hex(&frame));
            }
        }
    }
    lines
}

/// Compiles CodecPeer with Maven, which also fetches both releases; gives the folder where they are.
fn build() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("codec");
    let status = Command::new("mvn")
        .args(["-q", "-f"])
        .arg(here.join("pom.xml"))
        .arg("compile")
        .status()
        .expect("Maven is installed");
    assert!(status.success(), "Maven could not build tests/codec: is Maven Central within reach?");
    here.join("../../target/codec")
}
