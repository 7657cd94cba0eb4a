//! A phase of the test command: a name, a time budget, and what it runs.

use std::time::{Duration, Instant};

use crate::shell::Outcome;

/// One row of the table that `cargo xtask test` prints.
pub struct Phase {
    pub name: &'static str,
    /// What it may take on two warm cores, in seconds. Past this the row says so; past
    /// [`Phase::limit`] the phase is stopped.
    pub budget_s: u64,
    pub about: &'static str,
    pub advice: &'static str,
    pub run: fn(&Given) -> Outcome,
}

/// What a phase is told.
pub struct Given {
    pub limit: Duration,
    /// Go deeper, whatever it takes.
    pub full: bool,
}

/// A cold run compiles everything and installs tools: the hard limit leaves room for that.
const LIMIT_FACTOR: u32 = 6;
const LIMIT_MIN: Duration = Duration::from_secs(15 * 60);

impl Phase {
    fn limit(&self) -> Duration {
        (Duration::from_secs(self.budget_s) * LIMIT_FACTOR).max(LIMIT_MIN)
    }
}

struct Row {
    name: &'static str,
    seconds: f64,
    budget_s: u64,
    failure: Option<String>,
}

/// Runs the phases in order, all of them, and prints the table. True when every phase passed.
pub fn run_all(phases: &[&Phase], full: bool) -> bool {
    let mut rows = Vec::new();
    for (index, phase) in phases.iter().enumerate() {
        println!("\n=== {} ({} of {}): {} ===", phase.name, index + 1, phases.len(), phase.about);
        let started = Instant::now();
        let failure = (phase.run)(&Given { limit: phase.limit(), full })
            .err()
            .map(|failure| failure.advise(phase.advice).to_string());
        if let Some(failure) = &failure {
            println!("--- {} failed: {failure}", phase.name);
        }
        rows.push(Row {
            name: phase.name,
            seconds: started.elapsed().as_secs_f64(),
            budget_s: phase.budget_s,
            failure,
        });
    }
    print_table(&rows);
    rows.iter().all(|row| row.failure.is_none())
}

fn print_table(rows: &[Row]) {
    println!("\n{:<22} {:>8} {:>8}  result", "phase", "seconds", "budget");
    for row in rows {
        let result = match &row.failure {
            Some(_) => "FAILED",
            None if row.seconds > row.budget_s as f64 => "passed, over budget",
            None => "passed",
        };
        println!("{:<22} {:>8.1} {:>8}  {result}", row.name, row.seconds, row.budget_s);
    }
    let seconds: f64 = rows.iter().map(|row| row.seconds).sum();
    let budget: u64 = rows.iter().map(|row| row.budget_s).sum();
    println!("{:<22} {seconds:>8.1} {budget:>8}", "all");
    for row in rows {
        if let Some(failure) = &row.failure {
            println!("\n{}: {failure}", row.name);
        }
    }
}
