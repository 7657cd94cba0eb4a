//! Runs seeds of the simulator: `cargo xtask sim`, with the options of [`USAGE`].
//!
//! Prints what was done to the worlds and how often each checker had something to check. A seed that breaks a promise is named,
//! with the command that repeats it; a checker that never had anything to check fails the run. This program has the planted bugs in it,
//! and runs without any unless it is asked to look for them.

mod kinds;
mod runner;

use std::process::ExitCode;

use ottla_core::sim::cluster::Trim;
use ottla_core::sim::scenario::run;

use runner::Kind;

const USAGE: &str =
    "sim [--log | --quorum | --cluster] [--seeds N] [--from S] [--seed S] [--mutations] [--hashes]
    [--steps N] [--without BITS]";

struct Options {
    /// Seeds to run.
    seeds: u64,
    /// The first.
    from: u64,
    /// In which worlds.
    kind: Kind,
    /// Look for planted bugs instead, in all kinds of worlds.
    mutations: bool,
    /// Which of their steps the runs of clusters have.
    trim: Trim,
    /// Print nothing but `seed:hash` words, of a broker and its clients.
    hashes: bool,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        seeds: 40,
        from: 0,
        kind: kinds::broker(),
        mutations: false,
        trim: Trim::default(),
        hashes: false,
    };
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
            "--log" => options.kind = kinds::log(),
            "--quorum" => options.kind = kinds::quorum(),
            "--cluster" => options.kind = kinds::cluster(),
            "--steps" => options.trim.steps = u32::try_from(number()?).unwrap_or(u32::MAX),
            "--without" => {
                let word = words.next().ok_or("a number is missing after --without")?;
                options.trim.without =
                    u64::from_str_radix(&word, 16).map_err(|error| format!("{word}: {error}"))?;
            }
            "--hashes" => options.hashes = true,
            other => return Err(format!("no option `{other}`")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let passed = match options() {
        Ok(options) if options.mutations => runner::mutations(
            &[kinds::broker(), kinds::log(), kinds::quorum(), kinds::cluster()],
            options.from,
        ),
        Ok(options) if options.hashes => hashes(&options),
        Ok(options) => runner::seeds(&options.kind, options.from, options.seeds, options.trim),
        Err(reason) => {
            eprintln!("sim: {reason}\n{USAGE}");
            false
        }
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// `seed:hash` for every seed, in order: what the same seeds in WebAssembly are compared with.
fn hashes(options: &Options) -> bool {
    let words: Vec<String> = (options.from..options.from + options.seeds)
        .map(|seed| format!("{seed}:{:016x}", run(seed, None).hash))
        .collect();
    println!("{}", words.join(" "));
    true
}
