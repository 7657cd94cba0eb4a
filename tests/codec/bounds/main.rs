//! Hostile frames: whatever comes, reading neither panics nor takes memory out of proportion to the frame. The
//! same seed gives the same frames; `OTTLA_CODEC_COUNT` deepens a run.
//!
//! One test only: it owns the allocator, and a second would count in its tally.

#[path = "../common/mod.rs"]
mod common;
mod heap;

use std::fmt;

use bytes::Bytes;
use common::random::{Random, fill};
use ottla_protocol::{
    Decoder, Kind, Mut, Struct,
    registry::{self, Entry},
    tree,
};

/// A structure of few bytes on the wire is at most so many times as large in memory.
const BYTES_PER_BYTE_MAX: usize = 96;
/// Of a tree: a node for each byte of an array of bytes, with its name and value.
const TREE_BYTES_PER_BYTE_MAX: usize = 640;
/// An error with its path, a first block of a growing list.
const BYTES_MIN: usize = 4096;

#[test]
fn frames_are_read_within_bounds() {
    mutated_frames();
    crowded_frames();
}

/// Valid messages, damaged.
fn mutated_frames() {
    let mut random = Random::new(common::seed() ^ 3);
    let (mut frames, mut accepted) = (0, 0);
    let (mut worst, mut worst_tree) = (Worst::default(), Worst::default());
    for entry in registry::all() {
        let name = entry.spec.name;
        for version in entry.spec.versions.first..=entry.spec.versions.last {
            for _ in 0..common::count() * 4 {
                let mut message = (entry.make)();
                fill(&mut *message, version, &mut random);
                let frame = common::encode(&entry, version, &*message).expect("a message of its own version");
                let frame = mutate(frame.to_vec(), &mut random);
                frames += 1;
                worst.see(
                    name,
                    version,
                    &frame,
                    peak_of_reading(&entry, version, &frame),
                    BYTES_PER_BYTE_MAX,
                );
                worst_tree.see(
                    name,
                    version,
                    &frame,
                    peak_of_tree(&entry, version, &frame),
                    TREE_BYTES_PER_BYTE_MAX,
                );
                if let Ok(written) = common::again(&entry, version, frame.clone()) {
                    accepted += 1;
                    // At most as many bytes: lengths and tags may have had longer forms than they need. What was no text
                    // is three bytes now, where it was one at least, and may have lengthened its length.
                    let marks = written.windows(3).filter(|bytes| *bytes == "\u{fffd}".as_bytes()).count();
                    assert!(written.len() <= frame.len() + 3 * marks, "{name} v{version}: {written:?}");
                }
            }
        }
    }
    println!("{frames} mutated frames, {accepted} still readable; at most {worst}; in a tree {worst_tree}");
    assert!(accepted * 50 > frames && accepted < frames, "mutations spare too much or too little");
}

/// Arrays of as many and as small elements as fit: the most memory for a frame of its size.
fn crowded_frames() {
    let (mut worst, mut worst_tree) = (Worst::default(), Worst::default());
    for entry in registry::all() {
        let name = entry.spec.name;
        for version in entry.spec.versions.first..=entry.spec.versions.last {
            for depth in 0..6 {
                let mut message = (entry.make)();
                crowd(&mut *message, version, depth);
                let Ok(frame) = common::encode(&entry, version, &*message) else { continue };
                worst.see(
                    name,
                    version,
                    &frame,
                    peak_of_reading(&entry, version, &frame),
                    BYTES_PER_BYTE_MAX,
                );
                worst_tree.see(
                    name,
                    version,
                    &frame,
                    peak_of_tree(&entry, version, &frame),
                    TREE_BYTES_PER_BYTE_MAX,
                );
            }
        }
    }
    println!("crowded frames: at most {worst}; in a tree {worst_tree}");
}

/// Hundreds of elements in the arrays at this depth, one in those above; what may be null is.
fn crowd(target: &mut dyn Struct, version: i16, depth: usize) {
    for (at, field) in target.schema().fields.iter().enumerate() {
        if !field.versions.contains(version) {
            continue;
        }
        let is_array = matches!(field.kind, Kind::Array(_));
        let slot = match target.get_mut(at) {
            Mut::Optional(slot) if field.nullable.contains(version) && !is_array => {
                slot.clear();
                continue;
            }
            Mut::Optional(slot) => slot.fill(),
            slot => slot,
        };
        match slot {
            Mut::Struct(below) => crowd(below, version, depth),
            Mut::List(list) => {
                for _ in 0..if depth == 0 { 300 } else { 1 } {
                    if let (Mut::Struct(below), true) = (list.push(), depth > 0) {
                        crowd(below, version, depth - 1);
                    }
                }
            }
            _ => {}
        }
    }
}

fn peak_of_reading(entry: &Entry, version: i16, frame: &Bytes) -> usize {
    let (_, peak) = heap::peak_of(|| {
        let mut target = (entry.make)();
        let read = entry.spec.decode(&mut Decoder::new(frame.clone()), version, Some(&mut *target));
        (target, read)
    });
    peak
}

fn peak_of_tree(entry: &Entry, version: i16, frame: &Bytes) -> usize {
    heap::peak_of(|| tree::message_tree(entry.spec, version, &mut Decoder::new(frame.clone()))).1
}

/// The most memory for a byte of a frame, and whose it was.
#[derive(Default)]
struct Worst {
    ratio: f64,
    name: &'static str,
}

impl Worst {
    fn see(&mut self, name: &'static str, version: i16, frame: &Bytes, peak: usize, factor: usize) {
        let size = frame.len();
        assert!(peak <= BYTES_MIN + factor * size, "{name} v{version}: {peak} bytes for a frame of {size}");
        // Short frames say nothing: the first blocks outweigh them.
        let ratio = peak as f64 / size.max(256) as f64;
        if ratio > self.ratio {
            *self = Self { ratio, name };
        }
    }
}

impl fmt::Display for Worst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} bytes per byte ({})", self.ratio, self.name)
    }
}

fn mutate(mut frame: Vec<u8>, random: &mut Random) -> Bytes {
    for _ in 0..=random.below(3) {
        let at = random.below(frame.len() + 1);
        let few = 1 + random.below(8);
        match random.below(7) {
            0 => frame.truncate(at),
            1 => frame.splice(at..at, random.bytes(few)).for_each(drop),
            // A length, of each kind, as long as it gets.
            2 => overwrite(&mut frame, at, &[0x7f, 0xff, 0xff, 0xff]),
            3 => overwrite(&mut frame, at, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
            4 => overwrite(&mut frame, at, &[0x00, 0x00, 0xff, 0xff]),
            5 => frame.drain(at..(at + few).min(frame.len())).for_each(drop),
            _ => {
                if let Some(byte) = frame.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
    }
    frame.into()
}

fn overwrite(frame: &mut [u8], at: usize, bytes: &[u8]) {
    for (place, byte) in frame[at..].iter_mut().zip(bytes) {
        *place = *byte;
    }
}
