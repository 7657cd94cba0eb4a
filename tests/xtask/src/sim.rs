//! Seeds of the simulator: the runner is an example of the tests package, with the planted bugs in it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::phase::Given;
use crate::shell::{Outcome, command, quiet, run};

/// A build profile of its own: ten times as many seeds in the same time.
const RUNNER: &str = "cargo run --profile sim --package ottla-tests --features mutations --example sim --";
const SIM_MAX: Duration = Duration::from_secs(2 * 60 * 60);

/// Seeds of one run of the phase, and of a deep one: of a broker with its clients, of a cluster, of a log alone, and of a quorum.
const SEEDS: [(Option<&str>, u64, u64); 4] = [
    (None, 60, 5_000),
    (Some("--cluster"), 100, 20_000),
    (Some("--log"), 2_000, 50_000),
    (Some("--quorum"), 20, 20_000),
];
/// Days take turns over so many slices.
const SLICES: u64 = 1_000;
const SECONDS_PER_DAY: u64 = 86_400;
/// Seeds whose hashes are compared with those of WebAssembly.
const SEEDS_COMPARED: &str = "4";

/// `cargo xtask sim`: what it takes is told by `cargo xtask --help`.
pub fn sim(arguments: &[&str]) -> Outcome {
    start(arguments, SIM_MAX)
}

/// Every planted bug is caught, and a slice of seeds that is another one every day keeps every promise.
pub fn phase(given: &Given) -> Outcome {
    start(&["--mutations"], given.limit)?;
    let limit = if given.full { SIM_MAX } else { given.limit };
    for (world, slice, all) in SEEDS {
        let (from, seeds) = if given.full { (0, all) } else { (todays_slice() * slice, slice) };
        let (from, seeds) = (from.to_string(), seeds.to_string());
        let arguments: Vec<&str> = world.into_iter().chain(["--from", &from, "--seeds", &seeds]).collect();
        start(&arguments, limit)?;
    }
    Ok(())
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
