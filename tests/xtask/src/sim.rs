//! Seeds of the simulator: the runner is an example of the tests package, with the planted bugs in it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::phase::Given;
use crate::shell::{Outcome, command, quiet, run};

/// A build profile of its own: ten times as many seeds in the same time.
const RUNNER: &str = "cargo run --profile sim --package ottla-tests --features mutations --example sim --";
const SIM_MAX: Duration = Duration::from_secs(2 * 60 * 60);

/// Seeds of one run of the phase, and of a deep one.
const SEEDS: u64 = 60;
const SEEDS_FULL: u64 = 5_000;
/// Days take turns over so many slices.
const SLICES: u64 = 1_000;
const SECONDS_PER_DAY: u64 = 86_400;
/// Seeds whose hashes are compared with those of WebAssembly.
const SEEDS_COMPARED: &str = "4";

/// `cargo xtask sim [--seeds N] [--from S] [--seed S] [--mutations] [--hashes]`
pub fn sim(arguments: &[&str]) -> Outcome {
    start(arguments, SIM_MAX)
}

/// Every planted bug is caught, and a slice of seeds that is another one every day keeps every promise.
pub fn phase(given: &Given) -> Outcome {
    start(&["--mutations"], given.limit)?;
    let (from, seeds) = if given.full { (0, SEEDS_FULL) } else { (todays_slice() * SEEDS, SEEDS) };
    let limit = if given.full { SIM_MAX } else { given.limit };
    start(&["--from", &from.to_string(), "--seeds", &seeds.to_string()], limit)
}

fn todays_slice() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() / SECONDS_PER_DAY % SLICES
}

fn start(arguments: &[&str], limit: Duration) -> Outcome {
    let mut sim = command(RUNNER.split(' '));
    sim.args(arguments);
    run(sim, limit)
}

/// What a few seeds do here, as `seed:hash` words: WebAssembly is to do the same.
pub fn hashes() -> Outcome<String> {
    let mut sim = command(RUNNER.split(' '));
    sim.args(["--hashes", "--seeds", SEEDS_COMPARED]);
    Ok(quiet(sim)?.trim().to_owned())
}
