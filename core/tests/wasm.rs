//! The simulator in WebAssembly: the same seeds do the same things as natively.
//!
//! `cargo xtask test --only browser` runs the seeds natively first and hands their hashes over in `OTTLA_SIM_HASHES`, words of
//! `seed:hash`. Without that variable a few seeds still have to keep every promise, and to repeat themselves.

#![cfg(target_arch = "wasm32")]

use ottla_core::sim::scenario::{Scenario, run};
use wasm_bindgen_test::{console_log, wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

/// `seed:hash` words, from when this was compiled.
const NATIVE: Option<&str> = option_env!("OTTLA_SIM_HASHES");
/// Seeds that are run when nothing is known of what they do natively.
const SEEDS: u64 = 2;

#[wasm_bindgen_test]
fn seeds_do_what_they_do_natively() {
    let Some(native) = NATIVE else {
        console_log!("nothing to compare with: OTTLA_SIM_HASHES was not set");
        return;
    };
    let mut compared = 0;
    for word in native.split_whitespace() {
        let Some((seed, hash)) = word.split_once(':') else { panic!("OTTLA_SIM_HASHES has the word {word}") };
        let seed = seed.parse().expect("a seed is a number");
        assert_eq!(format!("{:016x}", run(seed, None).hash), hash, "seed {seed}");
        compared += 1;
    }
    assert!(compared > 0, "OTTLA_SIM_HASHES is empty");
    console_log!("{compared} seeds do the same here and natively");
}

#[wasm_bindgen_test]
fn seeds_keep_their_promises_and_clones_go_on_the_same_way() {
    for seed in 0..SEEDS {
        let mut scenario = Scenario::new(seed, None);
        for _ in 0..7 {
            scenario.step();
        }
        let mut clone = scenario.clone();
        while scenario.step() {}
        while clone.step() {}
        assert_eq!(clone.report(), scenario.report());
        assert!(scenario.report().violations.is_empty(), "{:#?}", scenario.report().violations);
    }
}
