//! The one thread that wakes others: timers, and work that a driving thread must not keep to itself.
//!
//! A worker of the runtime that wakes a task keeps that task in a place that no other worker takes from, and runs it when its
//! present one ends. If its present one goes on to drive a machine that stalls on a disk, the task stalls with it. So wakes
//! from driving threads come through here: from a thread that is no worker they enter the queue of all.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Notify;

/// What the dispatcher can start.
pub trait Work: Send + Sync {
    /// Asked on the dispatcher's own thread, which it must not keep: whether there is anything to do by now.
    fn is_needed(&self) -> bool {
        true
    }

    /// Does it, on a worker of the runtime.
    fn run(self: Arc<Self>);
}

/// A handle on the dispatcher's thread, which ends with its last handle.
#[derive(Clone)]
pub struct Dispatcher {
    shared: Arc<Shared>,
}

struct Shared {
    jobs: Mutex<Jobs>,
    arrived: Condvar,
}

#[derive(Default)]
struct Jobs {
    wakes: Vec<Arc<Notify>>,
    work: Vec<Arc<dyn Work>>,
    timers: BinaryHeap<Timer>,
    timers_made: u64,
    ended: bool,
}

struct Timer {
    /// When; then the order in which they were set.
    key: Reverse<(Instant, u64)>,
    work: Arc<dyn Work>,
}

impl Dispatcher {
    /// Starts the thread; work runs on `runtime`.
    pub fn start(runtime: Handle) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { jobs: Mutex::default(), arrived: Condvar::new() });
        let weak = Arc::downgrade(&shared);
        std::thread::Builder::new().name("ottla-dispatch".into()).spawn(move || {
            while let Some(shared) = weak.upgrade() {
                if !shared.turn(&runtime) {
                    break;
                }
            }
        })?;
        Ok(Self { shared })
    }

    /// Wakes the task that waits.
    pub fn wake(&self, waiting: Arc<Notify>) {
        self.shared.add(|jobs| {
            jobs.wakes.push(waiting);
            true
        });
    }

    /// Runs `work` soon, on whichever worker is free.
    pub fn run(&self, work: Arc<dyn Work>) {
        self.shared.add(|jobs| {
            jobs.work.push(work);
            true
        });
    }

    /// Runs `work` at `at`, never before.
    pub fn run_at(&self, at: Instant, work: Arc<dyn Work>) {
        self.shared.add(|jobs| {
            jobs.timers_made += 1;
            let is_next = jobs.timers.peek().is_none_or(|next| at < next.key.0.0);
            jobs.timers.push(Timer { key: Reverse((at, jobs.timers_made)), work });
            is_next
        });
    }

    /// Ends the thread; what has not started never will.
    pub fn end(&self) {
        self.shared.add(|jobs| {
            jobs.ended = true;
            true
        });
    }
}

impl Shared {
    /// How long the thread sleeps before it looks whether anybody still has a handle.
    const PATIENCE: Duration = Duration::from_secs(1);

    fn add(&self, add: impl FnOnce(&mut Jobs) -> bool) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = add(&mut jobs);
        drop(jobs);
        if is_news {
            self.arrived.notify_one();
        }
    }

    /// Waits for jobs or the next timer, once, and starts what is due. `false` at the end.
    fn turn(&self, runtime: &Handle) -> bool {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.wakes.is_empty() && jobs.work.is_empty() && !jobs.ended {
            let until =
                jobs.timers.peek().map(|timer| timer.key.0.0.saturating_duration_since(Instant::now()));
            let wait = until.unwrap_or(Self::PATIENCE).min(Self::PATIENCE);
            if !wait.is_zero() {
                jobs = self.arrived.wait_timeout(jobs, wait).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        if jobs.ended {
            *jobs = Jobs { ended: true, ..Jobs::default() };
            return false;
        }
        let wakes = std::mem::take(&mut jobs.wakes);
        let mut work = std::mem::take(&mut jobs.work);
        if !jobs.timers.is_empty() {
            let now = Instant::now();
            while jobs.timers.peek().is_some_and(|timer| timer.key.0.0 <= now) {
                work.extend(jobs.timers.pop().map(|timer| timer.work));
            }
        }
        drop(jobs);
        for waiting in wakes {
            waiting.notify_one();
        }
        for work in work.into_iter().filter(|work| work.is_needed()) {
            runtime.spawn(async move { work.run() });
        }
        true
    }
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dispatcher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    struct Say(&'static str, mpsc::Sender<(&'static str, Instant)>);

    impl Work for Say {
        fn run(self: Arc<Self>) {
            let _ = self.1.send((self.0, Instant::now()));
        }
    }

    #[test]
    fn timers_fire_in_order_and_never_early() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
        let dispatcher = Dispatcher::start(runtime.handle().clone()).expect("a thread");
        let (sender, said) = mpsc::channel();
        let begin = Instant::now();
        let say = |word| Arc::new(Say(word, sender.clone()));
        dispatcher.run_at(begin + Duration::from_millis(60), say("late"));
        dispatcher.run_at(begin + Duration::from_millis(30), say("early"));
        dispatcher.run(say("now"));
        let words: Vec<_> = said.iter().take(3).collect();
        assert_eq!(words.iter().map(|word| word.0).collect::<Vec<_>>(), ["now", "early", "late"]);
        assert!(words[1].1 >= begin + Duration::from_millis(30));
        assert!(words[2].1 >= begin + Duration::from_millis(60));
        dispatcher.end();
    }
}
