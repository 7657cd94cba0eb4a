//! Whatever happens to three brokers, what was acknowledged by all is there, once, on all of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_protocol::records::metadata::{FenceBrokerRecord, UnfenceBrokerRecord};

use super::cluster::{Cluster, registration};
use crate::log::LogStore as _;
use crate::record::{Batch, Compressors, batches};
use crate::rng::Rng;
use crate::sim::mutation::{Mutation, Planted};

const SEEDS: u64 = 60;
const STEPS: usize = 120;

struct Run {
    cluster: Cluster,
    rng: Rng,
    /// Of each broker.
    epochs: BTreeMap<i32, i64>,
    /// Appends under way, by the number of their question: the size of the record, which tells it from others.
    under_way: BTreeMap<u64, usize>,
    /// Offsets that were acknowledged by all, and the sizes of their records.
    acknowledged: BTreeMap<i64, usize>,
    /// What consumers have read.
    seen: BTreeMap<i64, usize>,
    next_size: usize,
}

impl Run {
    fn new(seed: u64, planted: Planted) -> Self {
        let mut rng = Rng::from_seed(seed);
        let min_isr = 1 + i32::try_from(rng.below(2)).unwrap();
        let syncs = rng.chance(1, 4);
        let cluster = Cluster::of("t", planted, |config| {
            config.topic_defaults.min_insync_replicas = min_isr;
            config.topic_defaults.segment_bytes = 600;
            if syncs {
                config.ottla_log_sync = "batch".to_owned();
            }
        });
        let epochs = (1..=3).map(|id| (id, 10)).collect();
        let (under_way, acknowledged, seen) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { cluster, rng, epochs, under_way, acknowledged, seen, next_size: 10 }
    }

    fn one(&mut self) -> i32 {
        1 + i32::try_from(self.rng.below(3)).unwrap()
    }

    fn step(&mut self) {
        let (one, other) = (self.one(), self.one());
        // Mostly frames are still on their way when the next thing happens.
        let rounds = self.rng.below(8);
        self.cluster.rounds = (rounds < 6).then(|| usize::try_from(rounds).unwrap());
        match self.rng.below(26) {
            20..24 => self.read(one),
            24 => self.deafen(one),
            25 => self.tell(one),
            0..8 => self.produce(),
            8..12 => self.cluster.settle(),
            12..14 => {
                let ms = 100 * self.rng.below(12);
                self.cluster.advance(ms);
            }
            14 if one != other => self.cluster.cut(one, other),
            15 => self.cluster.cut.clear(),
            16 => self.kill(one),
            17 => self.start(one),
            18 => self.elect(),
            _ => self.cluster.advance(40_000),
        }
        self.take_answers();
    }

    /// To whoever may lead: a client may be behind.
    fn produce(&mut self) {
        let leads = |cluster: &Cluster, id: &i32| cluster.replica(*id).is_leader();
        let leaders: Vec<i32> =
            self.cluster.brokers.keys().copied().filter(|id| leads(&self.cluster, id)).collect();
        let at = usize::try_from(self.rng.below(leaders.len() as u64)).unwrap();
        let Some(leader) = leaders.get(at).copied() else { return };
        let acks = if self.rng.chance(1, 4) { 1 } else { -1 };
        let number = self.cluster.produce(leader, acks, self.next_size);
        if acks == -1 {
            self.under_way.insert(number, self.next_size);
        }
        self.next_size += 1;
    }

    fn take_answers(&mut self) {
        for (number, size) in std::mem::take(&mut self.under_way) {
            match self.cluster.produced(number) {
                Some(Ok(produced)) => {
                    let before = self.acknowledged.insert(produced.base_offset, size);
                    assert_eq!(before, None, "offset {} acknowledged twice", produced.base_offset);
                }
                Some(Err(_)) => {}
                None => _ = self.under_way.insert(number, size),
            }
        }
    }

    /// A consumer reads from a broker, from somewhere on.
    fn read(&mut self, broker: i32) {
        if !self.cluster.brokers.contains_key(&broker) {
            return;
        }
        let (end, _) = self.cluster.ends(broker);
        let offset = i64::try_from(self.rng.below(end.unsigned_abs() + 1)).unwrap();
        if let Ok(fetched) = super::read(&mut self.cluster, broker, offset, super::consumer())
            && let Some((slice, _)) = fetched.records
        {
            let bytes = self.cluster.stores.get_mut(&broker).unwrap().read_slice(&slice).unwrap();
            for (offset, size) in sizes(&bytes) {
                assert_eq!(*self.seen.entry(offset).or_insert(size), size, "offset {offset} has changed");
            }
        }
    }

    /// A process dies, and the controller notices.
    fn kill(&mut self, id: i32) {
        if self.cluster.brokers.contains_key(&id) {
            self.cluster.kill(id);
            self.fence(id);
        }
    }

    /// A process loses its controller, which believes that it is dead.
    fn deafen(&mut self, id: i32) {
        if self.cluster.brokers.contains_key(&id) {
            self.cluster.deafen(id);
            self.fence(id);
        }
    }

    /// A process finds its controller again, and registers once more.
    fn tell(&mut self, id: i32) {
        let is_fenced = self.cluster.is_fenced(id);
        self.cluster.tell(id);
        if is_fenced && self.cluster.brokers.contains_key(&id) {
            let epoch = self.epochs[&id];
            self.cluster.publish(vec![UnfenceBrokerRecord { id, epoch }.into()]);
            self.cluster.settle();
        }
    }

    fn fence(&mut self, id: i32) {
        self.cluster.publish(vec![FenceBrokerRecord { id, epoch: self.epochs[&id] }.into()]);
        let isr: Vec<i32> =
            self.cluster.registration().isr.iter().copied().filter(|member| *member != id).collect();
        if !isr.is_empty() && self.cluster.registration().isr.contains(&id) {
            let leader = self.cluster.registration().leader;
            let next = if leader == id { isr[0] } else { leader };
            self.cluster.elect(next, &isr);
        }
    }

    fn start(&mut self, id: i32) {
        if self.cluster.brokers.contains_key(&id) {
            return;
        }
        let epoch = self.epochs.entry(id).or_default();
        *epoch += 1;
        self.cluster.publish(vec![registration(id, *epoch)]);
        self.cluster.start(id);
        // Its leadership begins anew, if it was the last.
        if self.cluster.registration().leader == id {
            self.cluster.elect(id, &self.cluster.registration().isr.clone());
        }
    }

    /// Another one of those in sync leads.
    fn elect(&mut self) {
        let isr = self.cluster.registration().isr.clone();
        let alive: Vec<i32> =
            isr.iter().copied().filter(|id| self.cluster.brokers.contains_key(id)).collect();
        let at = usize::try_from(self.rng.below(alive.len() as u64)).unwrap();
        if let Some(leader) = alive.get(at) {
            self.cluster.elect(*leader, &isr);
        }
    }

    /// Everything heals, and everybody has the same.
    fn end(mut self) {
        self.cluster.cut.clear();
        self.cluster.rounds = None;
        for id in 1..=3 {
            self.tell(id);
        }
        (1..=3).for_each(|id| self.start(id));
        self.cluster.advance(90_000);
        self.take_answers();
        assert_eq!(self.cluster.registration().isr.len(), 3);
        self.cluster.produce(self.cluster.registration().leader, -1, 10);
        self.cluster.advance(2_000);
        self.cluster.assert_identical();
        let (end, high_watermark) = self.cluster.ends(1);
        assert_eq!(end, high_watermark);
        let bytes = Bytes::from(self.cluster.bytes(1));
        let sizes = sizes(&bytes);
        for (offset, size) in self.acknowledged.iter().chain(&self.seen) {
            assert_eq!(sizes.get(offset), Some(size), "offset {offset}");
        }
    }
}

/// The records of a log, each of another size, by their offsets.
fn sizes(bytes: &Bytes) -> BTreeMap<i64, usize> {
    let size = |batch: Batch| {
        let value = batch.records(&Compressors::default()).unwrap().next().unwrap().unwrap().value;
        (batch.header().base_offset, value.unwrap().len())
    };
    batches(bytes).map(|batch| size(batch.unwrap())).collect()
}

/// Lives through a seed; how many appends were acknowledged by all, or that something went wrong.
fn live(seed: u64, planted: Planted) -> Result<usize, Box<dyn std::any::Any + Send>> {
    std::panic::catch_unwind(|| {
        let mut run = Run::new(seed, planted);
        (0..STEPS).for_each(|_| run.step());
        let count = run.acknowledged.len();
        run.end();
        count
    })
}

#[test]
fn what_all_have_acknowledged_is_there_for_good() {
    let mut acknowledged = 0;
    for seed in 0..SEEDS {
        match live(seed, Planted::default()) {
            Ok(count) => acknowledged += count,
            Err(cause) => {
                eprintln!("seed {seed}");
                std::panic::resume_unwind(cause);
            }
        }
    }
    assert!(acknowledged > 500, "{acknowledged}");
}

#[test]
fn planted_bugs_are_found() {
    if !Mutation::AVAILABLE {
        return;
    }
    for mutation in Mutation::REPLICAS.iter().copied() {
        let planted = Planted::new(Some(mutation));
        assert!((0..1_000).any(|seed| live(seed, planted).is_err()), "{mutation:?}");
    }
}
