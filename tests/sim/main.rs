//! Runs seeds of the simulator: `cargo xtask sim [--log | --quorum] [--seeds N] [--from S] [--seed S] [--mutations] [--hashes]`.
//!
//! Prints what was done to the worlds and how often each checker had something to check. A seed that breaks a promise is named,
//! with the command that repeats it; a checker that never had anything to check fails the run. This program has the planted bugs in it,
//! and runs without any unless it is asked to look for them.

mod log;
mod quorum;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ottla_core::sim::Tally;
use ottla_core::sim::checkers::Checker;
use ottla_core::sim::mutation::Mutation;
use ottla_core::sim::scenario::{Fault, Report, run};

/// Runs this short need not exercise every checker.
const SEEDS_FOR_ALL_CHECKERS: u64 = 20;
/// Runs this short need not inject every kind of fault.
const SEEDS_FOR_ALL_FAULTS: u64 = 100;
/// Seeds that a planted bug has to show itself in.
const SEEDS_PER_MUTATION: u64 = 60;
/// Seconds between two lines of progress.
const PROGRESS_S: u64 = 10;
/// Failed seeds that are told in full.
const FAILURES_TOLD: u64 = 20;
/// Broken promises of a seed that are told.
const VIOLATIONS_TOLD: usize = 4;

const USAGE: &str = "sim [--log | --quorum] [--seeds N] [--from S] [--seed S] [--mutations] [--hashes]";

#[derive(Default)]
struct Options {
    /// Seeds to run.
    seeds: u64,
    /// The first.
    from: u64,
    /// Look for planted bugs instead.
    mutations: bool,
    /// Single logs instead of a broker and its clients.
    log: bool,
    /// Worlds of replicas of a quorum instead of a broker and its clients.
    quorum: bool,
    /// Print nothing but `seed:hash` words.
    hashes: bool,
}

fn options() -> Result<Options, String> {
    let mut options = Options { seeds: 40, ..Options::default() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || {
            let word = words.next().ok_or(format!("a number is missing after {word}"))?;
            word.parse::<u64>().map_err(|error| format!("{word}: {error}"))
        };
        match word.as_str() {
            "--seeds" => options.seeds = number()?,
            "--from" => options.from = number()?,
            "--seed" => (options.from, options.seeds) = (number()?, 1),
            "--mutations" => options.mutations = true,
            "--log" => options.log = true,
            "--quorum" => options.quorum = true,
            "--hashes" => options.hashes = true,
            other => return Err(format!("no option `{other}`")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let passed = match options() {
        Ok(options) if options.log && !options.mutations => log::seeds(&options),
        Ok(options) if options.quorum && !options.mutations => quorum::seeds(&options),
        Ok(options) if options.mutations => mutations(options.from),
        Ok(options) if options.hashes => hashes(&options),
        Ok(options) => seeds(&options),
        Err(reason) => {
            eprintln!("sim: {reason}\n{USAGE}");
            false
        }
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What all runs together have shown.
#[derive(Default)]
struct Sum {
    done: u64,
    failed: u64,
    faults: BTreeMap<Fault, u64>,
    exercised: BTreeMap<Checker, u64>,
    tally: Tally,
    hash: u64,
    slowest: (f64, u64),
}

impl Sum {
    fn add(&mut self, report: &Report, seconds: f64) {
        self.done += 1;
        report.faults.iter().for_each(|(fault, count)| *self.faults.entry(*fault).or_default() += count);
        for (checker, count) in &report.exercised {
            *self.exercised.entry(*checker).or_default() += count;
        }
        self.tally += report.tally;
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
                if report.violations.len() > VIOLATIONS_TOLD {
                    println!("    and {} more", report.violations.len() - VIOLATIONS_TOLD);
                }
                println!("    repeat it: cargo xtask sim --seed {}", report.seed);
            }
        }
    }

    fn print(&self) {
        println!("what was done to {} worlds:", self.done);
        for fault in Fault::all() {
            let count = self.faults.get(&fault).copied().unwrap_or(0);
            println!("  {:<28} {count:>12}", format!("{fault:?}"));
        }
        let Tally { events, frames, frames_delayed, frames_lost, halts, losses } = self.tally;
        for (what, count) in [
            ("events", events),
            ("frames sent", frames),
            ("frames delayed", frames_delayed),
            ("frames lost", frames_lost),
            ("brokers that gave up", halts),
            ("files a power loss changed", losses.files),
            ("names a power loss undid", losses.entries),
        ] {
            println!("  {what:<28} {count:>12}");
        }
        println!("what was checked how often:");
        for checker in Checker::ALL {
            let count = self.exercised.get(&checker).copied().unwrap_or(0);
            println!("  {:<28} {count:>12}", format!("{checker:?}"));
        }
    }
}

fn seeds(options: &Options) -> bool {
    let started = Instant::now();
    let sum = Mutex::new(Sum::default());
    let told = AtomicU64::new(0);
    each(options.from..options.from + options.seeds, |seed| {
        let began = Instant::now();
        let report = run_guarded(seed, None);
        let mut sum = sum.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        sum.add(&report, began.elapsed().as_secs_f64());
        let elapsed = started.elapsed().as_secs();
        if told.load(Ordering::Relaxed) + PROGRESS_S <= elapsed {
            told.store(elapsed, Ordering::Relaxed);
            println!("{} of {} seeds, {} failed, {elapsed} s", sum.done, options.seeds, sum.failed);
        }
    });
    let sum = sum.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    sum.print();
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{} seeds from {} on, {} failed, hash {:016x}, {seconds:.1} s (the slowest, {}: {:.2} s)",
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

/// A broken invariant panics: that is a broken promise too.
fn run_guarded(seed: u64, mutation: Option<Mutation>) -> Report {
    std::panic::catch_unwind(|| run(seed, mutation)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        Report { seed, violations: vec![(Checker::Recovers, text.to_owned())], ..Report::default() }
    })
}

/// Every planted bug shows itself.
fn mutations(from: u64) -> bool {
    // What a planted bug makes of a node may well be a panic: it is told as what caught it.
    std::panic::set_hook(Box::new(|_| {}));
    let started = Instant::now();
    let missed = Mutex::new(Vec::new());
    let all: Vec<Mutation> = Mutation::ALL.into_iter().chain(Mutation::LOG).chain(Mutation::QUORUM).collect();
    each(0..all.len() as u64, |index| {
        let mutation = all[index as usize];
        let name = format!("{mutation:?}");
        let of_broker = || {
            (from..from + SEEDS_PER_MUTATION).find_map(|seed| {
                let (checker, sentence) = run_guarded(seed, Some(mutation)).violations.into_iter().next()?;
                Some((seed, format!("{checker:?}"), sentence))
            })
        };
        let caught = if Mutation::LOG.contains(&mutation) {
            log::caught(mutation, from)
        } else if Mutation::QUORUM.contains(&mutation) {
            quorum::caught(mutation, from)
        } else {
            of_broker()
        };
        match caught {
            Some((seed, checker, sentence)) => {
                let sentence: String = sentence.chars().take(100).collect();
                println!("{name:<30} seed {seed:>4}, by {checker:<22} {sentence}");
            }
            None => {
                println!("{name:<30} NOT CAUGHT in the seeds from {from} on");
                missed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(mutation);
            }
        }
        _ = std::io::stdout().flush();
    });
    let missed = missed.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    let (all, seconds) = (all.len(), started.elapsed().as_secs_f64());
    println!("{} of {all} planted bugs caught, {seconds:.1} s", all - missed.len());
    missed.is_empty()
}

/// `seed:hash` for every seed, in order: what the same seeds in WebAssembly are compared with.
fn hashes(options: &Options) -> bool {
    let words: Vec<String> = (options.from..options.from + options.seeds)
        .map(|seed| format!("{seed}:{:016x}", run(seed, None).hash))
        .collect();
    println!("{}", words.join(" "));
    true
}
