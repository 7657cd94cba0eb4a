//! What machines have measured, on its way to those who ask.

use std::sync::{Mutex, PoisonError};

use ottla_core::broker::ShardEvent;
use ottla_core::metrics::{Answered, Facts, Measured, RequestMeters, exposition};
use tokio::sync::oneshot;

use super::Driver;
use super::ready::{Ready, Storage};
use crate::metrics::{Metered, Process};
use crate::store::Durable;

/// Threads that count requests at a time without waiting for each other, mostly.
const COUNTERS: usize = 8;

/// What has been counted, and answers that are being collected.
#[derive(Debug, Default)]
pub(super) struct Meters {
    requests: [Mutex<RequestMeters>; COUNTERS],
    asked: Mutex<Vec<Asked>>,
}

#[derive(Debug)]
struct Asked {
    answers: Vec<Measured>,
    shards: usize,
    to: oneshot::Sender<Vec<Measured>>,
}

impl Meters {
    fn ask(&self, shards: usize) -> oneshot::Receiver<Vec<Measured>> {
        let (to, answer) = oneshot::channel();
        self.asked().push(Asked { answers: Vec::new(), shards, to });
        answer
    }

    /// A client's request is over.
    pub(super) fn answered(&self, client: u64, answered: &Answered) {
        let counter = &self.requests[(client % COUNTERS as u64) as usize];
        counter.lock().unwrap_or_else(PoisonError::into_inner).answered(answered);
    }

    fn requests(&self) -> RequestMeters {
        let mut all = RequestMeters::default();
        for counter in &self.requests {
            all.add(&counter.lock().unwrap_or_else(PoisonError::into_inner));
        }
        all
    }

    /// A shard answered one who has not heard from it yet.
    pub(super) fn measured(&self, measured: Measured) {
        let mut asked = self.asked();
        asked.retain(|one| !one.to.is_closed());
        let waits = |one: &Asked| one.answers.iter().all(|answer| answer.shard != measured.shard);
        let Some(position) = asked.iter().position(waits) else { return };
        asked[position].answers.push(measured);
        if asked[position].answers.len() == asked[position].shards {
            let Asked { answers, to, .. } = asked.remove(position);
            // Who asked may have lost patience.
            let _ = to.send(answers);
        }
    }

    fn asked(&self) -> std::sync::MutexGuard<'_, Vec<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Durable> Metered for Driver<S> {
    fn measure(&self) -> oneshot::Receiver<Vec<Measured>> {
        let answer = self.meters.ask(self.shards.len());
        let mut ready = Ready::default();
        for (index, slot) in self.shards.iter().enumerate() {
            if slot.mailbox.post(ShardEvent::Measure) {
                ready.storage(Storage::Shard(index));
            }
        }
        self.run(ready);
        answer
    }

    fn is_ready(&self) -> bool {
        let published = self.published();
        let leaves =
            published.image.broker(self.config.node_id).is_some_and(|broker| broker.in_controlled_shutdown);
        !self.config.process_roles.broker || self.identity.is_let_in(&published.image) && !leaves
    }

    fn exposition(&self, shards: &[Measured], process: &Process) -> String {
        let (published, requests) = (self.published(), self.meters.requests());
        let facts = Facts {
            node_id: self.config.node_id,
            published: &published,
            requests: &requests,
            connections: self.connected(),
            cpu_seconds: process.cpu_seconds,
            resident_bytes: process.resident_bytes,
            open_files: process.open_files,
            started_at: process.started_at,
            version: crate::VERSION,
        };
        exposition(facts, shards)
    }
}
