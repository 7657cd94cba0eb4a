//! Requests made of choices: names, numbers and ids that there are, next to those that there are not.

use std::sync::OnceLock;

use bytes::Bytes;
use ottla_core::record::{BatchBuilder, BatchOptions, Compressors};
use ottla_protocol::registry::{self, Entry};
use ottla_protocol::{Kind, MessageSpec, Mut, Records, Str, Struct, Uuid};

use super::Choices;

/// What the broker has told so far.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub texts: Vec<Str>,
    pub numbers: Vec<i64>,
    pub topic_ids: Vec<Uuid>,
}

const TEXTS: &[&str] = &[
    "t",
    "g",
    "u",
    "",
    "consumer",
    "range",
    "__consumer_offsets",
    "roundrobin",
    "1",
    "0",
    "-1",
    "retention.ms",
    "cleanup.policy",
    "compact",
    "a.b",
    "a_b",
    "é",
    "user",
    "client-id",
    "producer_byte_rate",
    "metadata.version",
    "PLAINTEXT",
    "*",
    "compression.type",
    "gzip",
    "log.retention.ms",
    "/10.0.0.1",
    "m",
    "\u{0}",
    "2,3",
    "min.insync.replicas",
    "interval.ms",
    "metrics",
];

/// Every message there is.
pub fn all() -> &'static [Entry] {
    static ALL: OnceLock<Vec<Entry>> = OnceLock::new();
    ALL.get_or_init(registry::all)
}

/// A message with its defaults.
pub fn empty(spec: &MessageSpec) -> Box<dyn Struct> {
    let entry = all().iter().find(|entry| std::ptr::eq(entry.spec, spec));
    (entry.expect("every message is listed").make)()
}

/// Fills what `version` carries.
pub fn fill(target: &mut dyn Struct, version: i16, choices: &mut Choices<'_>, known: &Known) {
    let schema = target.schema();
    for (at, field) in schema.fields.iter().enumerate() {
        if !field.versions.contains(version) || choices.is_over() {
            continue;
        }
        let nullable = field.nullable.contains(version);
        match target.get_mut(at) {
            Mut::Optional(slot) if nullable && choices.one_in(4) => slot.clear(),
            Mut::Optional(slot) => value(&field.kind, slot.fill(), version, choices, known),
            Mut::Records(slot) if nullable && choices.one_in(8) => *slot = Records::Null,
            slot => value(&field.kind, slot, version, choices, known),
        }
    }
}

fn value(kind: &Kind, slot: Mut<'_>, version: i16, choices: &mut Choices<'_>, known: &Known) {
    match slot {
        Mut::Bool(slot) => *slot = choices.one_in(2),
        Mut::Int8(slot) => *slot = number(choices, known) as i8,
        Mut::Int16(slot) => *slot = number(choices, known) as i16,
        Mut::Uint16(slot) => *slot = number(choices, known) as u16,
        Mut::Int32(slot) => *slot = number(choices, known) as i32,
        Mut::Uint32(slot) => *slot = number(choices, known) as u32,
        Mut::Int64(slot) => *slot = number(choices, known),
        Mut::Float64(slot) => *slot = f64::from_bits(choices.number::<8>()),
        Mut::Uuid(slot) => {
            *slot = match choices.below(known.topic_ids.len() + 2) {
                0 => Uuid::ZERO,
                1 => Uuid::from_u128(u128::from(choices.number::<8>())),
                other => known.topic_ids[other - 2],
            }
        }
        Mut::Str(slot) => *slot = text(choices, known),
        Mut::Bytes(slot) => *slot = Bytes::copy_from_slice(some(choices)),
        Mut::Records(slot) => *slot = Records::Bytes(records(choices, known)),
        Mut::Struct(slot) => fill(slot, version, choices, known),
        Mut::List(list) => {
            let Kind::Array(element) = kind else { unreachable!("a list is an array") };
            let count = if choices.one_in(16) { choices.below(64) } else { choices.below(4) };
            list.restart(count);
            for _ in 0..count {
                value(element, list.push(), version, choices, known);
            }
        }
        Mut::Nothing | Mut::Optional(_) => unreachable!("an array's element is neither absent nor nullable"),
    }
}

fn number(choices: &mut Choices<'_>, known: &Known) -> i64 {
    match choices.byte() {
        few @ 0..=15 => i64::from(few),
        16..=31 => -1,
        32..=47 => i64::from(choices.byte()) * 1_000,
        48..=63 => i64::MAX >> choices.below(64),
        64..=79 => i64::MIN >> choices.below(64),
        80..=95 => choices.number::<8>() as i64,
        96..=111 => choices.number::<4>() as i32 as i64,
        _ => match known.numbers.len() {
            0 => 0,
            count => known.numbers[choices.below(count)],
        },
    }
}

fn text(choices: &mut Choices<'_>, known: &Known) -> Str {
    match choices.byte() {
        0..=159 => TEXTS[choices.below(TEXTS.len())].into(),
        160..=175 => "x".repeat(choices.below(1_000)).into(),
        176..=191 => String::from_utf8_lossy(some(choices)).into_owned().into(),
        _ => match known.texts.len() {
            0 => "t".into(),
            count => known.texts[choices.below(count)].clone(),
        },
    }
}

fn some<'a>(choices: &mut Choices<'a>) -> &'a [u8] {
    let count = choices.below(64);
    choices.bytes(count)
}

/// A batch as a client makes it, perhaps damaged, or anything.
fn records(choices: &mut Choices<'_>, known: &Known) -> Bytes {
    if choices.one_in(4) {
        return Bytes::copy_from_slice(some(choices));
    }
    let options = BatchOptions {
        producer_id: number(choices, known),
        producer_epoch: number(choices, known) as i16,
        base_sequence: number(choices, known) as i32,
        is_transactional: choices.one_in(4),
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options);
    for _ in 0..=choices.below(4) {
        let timestamp = number(choices, known);
        builder.append(timestamp, Some(some(choices)), Some(some(choices)), &[]);
    }
    let mut bytes = builder.build(&Compressors::default()).to_vec();
    if choices.one_in(4) {
        let at = choices.below(bytes.len());
        bytes[at] ^= choices.byte();
    }
    bytes.into()
}
