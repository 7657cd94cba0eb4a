//! Random messages: any message, at any version, from its schema.

use bytes::Bytes;
use ottla_protocol::{Kind, Mut, Records, Str, Struct, Uuid};

/// SplitMix64: small, named, and the same everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    pub fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.bits() as u8).collect()
    }

    fn text(&mut self) -> String {
        const LETTERS: [&str; 12] = ["a", "Z", "0", "-", "é", "한", "😀", " ", "\"", "\\", "\t", "\u{1f}"];
        let count = if self.one_in(3) { self.below(200) } else { self.below(8) };
        (0..count).map(|_| LETTERS[self.below(LETTERS.len())]).collect()
    }

    /// A number that is often small, zero or -1.
    fn number(&mut self) -> i64 {
        match self.below(4) {
            0 => 0,
            1 => -1,
            2 => self.below(100) as i64,
            _ => self.bits() as i64,
        }
    }
}

/// Fills what `version` carries; what it lacks keeps its default.
pub fn fill(target: &mut dyn Struct, version: i16, random: &mut Random) {
    let schema = target.schema();
    for (at, field) in schema.fields.iter().enumerate() {
        if !field.versions.contains(version) {
            continue;
        }
        let nullable = field.nullable.contains(version);
        match target.get_mut(at) {
            Mut::Optional(slot) if nullable && random.one_in(4) => slot.clear(),
            Mut::Optional(slot) => value(&field.kind, slot.fill(), version, random),
            Mut::Records(slot) if nullable && random.one_in(4) => *slot = Records::Null,
            slot => value(&field.kind, slot, version, random),
        }
    }
}

fn value(kind: &Kind, slot: Mut<'_>, version: i16, random: &mut Random) {
    match slot {
        Mut::Bool(slot) => *slot = random.one_in(2),
        Mut::Int8(slot) => *slot = random.number() as i8,
        Mut::Int16(slot) => *slot = random.number() as i16,
        Mut::Uint16(slot) => *slot = random.number() as u16,
        Mut::Int32(slot) => *slot = random.number() as i32,
        Mut::Uint32(slot) => *slot = random.number() as u32,
        Mut::Int64(slot) => *slot = random.number(),
        // Java before 19 prints some doubles longer than they need; none of these.
        Mut::Float64(slot) => *slot = random.number() as i32 as f64 / 8.0,
        Mut::Uuid(slot) => {
            let zero = random.one_in(4);
            *slot = if zero {
                Uuid::ZERO
            } else {
                Uuid::from_u128(u128::from(random.bits()) << 64 | u128::from(random.bits()))
            };
        }
        Mut::Str(slot) => *slot = Str::from(random.text()),
        Mut::Bytes(slot) => *slot = blob(random),
        Mut::Records(slot) => *slot = Records::Bytes(blob(random)),
        Mut::Struct(slot) => fill(slot, version, random),
        Mut::List(list) => {
            let Kind::Array(element) = kind else { unreachable!("a list is an array") };
            // Long lists of what is short: structures multiply on their way down.
            let is_struct = matches!(element, Kind::Struct(_));
            let count = match (random.one_in(10), is_struct) {
                (true, false) => random.below(200),
                (true, true) => random.below(10),
                (false, _) => random.below(4),
            };
            list.restart(count);
            for _ in 0..count {
                value(element, list.push(), version, random);
            }
        }
        Mut::Nothing | Mut::Optional(_) => unreachable!("an array's element is neither absent nor nullable"),
    }
}

fn blob(random: &mut Random) -> Bytes {
    let count = if random.one_in(3) { random.below(3000) } else { random.below(20) };
    random.bytes(count).into()
}
