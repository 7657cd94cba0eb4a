//! The last offset of each key, in bounded memory: Kafka's `SkimpyOffsetMap`.
//!
//! Keys are known by 128 bits of hash only; an entry is 24 bytes however long its key. The hash is keyed at random for each
//! cleaning, so that nobody can make two keys that the cleaner takes for one.

use std::fmt;
use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// Bytes that an entry takes of `log.cleaner.dedupe.buffer.size`.
pub const ENTRY_BYTES: u64 = 24;

/// Two halves of a hash, and the offset plus one: 0 there marks a free slot.
type Slot = [u64; 3];

/// Key → last offset.
#[derive(Clone)]
pub(super) struct OffsetMap {
    hasher: SipHasher13,
    slots: Vec<Slot>,
    entries: usize,
    entries_max: usize,
    latest_offset: i64,
}

impl OffsetMap {
    /// A map for `entries_max` keys in at most `slots_max` slots. Where at most `records` will be put, it takes no more room than those need.
    pub fn new([k0, k1]: [u64; 2], slots_max: usize, entries_max: usize, records: usize) -> Self {
        let slots_max = slots_max.max(1);
        let entries_max = entries_max.min(records).clamp(1, slots_max);
        // Where there is room for it a third stays free, which keeps probes short.
        let slots = entries_max.saturating_add(entries_max / 2).saturating_add(1).min(slots_max);
        Self {
            hasher: SipHasher13::new_with_keys(k0, k1),
            slots: vec![[0; 3]; slots],
            entries: 0,
            entries_max,
            latest_offset: -1,
        }
    }

    /// Whether nothing more may be put: not even a key that is there, as in Kafka.
    pub fn is_full(&self) -> bool {
        self.entries >= self.entries_max
    }

    /// Keys in the map.
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Notes the offset of a key; later ones come later.
    pub fn put(&mut self, key: &[u8], offset: i64) {
        let [high, low] = self.hash(key);
        let taken = [high, low, u64::try_from(offset).unwrap_or(0).saturating_add(1)];
        let is_new = match self.find(high, low).and_then(|index| self.slots.get_mut(index)) {
            Some(slot) => {
                let [.., before] = *slot;
                *slot = taken;
                before == 0
            }
            None => return,
        };
        self.entries = self.entries.saturating_add(usize::from(is_new));
        self.latest_offset = offset;
    }

    /// The last offset of a key.
    pub fn get(&self, key: &[u8]) -> Option<i64> {
        let [high, low] = self.hash(key);
        let [.., found] = self.find(high, low).and_then(|index| self.slots.get(index))?;
        found.checked_sub(1).and_then(|offset| i64::try_from(offset).ok())
    }

    /// Everything up to here is in the map; −1 at the beginning.
    pub fn latest_offset(&self) -> i64 {
        self.latest_offset
    }

    /// What was read went up to `offset`, whether or not it had keys.
    pub fn set_latest_offset(&mut self, offset: i64) {
        self.latest_offset = offset;
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        let mut hasher = self.hasher;
        hasher.write(key);
        let hash = hasher.finish128();
        [hash.h1, hash.h2]
    }

    /// The slot of a hash, or the free one where it belongs; `None` if there is neither.
    fn find(&self, high: u64, low: u64) -> Option<usize> {
        let home = usize::try_from(high.checked_rem(self.slots.len() as u64)?).ok()?;
        let (before, from_home) = self.slots.split_at_checked(home)?;
        let probes = (home..).zip(from_home).chain((0..).zip(before));
        let fits =
            |slot: &Slot| matches!(slot, [.., 0]) || matches!(slot, [h, l, _] if *h == high && *l == low);
        probes.into_iter().find(|(_, slot)| fits(slot)).map(|(index, _)| index)
    }
}

impl fmt::Debug for OffsetMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OffsetMap")
            .field("entries", &self.entries)
            .field("entries_max", &self.entries_max)
            .field("latest_offset", &self.latest_offset)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::arithmetic_side_effects)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::rng::Rng;

    #[test]
    fn a_slot_is_as_large_as_kafkas() {
        assert_eq!(size_of::<Slot>() as u64, ENTRY_BYTES);
    }

    #[test]
    fn the_last_offset_of_each_key_is_found_in_a_map_with_room_and_in_a_full_one() {
        for slots in [1_000, 401, 400] {
            fill(slots);
        }
    }

    fn fill(slots: usize) {
        let mut rng = Rng::from_seed(1);
        let mut map = OffsetMap::new([1, 2], slots, 400, usize::MAX);
        let mut expected = BTreeMap::new();
        for offset in 0..2_000 {
            let key = rng.below(500).to_string();
            if map.is_full() {
                assert_eq!((map.len(), expected.len()), (400, 400));
                break;
            }
            map.put(key.as_bytes(), offset);
            expected.insert(key, offset);
            assert_eq!(map.latest_offset(), offset);
        }
        assert!(map.is_full());
        for key in 0..600 {
            let key = key.to_string();
            assert_eq!(map.get(key.as_bytes()), expected.get(&key).copied());
        }
        assert_eq!(map.get(b""), None);
    }

    #[test]
    fn a_map_for_few_records_is_small() {
        let slots = |records| OffsetMap::new([0, 0], 60_000, 50_000, records).slots.len();
        assert_eq!((slots(10), slots(40_000), slots(usize::MAX)), (16, 60_000, 60_000));
        assert_eq!(OffsetMap::new([0, 0], 0, 0, 0).get(b"x"), None);
    }
}
