//! Runs seeds of any kind of world, and sums up what they have shown.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ottla_core::sim::cluster::{Trim, shrink};
use ottla_core::sim::mutation::Mutation;

/// Runs this short need not exercise every checker.
const SEEDS_FOR_ALL_CHECKERS: u64 = 20;
/// Runs this short need not inject every kind of fault.
const SEEDS_FOR_ALL_FAULTS: u64 = 100;
/// Seconds between two lines of progress.
const PROGRESS_S: u64 = 10;
/// Failed seeds that are told in full.
const FAILURES_TOLD: u64 = 20;
/// Failed seeds that are made small.
const FAILURES_SHRUNK: u64 = 3;
/// Broken promises of a seed that are told.
const VIOLATIONS_TOLD: usize = 4;

/// A kind of world.
pub struct Kind {
    /// What the worlds are called.
    pub name: &'static str,
    /// The words that ask for it on the command line.
    pub option: &'static str,
    /// What may be done to them.
    pub faults: Vec<String>,
    /// What is promised of them.
    pub checkers: Vec<String>,
    /// The bugs that show in them.
    pub mutations: &'static [Mutation],
    /// Seeds that a planted bug has to show itself in.
    pub seeds_per_mutation: u64,
    /// Runs a seed.
    pub run: fn(u64, Option<Mutation>, Trim) -> Shown,
    /// Whether its runs can be trimmed.
    pub is_trimmed: bool,
}

/// What a seed has shown.
#[derive(Default)]
pub struct Shown {
    /// A digest of everything that happened.
    pub hash: u64,
    /// How often what was done.
    pub faults: BTreeMap<String, u64>,
    /// How often each checker had something to check.
    pub exercised: BTreeMap<String, u64>,
    /// What else is counted, always the same in the same order.
    pub counts: Vec<(&'static str, u64)>,
    /// The checkers that found a promise broken, and what they say.
    pub violations: Vec<(String, String)>,
    /// What happened last, where a promise was broken.
    pub journal: Vec<String>,
}

/// Counts by name.
pub fn named<T: std::fmt::Debug>(counts: &BTreeMap<T, u64>) -> BTreeMap<String, u64> {
    counts.iter().map(|(what, count)| (format!("{what:?}"), *count)).collect()
}

/// What all runs together have shown.
#[derive(Default)]
struct Sum {
    all: Shown,
    done: u64,
    failed: u64,
    slowest: (f64, u64),
}

impl Sum {
    fn add(&mut self, kind: &Kind, seed: u64, shown: Shown, seconds: f64, is_alone: bool) {
        self.done += 1;
        shown.faults.into_iter().for_each(|(it, count)| *self.all.faults.entry(it).or_default() += count);
        for (checker, count) in shown.exercised {
            *self.all.exercised.entry(checker).or_default() += count;
        }
        self.all.counts.resize(shown.counts.len().max(self.all.counts.len()), ("", 0));
        for (sum, (what, count)) in self.all.counts.iter_mut().zip(shown.counts) {
            *sum = (what, sum.1 + count);
        }
        // The same in whatever order the seeds end.
        self.all.hash = self.all.hash.wrapping_add(shown.hash);
        if seconds > self.slowest.0 {
            self.slowest = (seconds, seed);
        }
        if shown.violations.is_empty() {
            return;
        }
        self.failed += 1;
        if self.failed > FAILURES_TOLD {
            return;
        }
        println!("seed {seed} breaks a promise");
        for (checker, sentence) in shown.violations.iter().take(VIOLATIONS_TOLD) {
            println!("    {checker}: {sentence}");
        }
        if shown.violations.len() > VIOLATIONS_TOLD {
            println!("    and {} more", shown.violations.len() - VIOLATIONS_TOLD);
        }
        if is_alone {
            shown.journal.iter().for_each(|line| println!("    {line}"));
        }
        println!("    repeat it: cargo xtask sim {}--seed {seed}", kind.option);
        if kind.is_trimmed && !is_alone && self.failed <= FAILURES_SHRUNK {
            let checker = &shown.violations[0].0;
            let fails =
                |trim| run_guarded(kind, seed, None, trim).violations.iter().any(|(it, _)| it == checker);
            let Trim { steps, without } = shrink(fails);
            println!(
                "    the least that shows it: cargo xtask sim {}--seed {seed} --steps {steps} --without {without:x}",
                kind.option
            );
        }
    }

    fn print(&self, kind: &Kind) {
        let of = |counts: &BTreeMap<String, u64>, what: &str| counts.get(what).copied().unwrap_or(0);
        println!("what was done to {} {}:", self.done, kind.name);
        for fault in &kind.faults {
            println!("  {fault:<30} {:>12}", of(&self.all.faults, fault));
        }
        for (what, count) in &self.all.counts {
            println!("  {what:<30} {count:>12}");
        }
        println!("what was checked how often:");
        for checker in &kind.checkers {
            println!("  {checker:<30} {:>12}", of(&self.all.exercised, checker));
        }
    }
}

/// Runs seeds. True if every promise was kept, every kind of fault was injected and every checker had something to check.
pub fn seeds(kind: &Kind, from: u64, seeds: u64, trim: Trim) -> bool {
    let started = Instant::now();
    let sum = Mutex::new(Sum::default());
    let told = AtomicU64::new(0);
    each(from..from + seeds, |seed| {
        let began = Instant::now();
        let shown = run_guarded(kind, seed, None, trim);
        let mut sum = sum.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        sum.add(kind, seed, shown, began.elapsed().as_secs_f64(), seeds == 1);
        let elapsed = started.elapsed().as_secs();
        if told.load(Ordering::Relaxed) + PROGRESS_S <= elapsed {
            told.store(elapsed, Ordering::Relaxed);
            println!("{} of {seeds} seeds, {} failed, {elapsed} s", sum.done, sum.failed);
        }
    });
    let sum = sum.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    sum.print(kind);
    let (seconds, slowest) = (started.elapsed().as_secs_f64(), sum.slowest);
    println!(
        "{} {} from seed {from} on, {} failed, hash {:016x}, {seconds:.1} s (the slowest, {}: {:.2} s)",
        sum.done, kind.name, sum.failed, sum.all.hash, slowest.1, slowest.0
    );
    let is_never = |counts: &BTreeMap<String, u64>, all: &[String]| -> Vec<String> {
        all.iter().filter(|what| !counts.contains_key(*what)).cloned().collect()
    };
    let missing = is_never(&sum.all.faults, &kind.faults);
    if seeds >= SEEDS_FOR_ALL_FAULTS && !missing.is_empty() {
        println!("never injected: {missing:?}");
        return false;
    }
    let idle = is_never(&sum.all.exercised, &kind.checkers);
    if seeds >= SEEDS_FOR_ALL_CHECKERS && !idle.is_empty() {
        println!("never had anything to check: {idle:?}");
        return false;
    }
    sum.failed == 0
}

/// Every planted bug shows itself.
pub fn mutations(kinds: &[Kind], from: u64) -> bool {
    // What a planted bug makes of a node may well be a panic: it is told as what caught it.
    std::panic::set_hook(Box::new(|_| {}));
    let started = Instant::now();
    let missed = AtomicU64::new(0);
    let all: Vec<(&Kind, Mutation)> =
        kinds.iter().flat_map(|kind| kind.mutations.iter().map(move |mutation| (kind, *mutation))).collect();
    each(0..all.len() as u64, |index| {
        let (kind, mutation) = all[index as usize];
        let name = format!("{mutation:?}");
        let caught = (from..from + kind.seeds_per_mutation).find_map(|seed| {
            let (checker, sentence) =
                run_guarded(kind, seed, Some(mutation), Trim::default()).violations.into_iter().next()?;
            Some((seed, checker, sentence))
        });
        match caught {
            Some((seed, checker, sentence)) => {
                let sentence: String = sentence.chars().take(100).collect();
                println!("{name:<30} seed {seed:>4}, by {checker:<22} {sentence}");
            }
            None => {
                println!("{name:<30} NOT CAUGHT in {} seeds from {from} on", kind.seeds_per_mutation);
                missed.fetch_add(1, Ordering::Relaxed);
            }
        }
        _ = std::io::stdout().flush();
    });
    let (missed, seconds) = (missed.into_inner(), started.elapsed().as_secs_f64());
    println!("{} of {} planted bugs caught, {seconds:.1} s", all.len() as u64 - missed, all.len());
    missed == 0
}

/// A broken invariant panics: that is a broken promise too.
fn run_guarded(kind: &Kind, seed: u64, mutation: Option<Mutation>, trim: Trim) -> Shown {
    std::panic::catch_unwind(|| (kind.run)(seed, mutation, trim)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        Shown { violations: vec![("Panic".to_owned(), text.to_owned())], ..Shown::default() }
    })
}

/// Does something with every number, on as many threads as there are processors.
fn each(numbers: std::ops::Range<u64>, act: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(numbers.start);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= numbers.end {
                        return;
                    }
                    act(number);
                }
            });
        }
    });
}
