//! Clusters of several brokers under faults, all from one seed.
//!
//! Every step of a run draws from a generator of its own, so that the faults of some steps can be left out while the others stay
//! what they were: that is how a failing seed is made small ([`shrink`]).

mod checkers;
mod disks;
mod nemesis;
mod nodes;
mod scenario;

pub use checkers::Promise;
pub use nemesis::Fault;
pub use scenario::{Report, Scenario, Trim};

use super::mutation::Mutation;

/// Runs a seed, with a bug planted or without, and with all of its faults or with some.
pub fn run(seed: u64, mutation: Option<Mutation>, trim: Trim) -> Report {
    let mut scenario = Scenario::new(seed, mutation, trim);
    while scenario.step() {}
    scenario.report()
}

/// Leaves out whatever a failing seed does not need in order to fail.
pub fn shrink(fails: impl Fn(Trim) -> bool) -> Trim {
    let mut trim = Trim::default();
    while trim.steps > 1 && fails(Trim { steps: trim.steps / 2, ..trim }) {
        trim.steps /= 2;
    }
    while trim.steps > 1 && fails(Trim { steps: trim.steps - 1, ..trim }) {
        trim.steps -= 1;
    }
    for step in (0..trim.steps).rev() {
        let fewer = Trim { without: trim.without | 1 << step, ..trim };
        if fails(fewer) {
            trim = fewer;
        }
    }
    trim
}
