//! The network between replicas: each direction between two of them may be cut, slow, lossy, or repeat what it carries.

use std::collections::BTreeSet;

use crate::rng::Rng;

/// What a direction does to messages. Nothing keeps their order.
#[derive(Clone, Debug)]
pub struct Network {
    /// µs at least.
    pub delay_min_us: u64,
    /// µs at most, most of the time.
    pub delay_max_us: u64,
    /// One in a hundred messages takes up to so much longer, µs.
    pub straggling_us: u64,
    /// Of a thousand messages so many are lost ...
    pub lost_permille: u64,
    /// ... and so many arrive twice.
    pub repeated_permille: u64,
    /// Directions that carry nothing.
    cut: BTreeSet<(i32, i32)>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            delay_min_us: 100,
            delay_max_us: 2_000,
            straggling_us: 0,
            lost_permille: 0,
            repeated_permille: 0,
            cut: BTreeSet::new(),
        }
    }
}

impl Network {
    /// From one to another nothing comes through.
    pub fn cut(&mut self, from: i32, to: i32) {
        self.cut.insert((from, to));
    }

    /// Everything that was cut is whole.
    pub fn join(&mut self) {
        self.cut.clear();
    }

    /// Whether nothing comes through.
    pub fn is_cut(&self, from: i32, to: i32) -> bool {
        self.cut.contains(&(from, to))
    }

    /// Whether anything is cut.
    pub fn has_cuts(&self) -> bool {
        !self.cut.is_empty()
    }

    /// How long each copy of a message travels, µs; none if it is lost.
    pub fn carry(&self, from: i32, to: i32, rng: &mut Rng) -> Vec<u64> {
        if self.is_cut(from, to) || rng.chance(self.lost_permille, 1_000) {
            return Vec::new();
        }
        let copies = 1 + u64::from(rng.chance(self.repeated_permille, 1_000));
        (0..copies).map(|_| self.delay(rng)).collect()
    }

    /// How long something travels, µs.
    pub fn delay(&self, rng: &mut Rng) -> u64 {
        let delay = self.delay_min_us + rng.below(self.delay_max_us.saturating_sub(self.delay_min_us) + 1);
        let straggles = rng.chance(1, 100);
        delay + if straggles { rng.below(self.straggling_us + 1) } else { 0 }
    }
}
