//! Runs seeds of the simulator: `cargo xtask sim --seeds N [--seed S] [--mutations]`.
//!
//! Prints what was done to the worlds and how often each checker had something to check. A seed that breaks a promise is named,
//! with the command that repeats it; a checker that never had anything to check fails the run.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ottla_core::sim::checkers::Checker;
use ottla_core::sim::mutation::Mutation;
use ottla_core::sim::scenario::{Fault, Report, run};

/// Runs this short need not exercise every checker.
const SEEDS_FOR_ALL_CHECKERS: u64 = 20;
/// Seeds that a planted bug has to show itself in.
const SEEDS_PER_MUTATION: u64 = 60;

struct Options {
    seeds: u64,
    seed: Option<u64>,
    mutations: bool,
}

fn options() -> Result<Options, String> {
    let mut options = Options { seeds: 40, seed: None, mutations: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || {
            let word = words.next().ok_or("a number is missing")?;
            word.parse::<u64>().map_err(|error| format!("{word}: {error}"))
        };
        match word.as_str() {
            "--seeds" => options.seeds = number()?,
            "--seed" => options.seed = Some(number()?),
            "--mutations" => options.mutations = true,
            other => return Err(format!("no option `{other}`")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(reason) => {
            eprintln!("sim: {reason}\nsim [--seeds N] [--seed S] [--mutations]");
            return ExitCode::FAILURE;
        }
    };
    if options.mutations {
        return mutations();
    }
    let first = options.seed.unwrap_or(0);
    let count = if options.seed.is_some() { 1 } else { options.seeds };
    let started = Instant::now();
    let reports = run_all(first, count);
    let mut faults: BTreeMap<Fault, u64> = BTreeMap::new();
    let mut exercised: BTreeMap<Checker, u64> = BTreeMap::new();
    let mut failed = 0;
    for report in &reports {
        report.faults.iter().for_each(|(fault, count)| *faults.entry(*fault).or_default() += count);
        report.exercised.iter().for_each(|(checker, count)| *exercised.entry(*checker).or_default() += count);
        if !report.violations.is_empty() {
            failed += 1;
            println!("seed {} breaks {:?}", report.seed, report.violations);
            println!("    repeat it: cargo xtask sim --seed {}", report.seed);
        }
    }
    for (fault, count) in &faults {
        println!("{:<24} {count:>10}", format!("{fault:?}"));
    }
    let mut idle = Vec::new();
    for checker in Checker::ALL {
        let count = exercised.get(&checker).copied().unwrap_or(0);
        println!("{:<24} {count:>10}", format!("{checker:?}"));
        if count == 0 {
            idle.push(checker);
        }
    }
    let hash = reports.iter().fold(0_u64, |hash, report| hash.rotate_left(1) ^ report.hash);
    println!(
        "{count} seeds from {first} on, {failed} failed, hash {hash:016x}, {:.1} s",
        started.elapsed().as_secs_f64()
    );
    if count >= SEEDS_FOR_ALL_CHECKERS && !idle.is_empty() {
        println!("never had anything to check: {idle:?}");
        return ExitCode::FAILURE;
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Reports in the order of the seeds, from as many threads as there are processors.
fn run_all(first: u64, count: u64) -> Vec<Report> {
    let next = AtomicU64::new(first);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut reports: Vec<Report> = std::thread::scope(|scope| {
        let work = || {
            let mut done = Vec::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + count {
                    return done;
                }
                done.push(run_guarded(seed));
            }
        };
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles.into_iter().flat_map(|handle| handle.join().unwrap_or_default()).collect()
    });
    reports.sort_unstable_by_key(|report| report.seed);
    reports
}

/// A broken invariant panics: that is a broken promise too.
fn run_guarded(seed: u64) -> Report {
    std::panic::catch_unwind(|| run(seed, None)).unwrap_or_else(|_| Report {
        seed,
        violations: vec![(Checker::Recovers, "panicked, see above".to_owned())],
        ..Report::default()
    })
}

fn mutations() -> ExitCode {
    if !Mutation::AVAILABLE {
        eprintln!("sim: build with `--features ottla-core/mutations`");
        return ExitCode::FAILURE;
    }
    let mut missed = 0;
    for mutation in Mutation::ALL {
        let caught = (0..SEEDS_PER_MUTATION).find_map(|seed| {
            let report = std::panic::catch_unwind(|| run(seed, Some(mutation)));
            match report {
                Ok(report) => report.violations.first().map(|(checker, _)| (seed, format!("{checker:?}"))),
                Err(_) => Some((seed, "a panic".to_owned())),
            }
        });
        match caught {
            Some((seed, by)) => println!("{:<28} seed {seed:>3}, by {by}", format!("{mutation:?}")),
            None => {
                missed += 1;
                println!("{:<28} NOT CAUGHT in {SEEDS_PER_MUTATION} seeds", format!("{mutation:?}"));
            }
        }
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
