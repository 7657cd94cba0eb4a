//! Making files durable, off everybody's path.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ottla_core::broker::node;
use ottla_core::log::StoreError;
use ottla_core::machine::{SyncCompletion, SyncOutcome, SyncTarget};
use tokio::runtime::Handle;

use super::Driver;
use super::ready::Ready;
use crate::store::{Durable, File};

/// One lane of syncs: while the device is busy with some, those that come meanwhile are grouped, and a file that several ask for
/// is synced once.
#[derive(Debug)]
pub(super) struct Syncer<S: Durable> {
    runtime: Handle,
    state: Mutex<State<S>>,
}

#[derive(Debug)]
struct State<S: Durable> {
    waiting: Vec<(Vec<SyncTarget<S>>, SyncCompletion)>,
    is_running: bool,
}

impl<S: Durable> Syncer<S> {
    pub(super) fn new(runtime: Handle) -> Self {
        Self { runtime, state: Mutex::new(State { waiting: Vec::new(), is_running: false }) }
    }

    /// Queues a sync; its completion goes to `driver`.
    pub(super) fn add(&self, targets: Vec<SyncTarget<S>>, then: SyncCompletion, driver: Arc<Driver<S>>) {
        let mut state = self.state();
        state.waiting.push((targets, then));
        if !std::mem::replace(&mut state.is_running, true) {
            self.runtime.spawn_blocking(move || driver.syncer(then.waiter).work(&driver));
        }
    }

    /// Syncs group after group until none waits.
    fn work(&self, driver: &Arc<Driver<S>>) {
        loop {
            let group = {
                let mut state = self.state();
                if state.waiting.is_empty() {
                    state.is_running = false;
                    return;
                }
                std::mem::take(&mut state.waiting)
            };
            let outcomes = sync_all(&driver.store, &group);
            let mut ready = Ready::default();
            for ((_, then), outcome) in group.iter().zip(outcomes) {
                driver.post(node::synced(*then, outcome), &mut ready);
            }
            driver.run(ready);
        }
    }

    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Threads that sync at once: the file system commits them together.
const AT_ONCE_MAX: usize = 8;

/// Files first, then directories: an entry is not to be durable before what it names.
pub(super) fn sync_all<S: Durable>(
    store: &S,
    group: &[(Vec<SyncTarget<S>>, SyncCompletion)],
) -> Vec<SyncOutcome> {
    let mut files: Vec<&File> = Vec::new();
    let (mut directories, mut trees): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for target in group.iter().flat_map(|(targets, _)| targets) {
        match target {
            SyncTarget::File(file) => files.push(file),
            SyncTarget::Directory(path) => directories.push(path),
            SyncTarget::Tree(path) => trees.push(path),
        }
    }
    files.sort_unstable_by_key(|file| file.key());
    files.dedup_by_key(|file| file.key());
    for paths in [&mut directories, &mut trees] {
        paths.sort_unstable();
        paths.dedup();
    }
    let of_trees = each(&trees, |path| outcome(store.sync_tree(path)));
    let of_files = each(&files, |file| outcome(store.sync_file(file)));
    let of_directories = each(&directories, |path| outcome(store.sync_directory(path)));
    let of = |target: &SyncTarget<S>| match target {
        SyncTarget::File(file) => {
            let at = files.binary_search_by_key(&file.key(), |file| file.key()).ok()?;
            of_files.get(at)
        }
        SyncTarget::Directory(path) => of_directories.get(directories.binary_search(&path.as_str()).ok()?),
        SyncTarget::Tree(path) => of_trees.get(trees.binary_search(&path.as_str()).ok()?),
    };
    let of_all = |targets: &[SyncTarget<S>]| {
        let failed = targets.iter().filter_map(of).find(|outcome| **outcome != SyncOutcome::Done);
        failed.cloned().unwrap_or(SyncOutcome::Done)
    };
    group.iter().map(|(targets, _)| of_all(targets)).collect()
}

/// Syncs all of them, several at a time, and returns the outcomes in order.
fn each<T: Sync>(targets: &[T], sync: impl Fn(&T) -> SyncOutcome + Sync) -> Vec<SyncOutcome> {
    let per_thread = targets.len().div_ceil(AT_ONCE_MAX).max(1);
    if targets.len() <= 2 {
        return targets.iter().map(sync).collect();
    }
    std::thread::scope(|scope| {
        let sync = &sync;
        let threads: Vec<_> = targets
            .chunks(per_thread)
            .map(|part| (part.len(), scope.spawn(move || part.iter().map(sync).collect::<Vec<_>>())))
            .collect();
        let failed = |len| vec![SyncOutcome::Failed("a sync panicked".to_owned()); len];
        threads.into_iter().flat_map(|(len, thread)| thread.join().unwrap_or_else(|_| failed(len))).collect()
    })
}

fn outcome(synced: Result<(), StoreError>) -> SyncOutcome {
    match synced {
        // A file that was removed meanwhile needs no durability any more.
        Ok(()) | Err(StoreError::NotFound) => SyncOutcome::Done,
        Err(error) => SyncOutcome::Failed(error.to_string()),
    }
}
