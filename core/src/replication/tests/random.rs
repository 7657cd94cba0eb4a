//! Whatever happens to three brokers, what was acknowledged by all is there, once, on all of them.

use std::collections::BTreeMap;

use ottla_protocol::records::metadata::FenceBrokerRecord;

use super::cluster::{Cluster, registration};
use crate::rng::Rng;

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
    next_size: usize,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::from_seed(seed);
        let min_isr = 1 + i32::try_from(rng.below(2)).unwrap();
        let syncs = rng.chance(1, 4);
        let cluster = Cluster::new(|config| {
            config.topic_defaults.min_insync_replicas = min_isr;
            config.topic_defaults.segment_bytes = 600;
            if syncs {
                config.ottla_log_sync = "batch".to_owned();
            }
        });
        let epochs = (1..=3).map(|id| (id, 10)).collect();
        let (under_way, acknowledged) = (BTreeMap::new(), BTreeMap::new());
        Self { cluster, rng, epochs, under_way, acknowledged, next_size: 10 }
    }

    fn one(&mut self) -> i32 {
        1 + i32::try_from(self.rng.below(3)).unwrap()
    }

    fn step(&mut self) {
        let (one, other) = (self.one(), self.one());
        match self.rng.below(20) {
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

    fn produce(&mut self) {
        let leader = self.cluster.registration().leader;
        if !self.cluster.brokers.contains_key(&leader) {
            return;
        }
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

    /// A process dies, and the controller notices.
    fn kill(&mut self, id: i32) {
        if !self.cluster.brokers.contains_key(&id) {
            return;
        }
        self.cluster.kill(id);
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
        (1..=3).for_each(|id| self.start(id));
        self.cluster.advance(90_000);
        self.take_answers();
        assert_eq!(self.cluster.registration().isr.len(), 3);
        self.cluster.produce(self.cluster.registration().leader, -1, 10);
        self.cluster.advance(2_000);
        self.cluster.assert_identical();
        let (end, high_watermark) = self.cluster.ends(1);
        assert_eq!(end, high_watermark);
        let bytes = bytes::Bytes::from(self.cluster.bytes(1));
        let mut sizes = BTreeMap::new();
        for batch in crate::record::batches(&bytes) {
            let batch = batch.unwrap();
            let value = batch.records(&Default::default()).unwrap().next().unwrap().unwrap().value;
            sizes.insert(batch.header().base_offset, value.unwrap().len());
        }
        for (offset, size) in &self.acknowledged {
            assert_eq!(sizes.get(offset), Some(size), "offset {offset}");
        }
    }
}

#[test]
fn what_all_have_acknowledged_is_there_for_good() {
    let mut acknowledged = 0;
    for seed in 0..SEEDS {
        let outcome = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed);
            (0..STEPS).for_each(|_| run.step());
            let count = run.acknowledged.len();
            run.end();
            count
        });
        match outcome {
            Ok(count) => acknowledged += count,
            Err(cause) => {
                eprintln!("seed {seed}");
                std::panic::resume_unwind(cause);
            }
        }
    }
    assert!(acknowledged > 500, "{acknowledged}");
}
