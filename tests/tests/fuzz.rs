//! Any bytes at every entry: a slice of random ones that is another every day. `cargo xtask fuzz` looks for worse ones.

use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, thread};

use ottla_core::rng::Rng;
use ottla_tests::fuzz::ENTRIES;

/// Of each entry; `OTTLA_FUZZ_COUNT` deepens a run, `OTTLA_FUZZ_SEED` repeats one.
const COUNT: u64 = 300;

#[test]
fn any_bytes_at_every_entry() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse().expect("a number"));
    let today =
        || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() / 86_400 * 1_000_000;
    let (first, count) =
        (number("OTTLA_FUZZ_SEED").unwrap_or_else(today), number("OTTLA_FUZZ_COUNT").unwrap_or(COUNT));
    thread::scope(|scope| {
        for (name, run) in ENTRIES {
            scope.spawn(move || {
                for seed in first..first + count {
                    let input = input(&mut Rng::from_seed(seed));
                    if thread::Builder::new().spawn_scoped(scope, move || run(&input)).expect("a thread").join().is_err() {
                        panic!("{name} fails: OTTLA_FUZZ_SEED={seed} OTTLA_FUZZ_COUNT=1 cargo test -p ottla-tests --test fuzz");
                    }
                }
            });
        }
    });
}

/// Some hundred bytes, often the same ones.
fn input(rng: &mut Rng) -> Vec<u8> {
    let count = rng.below(2_000);
    let few: Vec<u8> = (0..8).map(|_| rng.below(256) as u8).collect();
    let some = |rng: &mut Rng| match rng.below(4) {
        0 => few[rng.below(8) as usize],
        1 => rng.below(16) as u8,
        _ => rng.below(256) as u8,
    };
    (0..count).map(|_| some(rng)).collect()
}
