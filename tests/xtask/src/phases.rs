//! The phases of `cargo xtask test`, in the order in which they run: cheap ones first.

use crate::phase::{Given, Phase, run_all};
use crate::repository::target;
use crate::shell::{Failure, Outcome, command, run};
use crate::{fuzz, page, pure, sim, tools};

const PHASES: &[Phase] = &[
    Phase {
        name: "fmt",
        budget_s: 10,
        about: "rustfmt on everything",
        advice: "run `cargo fmt --all`",
        run: |given| cargo("fmt --all --check", given),
    },
    Phase {
        name: "clippy",
        budget_s: 240,
        about: "clippy without warnings, natively and for WebAssembly",
        advice: "run `cargo clippy --workspace --all-targets` and mend what it says",
        run: |given| {
            tools::wasm_target()?;
            cargo("clippy --workspace --all-targets -- --deny warnings", given)?;
            cargo("clippy --package ottla-tests --test * -- --deny warnings", given)?;
            let wasm = "clippy --target wasm32-unknown-unknown --package ottla-core --package ottla-web";
            cargo(&format!("{wasm} -- --deny warnings"), given)
        },
    },
    Phase {
        name: "pure",
        budget_s: 60,
        about: "core's WebAssembly imports nothing, its dependencies reach for nothing",
        advice: "take what reads a clock, randomness or IO out of core: they are arguments there",
        run: |given| {
            tools::wasm_target()?;
            pure::dependencies()?;
            pure::wasm_imports_nothing(given.limit)
        },
    },
    Phase {
        name: "unit",
        budget_s: 300,
        about: "cargo test in every package",
        advice: "run `cargo test -p PACKAGE NAME` for the test that failed",
        run: |given| cargo("test --workspace", given),
    },
    Phase {
        name: "codec",
        budget_s: 180,
        about: "every message at every version against Apache Kafka's codecs (Maven, JDK 17)",
        advice: "run `OTTLA_CODEC_COUNT=60 cargo test -p ottla-tests --test codec_peers`; tests/codec/peers says how it works",
        run: |given| {
            tools::java()?;
            cargo("test --package ottla-tests --test codec_peers", given)
        },
    },
    Phase {
        name: "config",
        budget_s: 60,
        about: "configuration keys, a metadata directory, decisions of the controller and quotas in the hands of Apache Kafka",
        advice: "run `cargo test -p ottla-tests --test config_table`",
        run: |given| {
            tools::kafka()?;
            cargo(
                "test --package ottla-tests --test config_table --test config_verdicts --test metadata_log \
                 --test controller_decisions --test client_quotas",
                given,
            )
        },
    },
    Phase {
        name: "cleaner",
        budget_s: 120,
        about: "the same segments to Apache Kafka's log cleaner and to ours, and the same interrupted swaps",
        advice: "run `cargo test -p ottla-tests --test cleaner -- --nocapture`",
        run: |given| {
            tools::kafka()?;
            cargo("test --package ottla-tests --test cleaner", given)
        },
    },
    Phase {
        name: "groups",
        budget_s: 240,
        about: "random group requests to Apache Kafka and to our coordinator",
        advice: "run `OTTLA_GROUP_SEEDS=12..13 cargo test -p ottla-tests --test group_seeds` for the seed that failed",
        run: |given| {
            tools::kafka()?;
            cargo("test --package ottla-tests --test group_seeds", given)
        },
    },
    Phase {
        name: "sim",
        budget_s: 540,
        about: "worlds under faults, another slice of seeds every day; every planted bug is caught; any bytes at every entry",
        advice: "run `cargo xtask sim --seed N` for the seed that failed; `--full` runs thousands, and libFuzzer",
        run: |given| {
            sim::phase(given)?;
            fuzz::phase(given)
        },
    },
    Phase {
        name: "clients",
        budget_s: 360,
        about: "kcat, kafka-python, confluent-kafka, kafkajs, the Java client, Streams, Connect and Kafka's tools against a server; what clients with quotas get",
        advice: "run `cargo test -p ottla-tests --test clients NAME`; with OTTLA_TEST_PEERS=kafka it asks Apache Kafka",
        run: |given| {
            tools::debian(&[("kcat", "kcat")])?;
            tools::kafka()?;
            tools::python()?;
            tools::npm()?;
            suites(&["peers", "clients"], given)
        },
    },
    Phase {
        name: "differential",
        budget_s: 180,
        about: "the same requests to Apache Kafka and to Ottla, at every version, valid and not",
        advice: "run `cargo test -p ottla-tests --test differential NAME`; what differs is told as Kafka's | ours",
        run: |given| {
            tools::kafka()?;
            suites(&["differential"], given)
        },
    },
    Phase {
        name: "interchange",
        budget_s: 240,
        about: "a directory that Apache Kafka wrote, opened by Ottla, changed, and opened by Apache Kafka again; dumps of both",
        advice: "run `cargo test -p ottla-tests --test interchange`; OTTLA_TEST_KEEP=1 keeps the directory",
        run: |given| {
            tools::kafka()?;
            suites(&["interchange", "dump_log"], given)
        },
    },
    Phase {
        name: "kill9",
        budget_s: 120,
        about: "kill -9 in the middle of a mixed load; full disks and directories that fail, alone and among three nodes; thousands of hostile clients (--full)",
        advice: "run `cargo test -p ottla-tests --test kill9 --test disks -- --nocapture`; OTTLA_TEST_KEEP=1 keeps the data",
        run: |given| {
            tools::kafka()?;
            suites(if given.full { &["kill9", "disks", "hostile"] } else { &["kill9", "disks"] }, given)
        },
    },
    Phase {
        name: "cluster",
        budget_s: 480,
        about: "three nodes killed in turn under load; metadata quorums with Apache Kafka's among them; its tools against clusters of both",
        advice: "run `cargo test -p ottla-tests --test cluster --test quorum --test cluster_differential -- --nocapture`; OTTLA_TEST_KEEP=1 keeps the data",
        run: |given| {
            tools::debian(&[("kcat", "kcat")])?;
            tools::kafka()?;
            suites(&["cluster", "quorum", "cluster_differential"], given)
        },
    },
    Phase {
        name: "jepsen",
        budget_s: 60,
        about: "three nodes killed, hung, restarted and cut off under load, and the whole history checked; --full for 10 minutes",
        advice: "run `OTTLA_JEPSEN_SEED=N cargo test -p ottla-tests --test jepsen -- --nocapture` with the seed that it printed; OTTLA_TEST_KEEP=1 keeps the data",
        run: |given| {
            tools::debian(&[("ip", "iproute2")])?;
            tools::kafka()?;
            suites(&["jepsen"], given)
        },
    },
    Phase {
        name: "page",
        budget_s: 420,
        about: "the page as it is published, its parts weighed",
        advice: "run `cargo xtask page`; `.tools` and the cargo home hold its tools",
        run: |_| page::build().and_then(|()| page::ledger()),
    },
    Phase {
        name: "browser",
        budget_s: 300,
        about: "core and the page's components in Chromium, then the page as a student meets it",
        advice: "run `node tests/browser/first_page.mjs`; its pictures are in .tools/screenshots",
        run: |given| {
            tools::browser()?;
            wasm_pack("core", &[("OTTLA_SIM_HASHES", &sim::hashes()?)], given)?;
            wasm_pack("web", &[], given)?;
            page::build_if_stale()?;
            run(command(["node", "tests/browser/first_page.mjs"]), given.limit)
        },
    },
];

/// The tests of one package, in a browser.
fn wasm_pack(folder: &str, variables: &[(&str, &str)], given: &Given) -> Outcome {
    let mut test = command("wasm-pack test --headless --chrome --mode no-install".split(' '));
    test.arg(folder).env("PATH", tools::path()).env("CHROMEDRIVER", "/usr/bin/chromedriver");
    test.env("WASM_BINDGEN_TEST_TIMEOUT", given.limit.as_secs().to_string());
    test.envs(variables.iter().copied());
    run(test, given.limit)
}

/// Runs end-to-end suites against a server built before them.
fn suites(names: &[&str], given: &Given) -> Outcome {
    cargo("build --package ottla-server", given)?;
    let mut test = command("cargo test --package ottla-tests --no-fail-fast".split(' '));
    names.iter().for_each(|name| {
        test.args(["--test", name]);
    });
    test.env("OTTLA_BIN", target().join("debug/ottla"));
    // Of `hostile`: large blocks go back to the system. What glibc keeps of them by itself is no bound of ours.
    if names.contains(&"hostile") {
        test.env("MALLOC_MMAP_THRESHOLD_", "131072")
            .env("MALLOC_TRIM_THRESHOLD_", "131072")
            .env("MALLOC_ARENA_MAX", "2");
    }
    if given.full {
        test.env("OTTLA_TEST_PEERS", "kafka,ottla")
            .env("OTTLA_KILL9_ROUNDS", "100")
            .env("OTTLA_JEPSEN_SECONDS", "600");
    }
    run(test, given.limit)
}

/// Runs Cargo with these words.
fn cargo(words: &str, given: &Given) -> Outcome {
    let mut cargo = command(["cargo"].into_iter().chain(words.split(' ')));
    if given.full {
        cargo.env("OTTLA_CODEC_COUNT", "60");
    }
    run(cargo, given.limit)
}

/// `cargo xtask test [--full] [--only PHASE]… [--from PHASE] [--list]`
pub fn test(arguments: &[&str]) -> Outcome {
    let mut chosen: Vec<&Phase> = PHASES.iter().collect();
    let (mut only, mut full) = (Vec::new(), false);
    let mut rest = arguments.iter();
    while let Some(&argument) = rest.next() {
        match argument {
            "--full" => full = true,
            "--only" => only.push(position(rest.next().copied())?),
            "--from" => chosen = PHASES[position(rest.next().copied())?..].iter().collect(),
            "--list" => {
                PHASES.iter().for_each(|phase| println!("{:<22} {}", phase.name, phase.about));
                return Ok(());
            }
            other => return Err(Failure::usage(format!("test: no option `{other}`"))),
        }
    }
    if !only.is_empty() {
        chosen = only.into_iter().map(|index| &PHASES[index]).collect();
    }
    match run_all(&chosen, full) {
        true => Ok(()),
        false => Err(Failure::new("a phase failed")
            .advise("read the phase's output above; `cargo xtask test --only PHASE` runs it again")),
    }
}

fn position(name: Option<&str>) -> Outcome<usize> {
    let names = || PHASES.iter().map(|phase| phase.name).collect::<Vec<_>>().join(", ");
    let name = name.ok_or_else(|| Failure::usage(format!("which phase? one of {}", names())))?;
    PHASES
        .iter()
        .position(|phase| phase.name == name)
        .ok_or_else(|| Failure::usage(format!("no phase `{name}`; there are {}", names())))
}
