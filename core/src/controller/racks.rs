//! [`Racks`]: brokers in the order in which new partitions get them, as Kafka's `StripedReplicaPlacer` deals them out.
//!
//! The replicas of a partition come from one rack after the other, beginning one rack further with each partition, and within a rack from one
//! broker after the other, beginning one broker further. Fenced brokers come after all others of their rack, and never first: the first
//! leads. Once there were as many partitions as brokers the order would repeat, and is drawn anew.

use crate::rng::Rng;
use crate::small_map::SmallMap;

/// The brokers that new replicas may go to, by rack.
#[derive(Debug)]
pub struct Racks {
    racks: Vec<Rack>,
    brokers: usize,
    unfenced: usize,
    /// The rack that the next partition begins with.
    first: usize,
    /// Partitions since the order was drawn.
    placed: usize,
}

#[derive(Debug, Default)]
struct Rack {
    unfenced: Stripe,
    fenced: Stripe,
}

/// Brokers in a circle.
#[derive(Debug, Default)]
struct Stripe {
    brokers: Vec<i32>,
    /// Where the next partition begins.
    start: usize,
    /// How many the next partition has taken already.
    taken: usize,
}

impl Racks {
    /// Of brokers with their racks, some of them fenced, in an order that the generator draws.
    pub fn new<'a>(rng: &mut Rng, brokers: impl Iterator<Item = (i32, Option<&'a str>, bool)>) -> Self {
        let mut by_name: SmallMap<Option<&str>, Rack> = SmallMap::new();
        for (id, rack, is_fenced) in brokers {
            let rack = by_name.or_default(rack);
            let stripe = if is_fenced { &mut rack.fenced } else { &mut rack.unfenced };
            stripe.brokers.push(id);
        }
        let mut racks: Vec<Rack> = by_name.into_values().collect();
        let stripes = racks.iter_mut().flat_map(|rack| [&mut rack.unfenced, &mut rack.fenced]);
        for stripe in stripes {
            stripe.start = draw(rng, stripe.brokers.len());
        }
        let unfenced: usize = racks.iter().map(|rack| rack.unfenced.brokers.len()).sum();
        let fenced: usize = racks.iter().map(|rack| rack.fenced.brokers.len()).sum();
        let first = draw(rng, racks.len());
        Self { racks, brokers: unfenced + fenced, unfenced, first, placed: 0 }
    }

    /// How many brokers there are.
    pub fn brokers(&self) -> usize {
        self.brokers
    }

    /// How many may lead.
    pub fn unfenced(&self) -> usize {
        self.unfenced
    }

    /// Replicas for the next partition, the leader first: none where no broker may lead, and no more than there are brokers.
    pub fn place(&mut self, rng: &mut Rng, replicas: usize) -> Vec<i32> {
        if self.placed == self.unfenced && self.unfenced > 1 {
            self.shuffle(rng);
        }
        let (from, count) = (self.first, self.racks.len());
        let wanted = replicas.min(self.brokers);
        let in_turn = (0..count).map(|step| (from + step) % count);
        let mut placed = Vec::with_capacity(wanted);
        // The leader's rack has had its turn in the first round.
        let mut leading = None;
        for rack in in_turn.clone() {
            let leader = self.racks.get_mut(rack).and_then(|rack| rack.unfenced.take());
            if leader.is_some() {
                placed.extend(leader);
                leading = Some(rack);
                break;
            }
        }
        if leading.is_none() {
            return placed;
        }
        for rack in in_turn.cycle() {
            if placed.len() >= wanted {
                break;
            }
            if leading == Some(rack) {
                leading = None;
            } else if let Some(rack) = self.racks.get_mut(rack) {
                placed.extend(rack.unfenced.take().or_else(|| rack.fenced.take()));
            }
        }
        self.advance();
        placed
    }

    /// The next partition begins one rack and one broker further.
    fn advance(&mut self) {
        self.placed += 1;
        self.first = (self.first + 1).checked_rem(self.racks.len()).unwrap_or(0);
        for rack in &mut self.racks {
            rack.unfenced.advance();
            rack.fenced.advance();
        }
    }

    fn shuffle(&mut self, rng: &mut Rng) {
        shuffle(rng, &mut self.racks);
        for rack in &mut self.racks {
            shuffle(rng, &mut rack.unfenced.brokers);
            shuffle(rng, &mut rack.fenced.brokers);
        }
        self.placed = 0;
    }
}

impl Stripe {
    fn take(&mut self) -> Option<i32> {
        let len = self.brokers.len();
        if self.taken >= len {
            return None;
        }
        let at = (self.start + self.taken) % len;
        self.taken += 1;
        self.brokers.get(at).copied()
    }

    fn advance(&mut self) {
        self.taken = 0;
        self.start = (self.start + 1).checked_rem(self.brokers.len()).unwrap_or(0);
    }
}

fn draw(rng: &mut Rng, below: usize) -> usize {
    usize::try_from(rng.below(below as u64)).unwrap_or(0)
}

fn shuffle<T>(rng: &mut Rng, list: &mut [T]) {
    for last in (1..list.len()).rev() {
        list.swap(last, draw(rng, last + 1));
    }
}
