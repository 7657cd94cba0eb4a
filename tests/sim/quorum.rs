//! Seeds of quorums: the same options, other worlds.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use ottla_core::sim::mutation::Mutation;
use ottla_core::sim::quorum::{Checker, Counts, Fault, Report, run};

use super::{FAILURES_TOLD, Options, SEEDS_FOR_ALL_CHECKERS, SEEDS_FOR_ALL_FAULTS, VIOLATIONS_TOLD, each};

/// Seeds that a planted bug has to show itself in.
const SEEDS_PER_MUTATION: u64 = 1_000;

#[derive(Default)]
struct Sum {
    done: u64,
    failed: u64,
    faults: BTreeMap<Fault, u64>,
    exercised: BTreeMap<Checker, u64>,
    counts: Counts,
    hash: u64,
    slowest: (f64, u64),
}

impl Sum {
    fn add(&mut self, report: &Report, seconds: f64, is_alone: bool) {
        self.done += 1;
        report.faults.iter().for_each(|(fault, count)| *self.faults.entry(*fault).or_default() += count);
        for (checker, count) in &report.exercised {
            *self.exercised.entry(*checker).or_default() += count;
        }
        self.counts += report.counts;
        // The same in whatever order the seeds end.
        self.hash = self.hash.wrapping_add(report.hash);
        if seconds > self.slowest.0 {
            self.slowest = (seconds, report.seed);
        }
        if !report.violations.is_empty() {
            self.failed += 1;
            if self.failed <= FAILURES_TOLD {
                println!("seed {} breaks a promise", report.seed);
                for (checker, sentence) in report.violations.iter().take(VIOLATIONS_TOLD) {
                    println!("    {checker:?}: {sentence}");
                }
                if is_alone {
                    report.journal.iter().for_each(|line| println!("    {line}"));
                }
                println!("    repeat it: cargo xtask sim --quorum --seed {}", report.seed);
            }
        }
    }

    fn print(&self) {
        println!("what was done to {} quorums:", self.done);
        for fault in Fault::all() {
            let count = self.faults.get(&fault).copied().unwrap_or(0);
            println!("  {:<30} {count:>12}", format!("{fault:?}"));
        }
        let counts = self.counts;
        for (what, count) in [
            ("events", counts.events),
            ("messages sent", counts.messages),
            ("messages lost", counts.lost),
            ("messages repeated", counts.repeated),
            ("syncs", counts.syncs),
            ("elections", counts.elections),
            ("snapshots taken", counts.snapshots),
            ("snapshots installed", counts.installed),
            ("voters added", counts.voters_added),
            ("voters removed", counts.voters_removed),
            ("files a power loss changed", counts.losses.files),
            ("names a power loss undid", counts.losses.entries),
        ] {
            println!("  {what:<30} {count:>12}");
        }
        println!("what was checked how often:");
        for checker in Checker::ALL {
            let count = self.exercised.get(&checker).copied().unwrap_or(0);
            println!("  {:<30} {count:>12}", format!("{checker:?}"));
        }
    }
}

/// Runs seeds. True if every promise was kept, and every checker had something to check.
pub fn seeds(options: &Options) -> bool {
    let started = Instant::now();
    let sum = Mutex::new(Sum::default());
    each(options.from..options.from + options.seeds, |seed| {
        let began = Instant::now();
        let report = run_guarded(seed, None);
        let mut sum = sum.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        sum.add(&report, began.elapsed().as_secs_f64(), options.seeds == 1);
    });
    let sum = sum.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    sum.print();
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{} quorums from {} on, {} failed, hash {:016x}, {seconds:.1} s (the slowest, {}: {:.2} s)",
        sum.done, options.from, sum.failed, sum.hash, sum.slowest.1, sum.slowest.0
    );
    let idle: Vec<Checker> =
        Checker::ALL.into_iter().filter(|checker| !sum.exercised.contains_key(checker)).collect();
    let missing: Vec<Fault> =
        Fault::all().into_iter().filter(|fault| !sum.faults.contains_key(fault)).collect();
    if options.seeds >= SEEDS_FOR_ALL_FAULTS && !missing.is_empty() {
        println!("never injected: {missing:?}");
        return false;
    }
    if options.seeds >= SEEDS_FOR_ALL_CHECKERS && !idle.is_empty() {
        println!("never had anything to check: {idle:?}");
        return false;
    }
    sum.failed == 0
}

/// A broken invariant panics: that is a broken promise too.
fn run_guarded(seed: u64, mutation: Option<Mutation>) -> Report {
    std::panic::catch_unwind(|| run(seed, mutation)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        Report { seed, violations: vec![(Checker::NobodyFails, text.to_owned())], ..Report::default() }
    })
}

/// The first seed in which a planted bug shows itself, what caught it, and the sentence.
pub fn caught(mutation: Mutation, from: u64) -> Option<(u64, String, String)> {
    (from..from + SEEDS_PER_MUTATION).find_map(|seed| {
        let (checker, sentence) = run_guarded(seed, Some(mutation)).violations.into_iter().next()?;
        Some((seed, format!("{checker:?}"), sentence))
    })
}
