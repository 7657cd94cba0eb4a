//! Seeds of single logs: the same options, smaller worlds.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use ottla_core::sim::mutation::Mutation;
use ottla_core::sim::one_log::{LogChecker, LogFault, LogReport, run};

use super::{FAILURES_TOLD, Options, SEEDS_FOR_ALL_CHECKERS, VIOLATIONS_TOLD, each};

/// Seeds that a planted bug has to show itself in.
const SEEDS_PER_MUTATION: u64 = 1_000;

/// Runs seeds; true when no promise was broken and every checker had something to check.
pub fn seeds(options: &Options) -> bool {
    let started = Instant::now();
    let mut faults: BTreeMap<LogFault, u64> = BTreeMap::new();
    let mut exercised: BTreeMap<LogChecker, u64> = BTreeMap::new();
    let (mut failed, mut hash) = (0_u64, 0_u64);
    let reports = Mutex::new(Vec::new());
    each(options.from..options.from + options.seeds, |seed| {
        let report = run_guarded(seed, None);
        reports.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(report);
    });
    let mut reports = reports.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    reports.sort_unstable_by_key(|report| report.seed);
    for report in reports {
        report.faults.into_iter().for_each(|(fault, count)| *faults.entry(fault).or_default() += count);
        report.exercised.into_iter().for_each(|(it, count)| *exercised.entry(it).or_default() += count);
        hash = hash.wrapping_add(report.hash);
        failed += u64::from(!report.violations.is_empty());
        if !report.violations.is_empty() && failed <= FAILURES_TOLD {
            println!("seed {} breaks a promise", report.seed);
            for (checker, sentence) in report.violations.iter().take(VIOLATIONS_TOLD) {
                println!("    {checker:?}: {sentence}");
            }
            println!("    repeat it: cargo xtask sim --log --seed {}", report.seed);
        }
    }
    println!("what was done to {} logs:", options.seeds);
    for (fault, count) in &faults {
        println!("  {:<28} {count:>12}", format!("{fault:?}"));
    }
    println!("what was checked how often:");
    for checker in LogChecker::ALL {
        let count = exercised.get(&checker).copied().unwrap_or(0);
        println!("  {:<28} {count:>12}", format!("{checker:?}"));
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{} seeds from {} on, {failed} failed, hash {hash:016x}, {seconds:.1} s",
        options.seeds, options.from
    );
    failed == 0 && (options.seeds < SEEDS_FOR_ALL_CHECKERS || exercised.len() == LogChecker::ALL.len())
}

fn run_guarded(seed: u64, mutation: Option<Mutation>) -> LogReport {
    std::panic::catch_unwind(|| run(seed, mutation)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        LogReport { seed, violations: vec![(LogChecker::Opens, text.to_owned())], ..LogReport::default() }
    })
}

/// What catches a bug that is planted in a log: the seed, the checker and what it said.
pub fn caught(mutation: Mutation, from: u64) -> Option<(u64, String, String)> {
    (from..from + SEEDS_PER_MUTATION).find_map(|seed| {
        let (checker, sentence) = run_guarded(seed, Some(mutation)).violations.into_iter().next()?;
        Some((seed, format!("{checker:?}"), sentence))
    })
}
