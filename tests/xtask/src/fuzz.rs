//! libFuzzer over every entry of `ottla_tests::fuzz`, with the stable compiler: coverage is an option of LLVM's.

use std::fs;
use std::time::Duration;

use crate::phase::Given;
use crate::repository::{root, target};
use crate::shell::{Failure, Outcome, command, run};

/// What `-Z sanitizer-coverage` of nightly compilers would come to.
const INSTRUMENTED: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";
const ENTRIES: &[&str] = &[
    "messages",
    "batches",
    "recovery",
    "requests",
    "controller",
    "sessions",
    "groups",
    "properties",
    "arguments",
    "websocket",
];
const SECONDS: u64 = 600;
const BUILD_MAX: Duration = Duration::from_secs(60 * 60);

/// `cargo xtask fuzz [ENTRY]… [--seconds N]`
pub fn fuzz(arguments: &[&str]) -> Outcome {
    let (mut entries, mut seconds) = (Vec::new(), SECONDS);
    let mut rest = arguments.iter();
    while let Some(&argument) = rest.next() {
        match argument {
            "--seconds" => {
                let number = rest.next().and_then(|number| number.parse().ok());
                seconds = number.ok_or_else(|| Failure::usage("fuzz: --seconds wants a number"))?;
            }
            entry if ENTRIES.contains(&entry) => entries.push(entry),
            other => {
                return Err(Failure::usage(format!(
                    "fuzz: no entry `{other}`; there are {}",
                    ENTRIES.join(", ")
                )));
            }
        }
    }
    if entries.is_empty() {
        entries = ENTRIES.to_vec();
    }
    let host = host()?;
    let folder = target().join("fuzz");
    let mut build =
        command(["cargo", "build", "--target", &host, "--manifest-path", "tests/fuzz/Cargo.toml"]);
    build.env("CARGO_TARGET_DIR", &folder).env("RUSTFLAGS", INSTRUMENTED);
    run(build, BUILD_MAX)?;
    let program = folder.join(&host).join("debug/ottla-fuzz");
    for entry in entries {
        let (corpus, crashes) = (folder.join("corpus").join(entry), folder.join("crashes"));
        fs::create_dir_all(&corpus)?;
        fs::create_dir_all(&crashes)?;
        let mut one = command([program.as_os_str(), corpus.as_os_str()]);
        one.env("OTTLA_FUZZ_ENTRY", entry).current_dir(root());
        one.arg(format!("-artifact_prefix={}/{entry}-", crashes.display()));
        one.args(["-max_len=2000", "-timeout=60", "-rss_limit_mb=2048", "-print_final_stats=1"]);
        one.arg(format!("-max_total_time={seconds}"));
        run(one, Duration::from_secs(seconds) + BUILD_MAX)?;
    }
    Ok(())
}

/// A slice of random bytes that is another one every day; deep, every entry for ten minutes.
pub fn phase(given: &Given) -> Outcome {
    run(
        command("cargo test --profile sim --package ottla-tests --features mutations --test fuzz".split(' ')),
        given.limit,
    )?;
    if given.full { fuzz(&[]) } else { Ok(()) }
}

/// The target that instrumented code is compiled for by its name, so that build scripts are not instrumented.
fn host() -> Outcome<String> {
    let said = crate::shell::quiet(command(["rustc", "-vV"]))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Failure::new("rustc does not say its host"))
}
