//! What a developer does often, in one place: `cargo xtask --help`.

mod cluster;
mod fuzz;
mod page;
mod phase;
mod phases;
mod pure;
mod repository;
mod shell;
mod sim;
mod tools;
mod up;

use std::process::ExitCode;
use std::time::Duration;

use shell::{Failure, Outcome, command, run};

const HELP: &str = "\
cargo xtask <command>

  up [--override KEY=VALUE]…
                        builds what is missing, runs the server with its page, and says what to open
                        and what to try
  test [--full] [--only PHASE]… [--from PHASE] [--list]
                        everything that must hold: installs what is missing, then runs each phase
                        against its time budget and prints a table; --full takes longer and goes deeper
  cluster N             runs N nodes on this machine, each a broker and a controller, until Ctrl-C; data in ./data-cluster
  bench [--rounds N] [--records N]
                        throughput, CPU and memory beside Apache Kafka, as a table for the README
  bench --partitions N [--ottla-only]
                        starts, stops and kills a node with so many partitions, beside Apache Kafka
  bench --replicated [--rounds N] [--records N] [--ottla-only | --kafka-only]
                        throughput, CPU and memory of three nodes with three replicas, beside Apache Kafka's
  bench --failover [--rounds N] [--only kills|restarts|hangs] [--ottla-only | --kafka-only]
                        how long a librdkafka and a Java producer wait when a node of three is killed, stopped
                        or restarted, beside Apache Kafka (12 minutes)
  scale [--partitions N]
                        what the metadata of a million partitions on a hundred brokers costs, in time, memory and,
                        with Valgrind, instructions
  sim [--log | --quorum | --cluster] [--seeds N] [--from S] [--seed S] [--mutations] [--hashes] [--steps N] [--without BITS]
                        worlds of a broker and its clients under faults, each from one seed; --mutations
                        plants bugs, each of which must be caught; --hashes prints what each seed did
  fuzz [ENTRY]… [--seconds N]
                        libFuzzer at every entry for bytes of others, 600 s each
  page                  builds the page into dist and prints what each part weighs
  clean-tools           removes what was installed for this checkout (.tools) and the built page (dist)
  help, --help          this text
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.split_first() {
        None | Some((&("help" | "--help" | "-h"), _)) => {
            print!("{HELP}");
            Ok(())
        }
        Some((&"up", rest)) => up::up(rest),
        Some((&"cluster", rest)) => cluster::cluster(rest),
        Some((&"test", rest)) => phases::test(rest),
        Some((&"bench", rest)) => bench(rest),
        Some((&"scale", rest)) => scale(rest),
        Some((&"sim", rest)) => sim::sim(rest),
        Some((&"fuzz", rest)) => fuzz::fuzz(rest),
        Some((&"page", _)) => page::build().and_then(|()| page::ledger()),
        Some((&"clean-tools", _)) => tools::clean(),
        Some((other, _)) => Err(Failure::usage(format!("no command `{other}`; try `cargo xtask --help`"))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nxtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Builds for release and measures.
fn bench(arguments: &[&str]) -> Outcome {
    const BENCH_MAX: Duration = Duration::from_secs(2 * 60 * 60);
    tools::kafka()?;
    run(command("cargo build --release --package ottla-server".split(' ')), BENCH_MAX)?;
    let mut bench = command("cargo run --package ottla-tests --example bench --".split(' '));
    bench.args(arguments);
    run(bench, BENCH_MAX)
}

fn scale(arguments: &[&str]) -> Outcome {
    const SCALE_MAX: Duration = Duration::from_secs(60 * 60);
    let mut scale = command("cargo run --release --package ottla-tests --example scale --".split(' '));
    scale.args(arguments);
    run(scale, SCALE_MAX)
}
