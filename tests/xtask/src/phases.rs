//! The phases of `cargo xtask test`, in the order in which they run: cheap ones first.

use crate::phase::{Phase, run_all};
use crate::shell::{Failure, Outcome, command, run};

const PHASES: &[Phase] = &[
    Phase {
        name: "fmt",
        budget_s: 10,
        about: "rustfmt on everything",
        advice: "run `cargo fmt --all`",
        run: |phase| run(command("cargo fmt --all --check".split(' ')), phase.limit()),
    },
    Phase {
        name: "clippy",
        budget_s: 150,
        about: "clippy without warnings, natively",
        advice: "run `cargo clippy --workspace --all-targets` and mend what it says",
        run: |phase| {
            run(
                command("cargo clippy --workspace --all-targets -- --deny warnings".split(' ')),
                phase.limit(),
            )
        },
    },
    Phase {
        name: "unit",
        budget_s: 240,
        about: "cargo test in every package",
        advice: "run `cargo test -p PACKAGE NAME` for the test that failed",
        run: |phase| run(command("cargo test --workspace".split(' ')), phase.limit()),
    },
    Phase {
        name: "codec",
        budget_s: 180,
        about: "every message at every version against Apache Kafka's codecs (Maven, JDK 17)",
        advice: "run `OTTLA_CODEC_COUNT=60 cargo test -p ottla-tests --test codec_peers`; tests/codec/peers says how it works",
        run: |phase| run(command("cargo test -p ottla-tests --test codec_peers".split(' ')), phase.limit()),
    },
];

/// `cargo xtask test [--only PHASE]… [--from PHASE] [--list]`
pub fn test(arguments: &[&str]) -> Outcome {
    let mut chosen: Vec<&Phase> = PHASES.iter().collect();
    let mut only = Vec::new();
    let mut rest = arguments.iter();
    while let Some(&argument) = rest.next() {
        match argument {
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
    match run_all(&chosen) {
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
